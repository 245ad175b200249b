# SPDX-License-Identifier: Apache-2.0
"""Turns a converted .tflite into the figures that decide whether it may go on to a chip, and decides.

Checks what the converter actually wrote: operators, types, zeros and sizes, each against the recipe.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import tflite

from mcu_ser.errors import BudgetError, CheckFailedError, ModelError

if TYPE_CHECKING:
    from mcu_ser.recipe import BudgetRecipe

# What the ahead-of-time engine's first cut executes.
OPERATORS = frozenset(
    {
        "ADD",
        "AVERAGE_POOL_2D",
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "FULLY_CONNECTED",
        "MAX_POOL_2D",
        "MEAN",
        "PAD",
        "RESHAPE",
        "SOFTMAX",
    }
)
# The kernels that pruning makes sparse; depthwise kernels it leaves dense.
PRUNED_OPERATORS = frozenset({"CONV_2D", "FULLY_CONNECTED"})

_NAMES: dict[int, str] = {
    value: name for name, value in vars(tflite.BuiltinOperator).items() if not name.startswith("_")
}


@dataclass(frozen=True)
class Layer:
    """One operator of the file.

    Args:
        operator: Its name in the TFLite schema.
        name: Of its output tensor.
        weights: Number of its int8 weights; 0 for an operator without.
        zeros: How many of them are 0.
        activation_bytes: Of all activations alive while it runs, its input and output among them.
    """

    operator: str
    name: str
    weights: int
    zeros: int
    activation_bytes: int


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
                    "activation_bytes": layer.activation_bytes,
                }
                for layer in self.layers
            ],
        }


def read_model_file(model: bytes, name: str) -> ModelFile:
    """The figures of a model that the converter has just written.

    Raises:
        ModelError: An operator outside the first cut, or a tensor that is neither int8 nor int32.
    """
    root = tflite.Model.GetRootAsModel(model, 0)
    graph = root.Subgraphs(0)
    last_use = _last_uses(graph)
    first_use = _first_uses(graph)
    layers = []
    constants: dict[int, int] = {}
    for index in range(graph.OperatorsLength()):
        operator = graph.Operators(index)
        kind = _operator_name(root.OperatorCodes(operator.OpcodeIndex()))
        if kind not in OPERATORS:
            raise ModelError(
                name, f"operator {kind} at layer {index} is not supported", limit=", ".join(sorted(OPERATORS))
            )
        weights = zeros = 0
        for tensor_index in operator.InputsAsNumpy():
            content = root.Buffers(graph.Tensors(tensor_index).Buffer()).DataAsNumpy()
            _check_type(graph.Tensors(tensor_index), f"{name}: layer {index} ({kind})")
            # The binding answers 0 for an absent vector.
            if isinstance(content, int):
                continue
            constants[int(tensor_index)] = content.nbytes
            if graph.Tensors(tensor_index).Type() == tflite.TensorType.INT8:
                weights, zeros = content.size, int(np.count_nonzero(content == 0))
        output = graph.Tensors(operator.Outputs(0))
        _check_type(output, f"{name}: layer {index} ({kind})")
        alive = [t for t, first in first_use.items() if first <= index <= last_use.get(t, first)]
        layers.append(
            Layer(kind, output.Name().decode(), weights, zeros, sum(_bytes(graph.Tensors(t)) for t in alive))
        )
    return ModelFile(tuple(layers), sum(constants.values()), len(model))


def check_model_file(file: ModelFile, *, sparsity_fraction: float, budget: BudgetRecipe) -> None:
    """Refuse a model that is not as sparse or as small as the recipe asks.

    Raises:
        CheckFailedError: A layer's zeros are fewer than pruning should have left.
        BudgetError: Too many bytes of weights or activations.
    """
    for layer in file.layers:
        # TFMOT keeps round(n * (1 - sparsity)) weights of a kernel.
        least = layer.weights - round(layer.weights * (1 - sparsity_fraction))
        if layer.operator in PRUNED_OPERATORS and layer.zeros < least:
            raise CheckFailedError(
                f"model.tflite layer {layer.name}",
                f"{layer.zeros} of {layer.weights} weights are zero",
                limit=f"at least {least} (sparsity_fraction {sparsity_fraction})",
            )
    largest = max(file.layers, key=lambda layer: layer.weights)
    if file.weight_bytes > budget.weight_bytes:
        raise BudgetError(
            "model.tflite",
            f"weights take {file.weight_bytes} B (largest: {largest.name}, {largest.weights} B)",
            limit=f"{budget.weight_bytes} B",
            hint="a smaller training.width",
        )
    busiest = max(file.layers, key=lambda layer: layer.activation_bytes)
    if file.peak_activation_bytes > budget.activation_bytes:
        raise BudgetError(
            "model.tflite",
            f"activations take {file.peak_activation_bytes} B (at {busiest.operator} {busiest.name})",
            limit=f"{budget.activation_bytes} B",
            hint="a smaller training.width or fewer features.frames",
        )


def _operator_name(code: Any) -> str:
    # Codes below 127 were once stored in one byte; the converter still fills that field.
    value = int(max(code.BuiltinCode(), code.DeprecatedBuiltinCode()))
    return _NAMES.get(value, f"number {value}")


def _check_type(tensor: Any, subject: str) -> None:
    if tensor.Type() not in {tflite.TensorType.INT8, tflite.TensorType.INT32}:
        raise ModelError(subject, f"tensor {tensor.Name().decode()} is not int8")


def _bytes(tensor: Any) -> int:
    return math.prod(int(extent) for extent in tensor.ShapeAsNumpy())


def _first_uses(graph: Any) -> dict[int, int]:
    """Index of the operator that writes each activation; the input is there from the start."""
    first = {int(graph.Inputs(0)): 0}
    for index in range(graph.OperatorsLength()):
        first[int(graph.Operators(index).Outputs(0))] = index
    return first


def _last_uses(graph: Any) -> dict[int, int]:
    """Index of the operator that last reads each tensor; the output stays to the end."""
    last: dict[int, int] = {}
    for index in range(graph.OperatorsLength()):
        for tensor in graph.Operators(index).InputsAsNumpy():
            last[int(tensor)] = index
    last[int(graph.Outputs(0))] = graph.OperatorsLength()
    return last
