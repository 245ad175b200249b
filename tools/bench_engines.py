# SPDX-License-Identifier: Apache-2.0
"""The ahead-of-time engine on the emulated Cortex-M4: .venv/bin/python tools/bench_engines.py [MODEL...].

Every model (default: all of ../shared/models) becomes a firmware, runs random samples on the emulated board,
and must give the bytes of the oracle. Printed are instructions per inference, flash by part and RAM, beside
what TFLite-Micro takes for the same model on the same emulated core: figures kept here for MLPerf Tiny, and
with --tflm-root measured for every model. Exits with 1 if a byte differs.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mcu_ser.aot.optimization import Optimization
from mcu_ser.board import load_board
from mcu_ser.errors import McuSerError
from mcu_ser.generate.engine_model import Arena
from mcu_ser.generate.project import Project, generate
from mcu_ser.tflm.library import TflmLibrary
from mcu_ser.toolchain.build import build
from mcu_ser.toolchain.firmware_parts import Part, find_parts
from mcu_ser.verify.check import check
from mcu_ser.verify.samples import random_samples

MODELS = Path(__file__).resolve().parents[2] / "shared" / "models"
BOARD = "netduinoplus2"
# What the board has for an interpreter's arena beside its firmware.
TFLM_ARENA_BYTES = 114_000


@dataclass(frozen=True)
class Tflm:
    """A model on TFLite-Micro with CMSIS-NN: instructions per inference, and bytes of its firmware.

    `code_bytes` are code and read-only data without the model, `ram_bytes` arena, data and stack,
    None where the arena was just as large as the board could have it.
    """

    instructions: int
    code_bytes: int
    model_bytes: int
    ram_bytes: int | None


# TFLite-Micro 90b983c2b with CMSIS-NN 4ab83cc3c, gcc 12.2, QEMU 7.2 netduinoplus2: instructions as the mean
# of 6 inputs, the rest of a firmware of interpreter, int8 kernels that the model needs, and a serial loop.
TFLM = {
    "kws_ref_model": Tflm(7_698_000, 52_904, 53_936, 24_740),
    "ic_resnet_int8": Tflm(29_864_000, 50_708, 98_496, 56_916),
    "ad01_int8": Tflm(583_000, 27_568, 276_976, 4_148),
}


@dataclass(frozen=True)
class Result:
    """What one model took; `report` is the document of report.json."""

    name: str
    report: dict[str, Any]
    model_bytes: int
    code_bytes: int
    layers_bytes: int
    tflm: Tflm | None = None

    @property
    def instructions(self) -> int:
        return int(self.report["instructions"]["median"])

    @property
    def is_exact(self) -> bool:
        """Every output was the oracle's."""
        return bool(self.report["identical"] == self.report["samples"])


def measure(
    model: Path, samples: int, optimization: Optimization, directory: Path, *, winograd_bytes: int = 0
) -> Result:
    """Generate, build and run one model."""
    project = generate(
        model,
        load_board(BOARD),
        "aot",
        directory / model.stem,
        winograd_bytes=winograd_bytes,
        optimization=optimization,
    )
    result = _measured(project, model.stem, samples)
    return replace(result, tflm=TFLM.get(model.stem))


def measure_tflm(model: Path, samples: int, library: TflmLibrary, directory: Path) -> Tflm:
    """The same with the interpreter."""
    arena = Arena(TFLM_ARENA_BYTES, "given")
    project = generate(model, load_board(BOARD), "tflm", directory / f"{model.stem}-tflm", arena=arena)
    result = _measured(project, model.stem, samples, library)
    if not result.is_exact:
        raise SystemExit(f"{model}: TFLite-Micro does not give the bytes of the oracle")
    return Tflm(result.instructions, result.code_bytes, result.model_bytes, None)


def _measured(project: Project, name: str, samples: int, tflm: TflmLibrary | None = None) -> Result:
    built = build(project, tflm)
    parts = find_parts(built.elf)
    assert parts is not None, "the linker always writes a map"
    inputs = random_samples(samples, 1, project.input)
    report = check(project, inputs, project.root.with_name(f"{project.root.name}-report"))
    weights = parts.flash[Part.MODEL]
    total = int(report.document["flash_bytes"])
    return Result(name, report.document, weights, total - weights, parts.flash[Part.KERNELS])


def show(result: Result) -> None:
    """Print one line, and one for TFLite-Micro where its figures are known."""
    report = result.report
    print(
        f"{result.name:20} {result.instructions:12,} {result.model_bytes:9,} {result.code_bytes:9,} "
        f"{result.layers_bytes:9,} {report['ram_bytes']:9,}   {report['identical']} of {report['samples']}"
    )
    tflm = result.tflm
    if tflm:
        print(
            f"{'  TFLM + CMSIS-NN':20} {tflm.instructions:12,} {tflm.model_bytes:9,} {tflm.code_bytes:9,}"
            + ("" if tflm.ram_bytes is None else f"{'':10} {tflm.ram_bytes:9,}")
        )
        print(
            f"{'  ratio':20} {result.instructions / tflm.instructions:12.3f} "
            f"{result.model_bytes / tflm.model_bytes:9.3f} {result.code_bytes / tflm.code_bytes:9.3f}"
        )


def parse_arguments() -> argparse.Namespace:
    """What to measure, and how; `models` are files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", type=Path, help=".tflite files, or folders of them")
    parser.add_argument("--samples", type=int, default=6, help="random samples per model (default 6)")
    parser.add_argument(
        "--optimize",
        type=Optimization,
        default=Optimization.SPEED,
        metavar="speed|size",
        help="as of mcu-ser generate (default speed)",
    )
    parser.add_argument(
        "--winograd-bytes",
        type=int,
        default=0,
        metavar="N",
        help="flash for Winograd's algorithm (default 0)",
    )
    parser.add_argument("--tflm-root", type=Path, metavar="DIR", help="a tree of TFLite-Micro with CMSIS-NN")
    parser.add_argument("--tflm-library", type=Path, metavar="FILE", help="which of the tree's libraries")
    arguments = parser.parse_args()
    given = arguments.models or [MODELS]
    arguments.models = [
        path for item in given for path in (sorted(item.glob("*.tflite")) if item.is_dir() else [item])
    ]
    if not arguments.models:
        parser.error(f"no .tflite in {', '.join(map(str, given))}")
    return arguments


def main() -> int:
    """Measure every model."""
    arguments = parse_arguments()
    columns = ("instructions", 12), ("weights", 9), ("code", 9), ("of layers", 9), ("RAM", 9)
    print(f"{'model':20}", *(f"{name:>{width}}" for name, width in columns), "  identical")
    results = []
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        for model in arguments.models:
            result = measure(
                model,
                arguments.samples,
                arguments.optimize,
                directory,
                winograd_bytes=arguments.winograd_bytes,
            )
            if arguments.tflm_root:
                library = TflmLibrary(arguments.tflm_root, arguments.tflm_library)
                result = replace(result, tflm=measure_tflm(model, arguments.samples, library, directory))
            results.append(result)
            show(result)
    ratios = [r.instructions / r.tflm.instructions for r in results if r.tflm]
    if ratios:
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        print(f"instructions, geometric mean of the ratios: {mean:.3f}")
    return 0 if all(result.is_exact for result in results) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except McuSerError as error:
        sys.exit(f"bench_engines: {error}")
