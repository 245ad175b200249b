# SPDX-License-Identifier: Apache-2.0
"""Turns a converted .tflite into the figures that decide whether it may go on to a chip, and decides.

Checks what the converter actually wrote, each against the recipe: operators, zeros and sizes. What operators
there may be, and how long an activation lives, are the engine's facts and are asked of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mcu_ser.aot.arena import live_bytes
from mcu_ser.aot.ir import ABSENT
from mcu_ser.aot.kernels.sparse import BLOCK
from mcu_ser.aot.lifetimes import find_buffers
from mcu_ser.aot.passes import find_aliases
from mcu_ser.aot.supported import check_supported
from mcu_ser.aot.tflite_reader import read_model
from mcu_ser.errors import BudgetError, CheckFailedError

if TYPE_CHECKING:
    from mcu_ser.aot.ir import Constant, Graph, Operator
    from mcu_ser.recipe import BudgetRecipe, PruningRecipe

# The kernels that pruning makes sparse; depthwise kernels it leaves dense.
PRUNED_OPERATORS = frozenset({"CONV_2D", "FULLY_CONNECTED"})


@dataclass(frozen=True)
class Layer:
    """One operator of the file.

    Args:
        operator: Its name in the TFLite schema.
        name: Of its output tensor.
        weights: Number of its int8 weights; 0 for an operator without.
        zeros: How many of them are 0.
        blocks: Fours of weights along the input channels, if these are a multiple of four, else 0.
        zero_blocks: How many of them are 0 altogether.
        activation_bytes: Of all activations alive while it runs, its input and output among them.
    """

    operator: str
    name: str
    weights: int
    zeros: int
    activation_bytes: int
    blocks: int = 0
    zero_blocks: int = 0


@dataclass(frozen=True)
class ModelFile:
    """What is in a converted model; constants are counted as stored, int32 biases among them."""

    layers: tuple[Layer, ...]
    constant_bytes: int
    file_bytes: int

    @property
    def weight_bytes(self) -> int:
        """Int8 weights of all layers."""
        return sum(layer.weights for layer in self.layers)

    @property
    def peak_activation_bytes(self) -> int:
        """Most bytes of activations that are alive at once."""
        return max(layer.activation_bytes for layer in self.layers)

    @property
    def sparsity_fraction(self) -> float:
        """Zeros among all weights that pruning may remove."""
        pruned = [layer for layer in self.layers if layer.operator in PRUNED_OPERATORS]
        return sum(layer.zeros for layer in pruned) / max(1, sum(layer.weights for layer in pruned))

    def as_document(self) -> dict[str, Any]:
        """For metrics.json."""
        return {
            "file_bytes": self.file_bytes,
            "constant_bytes": self.constant_bytes,
            "weight_bytes": self.weight_bytes,
            "peak_activation_bytes": self.peak_activation_bytes,
            "sparsity_fraction": self.sparsity_fraction,
            "layers": [
                {
                    "operator": layer.operator,
                    "name": layer.name,
                    "weights": layer.weights,
                    "zeros": layer.zeros,
                    "zero_blocks": layer.zero_blocks,
                    "activation_bytes": layer.activation_bytes,
                }
                for layer in self.layers
            ],
        }


def read_model_file(model: bytes, name: str) -> ModelFile:
    """The figures of a model that the converter has just written.

    Raises:
        ModelError: The engine does not support the model.
    """
    graph = read_model(model, name)
    check_supported(graph)
    buffers = find_buffers(graph, find_aliases(graph))
    layers = []
    for operator in graph.operators:
        weights = _int8_constants(graph, operator)
        # The innermost dimension of convolution and fully connected weights counts input channels.
        fours = [data.reshape(-1, BLOCK) for data in weights if data.ndim and data.shape[-1] % BLOCK == 0]
        layers.append(
            Layer(
                operator=operator.opcode,
                name=graph.results(operator)[0].name,
                weights=sum(data.size for data in weights),
                zeros=sum(int(np.count_nonzero(data == 0)) for data in weights),
                activation_bytes=live_bytes(buffers, operator.index),
                blocks=sum(len(blocks) for blocks in fours),
                zero_blocks=sum(int(np.count_nonzero(~blocks.any(axis=1))) for blocks in fours),
            )
        )
    constants = [tensor.data for tensor in graph.tensors if tensor.data is not None]
    return ModelFile(tuple(layers), sum(data.nbytes for data in constants), len(model))


def _int8_constants(graph: Graph, operator: Operator) -> list[Constant]:
    tensors = [graph.tensors[index] for index in operator.inputs if index != ABSENT]
    return [tensor.data for tensor in tensors if tensor.data is not None and tensor.dtype == "INT8"]


def check_model_file(file: ModelFile, *, pruning: PruningRecipe, budget: BudgetRecipe) -> None:
    """Refuse a model that is not as sparse or as small as the recipe asks.

    Raises:
        CheckFailedError: A layer's zeros are fewer than pruning should have left.
        BudgetError: Too many bytes of weights or activations.
    """
    for layer in file.layers:
        if layer.operator in PRUNED_OPERATORS:
            _check_zeros(layer, pruning)
    largest = max(file.layers, key=lambda layer: layer.weights)
    if file.weight_bytes > budget.weight_bytes:
        raise BudgetError(
            "model.tflite",
            f"weights take {file.weight_bytes} B (largest: {largest.name}, {largest.weights} B)",
            limit=f"{budget.weight_bytes} B",
            hint="a smaller model.width",
        )
    busiest = max(file.layers, key=lambda layer: layer.activation_bytes)
    if file.peak_activation_bytes > budget.activation_bytes:
        raise BudgetError(
            "model.tflite",
            f"activations take {file.peak_activation_bytes} B (at {busiest.operator} {busiest.name})",
            limit=f"{budget.activation_bytes} B",
            hint="a smaller model.width or fewer features.frames",
        )


def _check_zeros(layer: Layer, pruning: PruningRecipe) -> None:
    in_blocks = pruning.structure == "block4"
    count, zeros = (layer.blocks, layer.zero_blocks) if in_blocks else (layer.weights, layer.zeros)
    # TFMOT keeps round(n * (1 - sparsity)) of a kernel, and one at least.
    least = min(count - round(count * (1 - pruning.sparsity_fraction)), max(count - 1, 0))
    if zeros < least:
        raise CheckFailedError(
            f"model.tflite layer {layer.name}",
            f"{zeros} of {count} {'blocks of four weights' if in_blocks else 'weights'} are zero",
            limit=f"at least {least} (sparsity_fraction {pruning.sparsity_fraction})",
        )
