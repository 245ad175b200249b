# SPDX-License-Identifier: Apache-2.0
"""Measures again what mcu_ser/aot/cost.py says: .venv/bin/python tools/fit_layer_cost.py [MODEL...].

Counts the instructions of small layers of many shapes on the emulated Cortex-M4, built for speed and for
size, and fits a price to every part of every kernel by least squares of the relative error, less those whose
price would be negative. That is for the parts that are compiled; those in assembly have as many instructions
as their source says. Prints each kernel's greatest error and every layer whose fitted prediction is off by
more than --beyond; with --write it replaces mcu_ser/aot/*_prices.py, which `ruff format` then puts in shape.
For models (default: all of ../shared/models) prints each layer, measured and as predicted before.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np

# The repository, for the models of its tests.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mcu_ser.aot.compile import CompiledModel, compile_model
from mcu_ser.aot.cost import ASSEMBLY, SHARED, SIZE_ASSEMBLY, instructions_of
from mcu_ser.aot.kernel_build import Build
from mcu_ser.aot.kernel_work import Parts, work_of
from mcu_ser.aot.kernels.kernel_call import KernelCall
from mcu_ser.aot.narrow_choice import STRIP_BYTES
from mcu_ser.aot.optimization import Optimization
from tests.cortex_m4_layers import FAST, SMALL, count_instructions, missing_tools
from tests.layer_shapes import depthwise_shapes, winograd_shapes
from tests.measured_shapes import (
    by_header,
    depthwise_in_plain_c,
    shapes,
    zero_shapes,
    zeros_never_stored,
)
from tests.random_narrow import narrow_shapes, narrow_wherever_exact, never_narrow
from tests.random_winograd import winograd_wherever_exact

ROOT = Path(__file__).resolve().parents[1]
MODELS = ROOT.parent / "shared" / "models"

# A part below it has no price.
_LEAST_PRICE = 0.01

# Functions of their own in every build.
_NEVER_ALONE = frozenset({"compact_depthwise.h", "compact_products.h"})

# It has functions of kernels of 16-bit activations, beside which no model has it.
_APART = frozenset({"lstm.h"})

_FLAGS = {Optimization.SPEED: FAST, Optimization.SIZE: SMALL}

_SMALL = "for size (gcc 12.2 -Os)"
_TABLES = {
    Build.SPEED: ("SPEED_PRICES", "for speed (gcc 12.2 -O2)"),
    Build.SIZE: ("SIZE_PRICES", f"{_SMALL}, as one function for several layers"),
    Build.SIZE_ALONE: ("SIZE_ALONE_PRICES", f"{_SMALL}, in the place of its only call"),
}
_KNOWN = {Build.SPEED: ASSEMBLY, Build.SIZE: SIZE_ASSEMBLY, Build.SIZE_ALONE: SIZE_ASSEMBLY}


@dataclass(frozen=True)
class Measurement:
    """A layer: what its kernel does, and how many instructions that takes."""

    text: str
    work: Parts
    instructions: int


Found = dict[str, list[Measurement]]


def measure(models: Sequence[CompiledModel], directory: Path, build: Build) -> Found:
    """Every layer of models of one layer, by kernel."""
    found = defaultdict(list)
    flags = FAST if build is Build.SPEED else SMALL
    for model, (instructions,) in zip(models, count_instructions(models, directory, flags), strict=True):
        layer, call = model.layers[0], model.calls[0]
        work = _work(call, build)
        text = f"{layer.operator} {layer.input_shapes[0]} to {layer.output_shape}"
        if work is None:
            print(f"{call.kernel}: no parts are known; {text} takes {instructions}")
            continue
        found[SHARED.get(call.kernel, call.kernel)].append(Measurement(text, work, instructions))
    return dict(found)


def _work(call: KernelCall, build: Build) -> Parts | None:
    """Parts of all calls of a layer, which have one kernel."""
    total: defaultdict[str, float] = defaultdict(float)
    for step in call.steps():
        work = work_of(step, build)
        if work is None or step.kernel != call.kernel:
            return None
        for part, runs in work.items():
            total[part] += runs
    return dict(total)


def measure_for_speed(directory: Path) -> Found:
    """Layers of every kernel that a build for speed has."""

    def measured(files: Iterable[bytes], name: str) -> Found:
        return measure([compile_model(file) for file in files], directory / name, Build.SPEED)

    with never_narrow():
        found = measured(shapes(), "shapes")
    with narrow_wherever_exact(STRIP_BYTES[0]):
        found |= measured(narrow_shapes(), "narrow")
    with winograd_wherever_exact():
        found |= measured(winograd_shapes(), "winograd")
    with depthwise_in_plain_c():
        found |= measured(depthwise_shapes(), "depthwise")
    return found


def measure_for_size(directory: Path) -> Found:
    """Layers of every kernel that a build for size has, those that share functions in one program."""
    models = _small(shapes())
    with zeros_never_stored():
        models += _small(zero_shapes())
    return _together(by_header(models), directory / "size", Build.SIZE)


def measure_alone(directory: Path) -> Found:
    """Layers of kernels that the compiler may put in the place of their call: one of each to a program."""
    groups = by_header([model for model in _small(shapes()) if _may_be_alone(model.calls[0])])
    mixed = zip_longest(*(group for group in groups if group[0].calls[0].header not in _APART))
    programs = [[model for model in program if model is not None] for program in mixed]
    programs += [[model] for group in groups for model in group if model.calls[0].header in _APART]
    return _together(programs, directory / "alone", Build.SIZE_ALONE)


def _may_be_alone(call: KernelCall) -> bool:
    return len(call.steps()) == 1 and call.header not in _NEVER_ALONE


def _together(programs: Iterable[list[CompiledModel]], directory: Path, build: Build) -> Found:
    """What is found in several programs."""
    found: Found = {}
    for number, models in enumerate(programs):
        for kernel, layers in measure(models, directory / str(number), build).items():
            found.setdefault(kernel, []).extend(layers)
    return found


def _small(files: Iterable[bytes]) -> list[CompiledModel]:
    return [compile_model(file, optimization=Optimization.SIZE) for file in files]


def fit(layers: list[Measurement], known: Mapping[str, int]) -> dict[str, float]:
    """Prices of the parts of one kernel whose price is not known; those of no price are left out."""
    parts = sorted({part for layer in layers for part in layer.work if part not in known})
    counts = np.array([[layer.work.get(part, 0) for part in parts] for layer in layers], float)
    measured = np.array([layer.instructions for layer in layers], float)
    rest = 1 - np.array([instructions_of(known, layer.work) for layer in layers]) / measured
    kept = list(range(len(parts)))
    while kept:
        prices = np.linalg.lstsq((counts / measured[:, None])[:, kept], rest, rcond=None)[0]
        least = int(np.argmin(prices))
        if prices[least] > _LEAST_PRICE:
            return {parts[at]: float(f"{price:.3g}") for at, price in zip(kept, prices, strict=True)}
        del kept[least]
    return {}


def table_lines(found: Found, known: Mapping[str, Mapping[str, int]], beyond: float) -> list[str]:
    """The fitted prices as the table has them; prints what they predict badly."""
    lines = []
    for kernel, layers in sorted(found.items()):
        prices = fit(layers, known.get(kernel, {}))
        every = {**known.get(kernel, {}), **prices}
        errors = [instructions_of(every, layer.work) / layer.instructions - 1 for layer in layers]
        greatest = max(map(abs, errors))
        lines.append(f'    "{kernel}": KernelCost({prices}, {greatest:.3f}),')
        print(f"{kernel}: {len(layers)} layers, greatest error {greatest:.1%}")
        for layer, error in zip(layers, errors, strict=True):
            if abs(error) > beyond:
                print(f"    {layer.text}: {layer.instructions}, predicted {error:+.1%}")
    return lines


def write_table(build: Build, lines: list[str]) -> None:
    """Replace the module that holds the prices."""
    name, how = _TABLES[build]
    text = f'''# SPDX-License-Identifier: Apache-2.0
"""Prices of the parts of each kernel {how}.

