# SPDX-License-Identifier: Apache-2.0
"""Limits of the engine on UNIDIRECTIONAL_SEQUENCE_LSTM; see `rules`.

The oracle refuses layers that are not plain, too. It runs those of other arithmetic than a converter's, and
ignores what they say about it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from mcu_ser.aot.ir import ABSENT, Activation, Graph, LstmOptions, Operator, Tensor
from mcu_ser.aot.lstm import (
    BIASES,
    CELL_STATE,
    FOREIGN,
    INPUT_WEIGHTS,
    OUTPUT_STATE,
    RECURRENT_WEIGHTS,
    REQUIRED,
    SUM_LIMIT,
    lstm,
)

# With a scale of 4 what tanh reads stays within int32; with 2^-29 no product of gates is shifted left.
_CELL_FRACTION_BITS = range(-2, 30)

# The kernel shifts by two more.
_GREATEST_LEFT = 29

_STATES = (OUTPUT_STATE, CELL_STATE)
_WEIGHTS = (*INPUT_WEIGHTS, *RECURRENT_WEIGHTS)


def lstm_has_four_gates(graph: Graph, operator: Operator) -> str | None:
    """Weights and biases of all four gates and both states must be given."""
    missing = [place for place in REQUIRED if operator.inputs[place] == ABSENT]
    return f"operand {missing[0]} is not given" if missing else None


def lstm_is_plain(graph: Graph, operator: Operator) -> str | None:
    """It must have no peephole weights, no projection and no layer normalisation."""
    for what, places in FOREIGN.items():
        if any(operator.inputs[place] != ABSENT for place in places):
            return f"it has {what}"
    options = operator.options
    assert isinstance(options, LstmOptions)
    return "its recurrent weights are diagonals" if options.diagonal else None


def lstm_operands_have_their_type(graph: Graph, operator: Operator) -> str | None:
    """Weights must be INT8, biases INT32, the output state INT8 and the cell state INT16."""
    types = {**dict.fromkeys(_WEIGHTS, "INT8"), **dict.fromkeys(BIASES, "INT32")}
    types |= {OUTPUT_STATE: "INT8", CELL_STATE: "INT16"}
    for place, tensor in _operands(graph, operator, tuple(types)):
        if tensor.dtype != types[place]:
            return f"{tensor.name} is {tensor.dtype}"
    return None


def gates_are_constant(graph: Graph, operator: Operator) -> str | None:
    """Weights and biases must be constants, and states variables."""
    for _, tensor in _operands(graph, operator, (*_WEIGHTS, *BIASES)):
        if tensor.data is None:
            return f"{tensor.name} is computed"
    for _, tensor in _operands(graph, operator, _STATES):
        if not tensor.is_variable:
            return f"{tensor.name} is no variable"
    return None


def sequence_makes_output(graph: Graph, operator: Operator) -> str | None:
    """The input must be one sequence, steps x inputs, and the output steps x cells, with a batch of 1."""
    layer = lstm(graph, operator)
    if len(layer.input.shape) != 3 or len(layer.output.shape) != 3 or layer.batch != 1:
        return f"{layer.input.shape_text} to {layer.output.shape_text}"
    if layer.input.shape[:2] != layer.output.shape[:2]:
        return f"{layer.input.shape_text} to {layer.output.shape_text}"
    return None


def gates_fit_sequence(graph: Graph, operator: Operator) -> str | None:
    """Weights must be cells x inputs and cells x cells, with one bias and one of each state per cell."""
    layer = lstm(graph, operator)
    shapes = {
        **dict.fromkeys(INPUT_WEIGHTS, (layer.cells, layer.inputs)),
        **dict.fromkeys(RECURRENT_WEIGHTS, (layer.cells, layer.cells)),
        **dict.fromkeys(BIASES, (layer.cells,)),
    }
    for place, tensor in _operands(graph, operator, tuple(shapes)):
        if tensor.shape != shapes[place]:
            return f"{tensor.name} is {tensor.shape_text} for {layer.inputs} inputs, {layer.cells} cells"
    for _, tensor in _operands(graph, operator, _STATES):
        if tensor.elements != layer.cells:
            return f"{tensor.name} is {tensor.shape_text} for {layer.cells} cells"
    return None


def gates_are_symmetric(graph: Graph, operator: Operator) -> str | None:
    """Weights must be quantised with one scale and zero point 0."""
    for _, tensor in _operands(graph, operator, _WEIGHTS):
        quantization = tensor.quantization
        if quantization is None:
            return f"{tensor.name} has none"
        if len(quantization.scales) != 1:
            return f"{tensor.name} has {len(quantization.scales)} scales"
        if not (math.isfinite(tensor.scale) and tensor.scale >= 0 and tensor.zero_point == 0):
            return f"{tensor.name} has scale {tensor.scale:g}, zero point {tensor.zero_point}"
    return None


def output_state_is_quantised(graph: Graph, operator: Operator) -> str | None:
    """The output state must have one scale above 2^-29, at most 2, and one zero point of -128 .. 127."""
    # The oracle copies the state to the output, whatever scale that has. Converters give it another one where
    # a CONCATENATION joins two directions.
    layer = lstm(graph, operator)
    state = layer.output_state
    if state.quantization is None or len(state.quantization.scales) != 1:
        return f"{state.name} has no such quantisation"
    usable = math.isfinite(state.scale) and state.scale > 0 and -128 <= state.zero_point <= 127
    # Values of two gates are scaled down to the output, by a shift that a register has.
    if not (usable and -30 <= layer.output_multiplier.shift <= -1):
        return f"{state.name} has scale {state.scale:g}, zero point {state.zero_point}"
    return None


def cell_scale_is_power_of_two(graph: Graph, operator: Operator) -> str | None:
    """The cell state's scale must be a power of 2 of 2^-29 .. 4, its zero point 0."""
    layer = lstm(graph, operator)
    quantization = layer.cell_state.quantization
    if quantization is None or len(quantization.scales) != 1:
        return "it has no such quantisation"
    scale, zero_point = layer.cell_state.scale, layer.cell_state.zero_point
    usable = math.isfinite(scale) and scale > 0 and zero_point == 0
    if not usable or layer.cell_fraction_bits not in _CELL_FRACTION_BITS:
        return f"scale {scale:g}, zero point {zero_point}"
    return None


def lstm_activation_is_tanh(graph: Graph, operator: Operator) -> str | None:
    """The activation must be TANH, the limit of the cell state at least 0 (without limit) and finite."""
    options = operator.options
    assert isinstance(options, LstmOptions)
    if options.activation is not Activation.TANH:
        return f"it is {options.activation.name}"
    clip = options.cell_clip
    return None if math.isfinite(clip) and clip >= 0 else f"the limit is {clip:g}"


def gates_fit_int32(graph: Graph, operator: Operator) -> str | None:
    """No int8 input may make a gate's sum 2^29, shifted as its scale says."""
    layer = lstm(graph, operator)
    for product in layer.products:
        low, high = product.range
        left = max(product.multiplier.shift, 0)
        # Sums that are always 0 have no limit, registers have one.
        if left > _GREATEST_LEFT or max(-low, high) << left >= SUM_LIMIT:
            return f"the {product.gate} gate reaches {low} .. {high} with scale {product.scale:g}"
    return None


def _operands(graph: Graph, operator: Operator, places: tuple[int, ...]) -> Iterator[tuple[int, Tensor]]:
    for place in places:
        yield place, graph.tensors[operator.inputs[place]]
