# SPDX-License-Identifier: Apache-2.0
"""Measures again what mcu_ser/aot/cost.py says: .venv/bin/python tools/fit_layer_cost.py [MODEL...].

Counts the instructions of small layers of many shapes on the emulated Cortex-M4 and fits a price to every
part of every kernel by least squares of the relative error, less those whose price would be negative. That is
for the parts that are compiled; those in assembly have as many instructions as their source says. Prints the
table as cost.py holds it, with the greatest error of each kernel, and every layer whose present prediction is
off by more than --beyond. For models (default: all of ../shared/models) prints each layer, measured and as
predicted.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# The repository, for the models of its tests.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mcu_ser.aot.compile import CompiledModel, compile_model
from mcu_ser.aot.cost import ASSEMBLY, KERNEL_COSTS
from mcu_ser.aot.kernel_work import Parts, work_of
from mcu_ser.aot.kernels import KERNELS
from mcu_ser.aot.kernels.fully_connected import call_direct
from mcu_ser.aot.narrow_choice import STRIP_BYTES
from tests.cortex_m4_layers import count_instructions, missing_tools
from tests.layer_shapes import shapes, winograd_shapes
from tests.random_narrow import narrow_shapes, narrow_wherever_exact, never_narrow
from tests.random_winograd import winograd_wherever_exact

MODELS = Path(__file__).resolve().parents[2] / "shared" / "models"

# Kernels that share their prices with another.
SHARED = {
    "aot_average_pool_2d": "aot_max_pool_2d",
    "aot_conv_2d_bytes": "aot_conv_2d_matmul",
    "aot_conv_2d_copied": "aot_conv_2d_matmul",
}

# A part below it has no price.
_LEAST_PRICE = 0.01


@dataclass(frozen=True)
class Measurement:
    """A layer: what its kernel does, and how many instructions that takes."""

    text: str
    work: Parts
    instructions: int


def measure(files: Iterable[bytes], directory: Path) -> dict[str, list[Measurement]]:
    """Every layer of models of one layer, by kernel."""
    models = [compile_model(file) for file in files]
    found = defaultdict(list)
    for model, (instructions,) in zip(models, count_instructions(models, directory), strict=True):
        operator = model.graph.operators[0]
        layer = model.layers[0]
        call = KERNELS[operator.opcode](model.graph, operator)
        if operator.opcode == "FULLY_CONNECTED" and layer.kernel != call.kernel:
            call = call_direct(model.graph, operator) or call
        work = work_of(call)
        text = f"{layer.operator} {layer.input_shapes[0]} to {layer.output_shape}"
        if work is None:
            print(f"{call.kernel}: no parts are known; {text} takes {instructions}")
            continue
        found[SHARED.get(call.kernel, call.kernel)].append(Measurement(text, work, instructions))
    return dict(found)


def fit(kernel: str, layers: list[Measurement]) -> dict[str, float]:
    """Prices of the parts of one kernel that are compiled; those of no price are left out."""
    exact = ASSEMBLY.get(kernel, {})
    parts = sorted({part for layer in layers for part in layer.work if part not in exact})
    counts = np.array([[layer.work.get(part, 0) for part in parts] for layer in layers], float)
    measured = np.array([layer.instructions for layer in layers], float)
    known = np.array([sum(price * layer.work.get(p, 0) for p, price in exact.items()) for layer in layers])
    kept = list(range(len(parts)))
    while True:
        prices = np.linalg.lstsq((counts / measured[:, None])[:, kept], 1 - known / measured, rcond=None)[0]
        least = int(np.argmin(prices))
        if prices[least] > _LEAST_PRICE:
            return {parts[at]: float(f"{price:.3g}") for at, price in zip(kept, prices, strict=True)}
        del kept[least]


def error(prices: dict[str, float], layer: Measurement) -> float:
    """Relative error of a prediction."""
    predicted = sum(price * layer.work.get(part, 0) for part, price in prices.items())
    return predicted / layer.instructions - 1


def show_table(found: dict[str, list[Measurement]], beyond: float) -> None:
    """Print the table, and what the present one predicts badly."""
    for kernel, layers in sorted(found.items()):
        prices = fit(kernel, layers)
        errors = [error({**ASSEMBLY.get(kernel, {}), **prices}, layer) for layer in layers]
        greatest = max(map(abs, errors))
        print(f'    "{kernel}": _cost("{kernel}", {greatest:.3f}, {prices}),')
        cost = KERNEL_COSTS.get(kernel)
        for layer in layers if cost else ():
            now = error(dict(cost.prices), layer) if cost else 0.0
            if abs(now) > beyond:
                print(f"        # {layer.text}: {layer.instructions}, predicted {now:+.1%}")


def show_model(model: CompiledModel, counts: list[int]) -> None:
    """Print every layer of a model, measured and as predicted."""
    print(f"\n{model.name}")
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
    arguments = parser.parse_args()
    if missing_tools():
        parser.error(f"not installed: {', '.join(missing_tools())}")
    with tempfile.TemporaryDirectory() as directory:
        with never_narrow():
            found = measure(shapes(), Path(directory) / "shapes")
        with narrow_wherever_exact(STRIP_BYTES[0]):
            found |= measure(narrow_shapes(), Path(directory) / "narrow")
        with winograd_wherever_exact():
            found |= measure(winograd_shapes(), Path(directory) / "winograd")
        show_table(found, arguments.beyond)
        for path in arguments.models or sorted(MODELS.glob("*.tflite")):
            model = compile_model(path.read_bytes(), path.stem)
            show_model(model, count_instructions([model], Path(directory) / path.stem)[0])
    return 0


if __name__ == "__main__":
    sys.exit(main())