Written by tools/fit_layer_cost.py. Beside the prices stands the greatest relative error over the layers that
were measured.
"""

from __future__ import annotations

from collections.abc import Mapping

from mcu_ser.aot.kernel_cost import KernelCost

{name}: Mapping[str, KernelCost] = {{
'''
    path = ROOT / "mcu_ser" / "aot" / f"{name.lower()}.py"
    path.write_text(text + "\n".join(lines) + "\n}\n", encoding="utf-8")
    print(f"wrote {path}")


def show_model(model: CompiledModel, counts: list[int]) -> None:
    """Print every layer of a model, measured and as predicted."""
    total = 0
    for layer, measured in zip(model.layers, counts, strict=True):
        predicted = layer.predicted_instructions
        total += predicted or 0
        relative = f"{predicted / measured - 1:+8.1%}" if predicted is not None and measured else ""
        print(f"{layer.index:4} {layer.kernel or '-':28} {measured:12,} {predicted or 0:12,} {relative}")
    print(f"{'all':>33} {sum(counts):12,} {total:12,} {total / sum(counts) - 1:+8.1%}")


def main() -> int:
    """Measure, fit, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", type=Path, help=".tflite files")
    parser.add_argument("--beyond", type=float, default=0.1, help="relative error to speak of (default 0.1)")
    parser.add_argument("--write", action="store_true", help="replace the tables of prices")
    arguments = parser.parse_args()
    if missing_tools():
        parser.error(f"not installed: {', '.join(missing_tools())}")
    with tempfile.TemporaryDirectory() as directory:
        for build, measured in (
            (Build.SPEED, measure_for_speed),
            (Build.SIZE, measure_for_size),
            (Build.SIZE_ALONE, measure_alone),
        ):
            print(f"\n{_TABLES[build][1]}")
            lines = table_lines(measured(Path(directory)), _KNOWN[build], arguments.beyond)
            if arguments.write:
                write_table(build, lines)
        for optimization in Optimization:
            for path in arguments.models or sorted(MODELS.glob("*.tflite")):
                model = compile_model(path.read_bytes(), path.stem, optimization=optimization)
                print(f"\n{path.stem}, for {optimization.value}")
                place = Path(directory) / optimization.value / path.stem
                show_model(model, count_instructions([model], place, _FLAGS[optimization])[0])
    return 0


if __name__ == "__main__":
    sys.exit(main())
