# SPDX-License-Identifier: Apache-2.0
"""Memory of the ahead-of-time engine: .venv/bin/python tools/bench_memory.py [MODEL...].

For every model (default: all of ../shared/models), without running it:
bound    most bytes of tensors that are alive at once in the order of the file, and in the best order of the
         operators, in which the engine runs them
arena    bytes of the plan for speed, and for size (kernels' scratch included), and how far they are above the
         bound of the best order, which only outputs over dying inputs go below; and TFLite-Micro's arena for
         the same model where it was measured
weights  constants in flash, without the 16 bytes of each channel, above one byte per weight
code     of the layers with their descriptions for a Cortex-M4, for speed (-O2) and for size (-Os)
compile  seconds of processor time from the .tflite to C
A figure beyond its target is marked with *.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from mcu_ser.aot.compile import CompiledModel, compile_model
from mcu_ser.aot.operator_order import best_order, schedule_of
from mcu_ser.aot.optimization import Optimization
from mcu_ser.aot.passes import find_aliases
from mcu_ser.resources import firmware_templates_dir

MODELS = Path(__file__).resolve().parents[2] / "shared" / "models"
RUNTIME = firmware_templates_dir() / "runtime"
CORE = ("-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard", "-std=c99")

# The arena above its bound, weights above one byte each, bytes of code, seconds.
WEIGHTS_LIMIT = 0.05
ARENA_LIMITS = {Optimization.SPEED: 0.20, Optimization.SIZE: 0.05}
CODE_LIMITS = {Optimization.SPEED: 16 << 10, Optimization.SIZE: 8 << 10}
# As the firmware's CMakeLists.txt has them.
FLAGS = {
    Optimization.SPEED: ("-O2",),
    Optimization.SIZE: ("-Os", "-fno-jump-tables", "-fno-move-loop-invariants"),
}
COMPILE_LIMIT_S = 1.0
PARAMETER_BYTES = 16

# Least arena of TFLite-Micro with CMSIS-NN kernels in which the model could be set up, 16 bytes at a time.
TFLM_ARENA = {"ad01_int8": 3024, "ic_resnet_int8": 55_008, "kws_ref_model": 22_832}


@dataclass(frozen=True)
class Memory:
    """What one model takes; `bound` is of the best order, `file_bound` of that of the file."""

    arena: dict[Optimization, int]
    file_bound: int
    bound: int
    raw_weights: int
    stored_weights: int
    code: dict[Optimization, int]
    compile_s: float


def tensor_bounds(model: CompiledModel) -> tuple[int, int]:
    """Most bytes of tensors that are alive at once: in the order of the file, and in the best one.

    What kernels need for themselves is left out.
    """
    in_file = sorted(model.graph.operators, key=lambda operator: operator.index)
    graph = replace(model.graph, operators=tuple(in_file))
    schedule = schedule_of(graph, find_aliases(graph), {})
    order = tuple(range(len(in_file)))
    return schedule.peak_bytes(order), schedule.peak_bytes(best_order(schedule))


def weights(model: CompiledModel) -> tuple[int, int]:
    """Weights of the file, and bytes that they take in flash beside each channel's parameters."""
    raw = stored = 0
    for layer, operator in zip(model.layers, model.graph.operators, strict=True):
        if layer.weight_shape is None:
            continue
        raw += model.graph.tensors[operator.inputs[1]].elements
        stored += layer.weight_bytes - PARAMETER_BYTES * layer.output_shape[-1]
    return raw, stored


def code_bytes(model: CompiledModel, directory: Path, flags: tuple[str, ...]) -> int:
    """Code and read-only data of the layers, without their weights."""
    for name, text in model.sources.items():
        (directory / name).write_text(text)
    unit = directory / "aot_model.o"
    source = directory / "aot_model.c"
    command = ["arm-none-eabi-gcc", *CORE, *flags, f"-I{RUNTIME}", "-c", "-o", str(unit), str(source)]
    subprocess.run(command, check=True, timeout=300)
    sizes = subprocess.run(
        ["arm-none-eabi-size", unit], check=True, capture_output=True, text=True, timeout=60
    )
    return int(sizes.stdout.splitlines()[1].split()[0])


def measure(path: Path, directory: Path) -> Memory:
    """Compile a model and weigh what comes out."""
    content = path.read_bytes()
    compile_model(content, path.stem)  # what is loaded at first use does not count
    started = time.process_time()
    model = compile_model(content, path.stem)
    seconds = time.process_time() - started
    raw, stored = weights(model)
    models = {kind: compile_model(content, path.stem, optimization=kind) for kind in Optimization}
    arena = {kind: each.arena_bytes for kind, each in models.items()}
    code = {kind: code_bytes(each, directory, FLAGS[kind]) for kind, each in models.items()}
    return Memory(arena, *tensor_bounds(model), raw, stored, code, seconds)


def show(name: str, memory: Memory) -> None:
    """Print one line."""
    arena = " ".join(
        f"{size:8,} {size / memory.bound - 1:+7.1%}{_mark(size / memory.bound - 1 > ARENA_LIMITS[kind])}"
        for kind, size in memory.arena.items()
    )
    most = max(memory.arena.values())
    tflm = TFLM_ARENA.get(name)
    above = memory.stored_weights / memory.raw_weights - 1 if memory.raw_weights else 0.0
    code = " ".join(f"{size:7,}{_mark(size > CODE_LIMITS[kind])}" for kind, size in memory.code.items())
    print(
        f"{name:20} {memory.file_bound:8,} {memory.bound:8,} {arena} "
        f"{tflm or '':>8}{_mark(tflm is not None and most > tflm)} "
        f"{memory.stored_weights:9,} {above:+7.1%}{_mark(above > WEIGHTS_LIMIT)} {code} "
        f"{memory.compile_s:6.2f}{_mark(memory.compile_s > COMPILE_LIMIT_S)}"
    )


def _mark(beyond: bool) -> str:
    return "*" if beyond else " "


def main() -> int:
    """Weigh every model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", type=Path, help=".tflite files, or folders of them")
    arguments = parser.parse_args()
    given = arguments.models or [MODELS]
    models = [path for item in given for path in (sorted(item.glob("*.tflite")) if item.is_dir() else [item])]
    if not models:
        parser.error(f"no .tflite in {', '.join(map(str, given))}")
    print(
        f"{'model':20} {'bound':>8} {'best':>8} {'arena':>8} {'over':>7}  {'size':>8} {'over':>7}  "
        f"{'TFLM':>8}  {'weights':>9} {'over':>7}  {'-O2':>7}  {'-Os':>7}  {'compile':>6}"
    )
    with tempfile.TemporaryDirectory() as directory:
        for path in models:
            show(path.stem, measure(path, Path(directory)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
