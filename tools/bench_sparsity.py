# SPDX-License-Identifier: Apache-2.0
"""What zeros buy on the emulated Cortex-M4: .venv/bin/python tools/bench_sparsity.py MODEL....

Makes the weakest weights of each model zero, builds the model as it was and with zeros, and runs random
samples of both on the emulated board, where every output must be the oracle's. What a model learned suffers;
bytes and instructions do not depend on it. As `mcu-ser compress` has it, kernels of convolutions and dense
layers lose weights, by blocks of four input channels or one by one, and depthwise kernels none; nor do, by
blocks, kernels whose input channels are no multiple of four. Printed are bytes of constants, with the
parameters that any layer has (16 bytes per channel) and apart from them, and instructions per inference.
Exits with 1 if a byte differs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

# The repository, for its other tools.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mcu_ser.aot.compile import Layer, compile_model
from mcu_ser.aot.ir import Graph
from mcu_ser.aot.kernels.sparse import BLOCK
from mcu_ser.aot.optimization import Optimization
from mcu_ser.aot.tflite_reader import read_model
from mcu_ser.aot.weighted import CHANNEL_AXIS
from mcu_ser.artifacts import write_bytes
from mcu_ser.errors import McuSerError
from tools.bench_engines import measure

STRUCTURES = {"block4": BLOCK, "unstructured": 1}
PRUNED = ("CONV_2D", "FULLY_CONNECTED")
# Bias, multiplier, constant and shift of a channel.
PARAMETER_BYTES = 16

FloatArray = npt.NDArray[np.float64]
MaskArray = npt.NDArray[np.bool_]


def with_zeros(file: bytes, fraction: float, structure: str) -> bytes:
    """The .tflite with the weakest weights of each layer zero.

    Args:
        file: A model of int8 weights.
        fraction: Of a layer's blocks, in [0, 1]; the same of its weights.
        structure: One of `STRUCTURES`.

    Raises:
        ModelError: It is no .tflite, or damaged.
    """
    import tflite

    graph = read_model(file)
    zeroed = bytearray(file)
    model = tflite.Model.GetRootAs(zeroed, 0)
    for index in _pruned_tensors(graph, STRUCTURES[structure]):
        kept = _strongest(_magnitudes(graph, index), fraction, STRUCTURES[structure])
        content = model.Buffers(model.Subgraphs(0).Tensors(index).Buffer()).DataAsNumpy()
        content[~kept.ravel()] = 0
    return bytes(zeroed)


def _pruned_tensors(graph: Graph, block: int) -> Iterator[int]:
    """Weights that may lose some, each once."""
    found = {operator.inputs[1] for operator in graph.operators if operator.opcode in PRUNED}
    for index in sorted(found):
        tensor = graph.tensors[index]
        if tensor.data is not None and tensor.dtype == "INT8" and tensor.shape[-1] % block == 0:
            yield index


def _magnitudes(graph: Graph, index: int) -> FloatArray:
    """The real weights without their signs; the first dimension is that of the output channels."""
    tensor = graph.tensors[index]
    assert tensor.data is not None
    assert tensor.quantization is not None
    scales = np.array(tensor.quantization.scales).reshape(-1, *[1] * (len(tensor.shape) - 1))
    return np.asarray(np.abs(tensor.data.astype(np.float64)) * scales)


def _strongest(magnitudes: FloatArray, fraction: float, block: int) -> MaskArray:
    """Which weights stay: those of the blocks of the greatest mean, of equal ones the last."""
    blocks = magnitudes.reshape(-1, block).mean(axis=1)
    kept = np.ones(blocks.size, np.bool_)
    kept[np.argsort(blocks, kind="stable")[: round(fraction * blocks.size)]] = False
    return np.repeat(kept, block).reshape(magnitudes.shape)


@dataclass(frozen=True)
class Taken:
    """What one build takes, by what is printed; `identical`: every output was the oracle's."""

    figures: Mapping[str, int]
    identical: bool


def taken(path: Path, pruned: frozenset[int], arguments: argparse.Namespace, directory: Path) -> Taken:
    """Build and run one model; `pruned` are the indices of the layers that lose weights."""
    model = compile_model(path.read_bytes(), path.stem, optimization=arguments.optimize)
    result = measure(path, arguments.samples, arguments.optimize, directory)
    some = [layer for layer in model.layers if layer.index in pruned]
    figures = {
        "bytes of constants": model.weight_bytes,
        "  apart from parameters": model.weight_bytes - _parameter_bytes(model.layers),
        "bytes of layers that lose some": sum(layer.weight_bytes for layer in some),
        "  apart from their parameters": sum(layer.weight_bytes for layer in some) - _parameter_bytes(some),
        "instructions": result.instructions,
    }
    return Taken(figures, result.is_exact)


def _parameter_bytes(layers: Iterable[Layer]) -> int:
    weighted = (layer for layer in layers if layer.operator in CHANNEL_AXIS)
    return sum(PARAMETER_BYTES * layer.output_shape[-1] for layer in weighted)


def show(dense: Taken, sparse: Taken) -> None:
    """Print the lines of one model."""
    for what, before in dense.figures.items():
        after = sparse.figures[what]
        print(f"  {what:31} {before:12,} {after:12,} {after / before:8.3f}")
    same = "all" if dense.identical and sparse.identical else "NOT all"
    print(f"  {same} outputs are the oracle's")


def bench(path: Path, arguments: argparse.Namespace, directory: Path) -> bool:
    """Measure one model; whether every byte was the oracle's."""
    file = path.read_bytes()
    graph = read_model(file, str(path))
    losing = frozenset(_pruned_tensors(graph, STRUCTURES[arguments.structure]))
    layers = [operator for operator in graph.operators if operator.opcode in CHANNEL_AXIS]
    pruned = frozenset(o.index for o in layers if o.opcode in PRUNED and o.inputs[1] in losing)
    sizes = {o.index: graph.tensors[o.inputs[1]].elements for o in layers}
    lose, all_weights = sum(sizes[index] for index in pruned), sum(sizes.values())
    print(f"{path.stem}: {lose:,} of {all_weights:,} weights are in layers that lose some")
    zeroed = directory / f"{path.stem}-zeroed.tflite"
    write_bytes(zeroed, with_zeros(file, arguments.fraction, arguments.structure))
    found = [taken(each, pruned, arguments, directory) for each in (path, zeroed)]
    show(*found)
    return all(each.identical for each in found)


def parse_arguments() -> argparse.Namespace:
    """What to measure, and how."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL", help=".tflite files")
    parser.add_argument("--fraction", type=float, default=0.75, help="of weights to make zero (default 0.75)")
    parser.add_argument("--structure", choices=STRUCTURES, default="block4", help="default block4")
    parser.add_argument("--samples", type=int, default=6, help="random samples per model (default 6)")
    parser.add_argument(
        "--optimize",
        type=Optimization,
        default=Optimization.SPEED,
        metavar="speed|size",
        help="as of mcu-ser generate (default speed)",
    )
    arguments = parser.parse_args()
    if not 0 <= arguments.fraction <= 1:
        parser.error(f"--fraction {arguments.fraction}: must be from 0 to 1")
    return arguments


def main() -> int:
    """Measure every model."""
    arguments = parse_arguments()
    print(f"{arguments.structure}, {arguments.fraction:.0%} zeros{'':16}as it was   with zeros    ratio")
    exact = True
    for path in arguments.models:
        with tempfile.TemporaryDirectory() as temporary:
            exact &= bench(path, arguments, Path(temporary))
    return 0 if exact else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except McuSerError as error:
        sys.exit(f"bench_sparsity: {error}")
