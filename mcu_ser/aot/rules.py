# SPDX-License-Identifier: Apache-2.0
"""Limits of the engine on one layer, one function each; the docstring is the text that the user reads.

A rule returns None where it holds, else what breaks it. Rules run in the order of `supported.RULES`; each may
rely on those before it. Where a limit is the oracle's (the TFLite-Micro interpreter refuses the layer, too),
a comment says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from mcu_ser.aot.ir import (
    ABSENT,
    Activation,
    AddOptions,
    FullyConnectedOptions,
    Graph,
    Operator,
    Tensor,
    WindowOptions,
)
from mcu_ser.aot.requantize import INT32_MAX, divide_binary32, scale_fits
from mcu_ser.aot.weighted import CHANNEL_AXIS, weighted
from mcu_ser.aot.window import depth_multiplier, window_of

# One kernel call each; the oracle joins up to 10 tensors in a CONCATENATION and any number in a PACK.
MAX_PARTS = 64

# Operands of an operator: fewest, most.
OPERANDS = {
    "ADD": (2, 2),
    "AVERAGE_POOL_2D": (1, 1),
    "ARG_MAX": (2, 2),
    "BATCH_MATMUL": (2, 2),
    "CONCATENATION": (1, 10),
    "CONV_2D": (2, 3),
    "DEPTHWISE_CONV_2D": (2, 3),
    "EXPAND_DIMS": (2, 2),
    "FULLY_CONNECTED": (2, 3),
    "L2_NORMALIZATION": (1, 1),
    "HARD_SWISH": (1, 1),
    "LEAKY_RELU": (1, 1),
    "LOGISTIC": (1, 1),
    "MAXIMUM": (2, 2),
    "MAX_POOL_2D": (1, 1),
    "MEAN": (2, 2),
    "MINIMUM": (2, 2),
    "MUL": (2, 2),
    "PACK": (1, MAX_PARTS),
    "PAD": (2, 3),
    "PADV2": (3, 3),
    "PRELU": (2, 2),
    "QUANTIZE": (1, 1),
    "REDUCE_MAX": (2, 2),
    "RELU": (1, 1),
    "RELU6": (1, 1),
    "RESHAPE": (1, 2),
    "RESIZE_NEAREST_NEIGHBOR": (2, 2),
    "REVERSE_V2": (2, 2),
    "SLICE": (3, 3),
    "SOFTMAX": (1, 1),
    "SPLIT": (2, 2),
    "SPLIT_V": (3, 3),
    "SQUEEZE": (1, 1),
    "STRIDED_SLICE": (4, 4),
    "SUM": (2, 2),
    "TRANSPOSE": (2, 2),
    "TRANSPOSE_CONV": (3, 4),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (24, 24),
    "UNPACK": (1, 1),
    "SUB": (2, 2),
    "TANH": (1, 1),
}

# Where the activations are among the operands; the first operand elsewhere.
_DATA_PLACES = {
    "ADD": slice(2),
    "BATCH_MATMUL": slice(2),
    "CONCATENATION": slice(None),
    "MAXIMUM": slice(2),
    "MINIMUM": slice(2),
    "MUL": slice(2),
    "PACK": slice(None),
    "PRELU": slice(2),
    "SPLIT": slice(1, 2),
    "SUB": slice(2),
    "TRANSPOSE_CONV": slice(2, 3),
}

# Operators with any number of inputs.
_SEVERAL_INPUTS = frozenset({"PACK"})

# Operators with one output per part of their input.
_SEVERAL_OUTPUTS = frozenset({"SPLIT", "SPLIT_V", "UNPACK"})

# Operators whose last operand may be marked as absent. The oracle crashes on such a DEPTHWISE_CONV_2D.
_BIAS_MAY_BE_ABSENT = {"CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"}

# Operators whose own rules say which operands besides the first must be given.
_RULED_OPERANDS = {"UNIDIRECTIONAL_SEQUENCE_LSTM"}

# Types of the operands that are not data.
_OPERAND_TYPES = {
    "ARG_MAX": ("INT32",),
    "CONV_2D": ("INT8", "INT32"),
    "DEPTHWISE_CONV_2D": ("INT8", "INT32"),
    "EXPAND_DIMS": ("INT32",),
    "FULLY_CONNECTED": ("INT8", "INT32"),
    "MEAN": ("INT32",),
    "PAD": ("INT32", "INT8"),
    "PADV2": ("INT32", "INT8"),
    "REDUCE_MAX": ("INT32",),
    "RESIZE_NEAREST_NEIGHBOR": ("INT32",),
    "REVERSE_V2": ("INT32",),
    "SLICE": ("INT32", "INT32"),
    "SPLIT": ("INT32",),
    "SPLIT_V": ("INT32", "INT32"),
    "STRIDED_SLICE": ("INT32", "INT32", "INT32"),
    "SUM": ("INT32",),
    "TRANSPOSE": ("INT32",),
    "TRANSPOSE_CONV": ("INT32", "INT8", "INT32"),
}


def data_tensors(graph: Graph, operator: Operator) -> tuple[Tensor, ...]:
    """The activations that a layer reads and writes."""
    return (*data_inputs(graph, operator), *graph.results(operator))


def data_inputs(graph: Graph, operator: Operator) -> tuple[Tensor, ...]:
    """The activations that a layer reads."""
    return tuple(graph.tensors[i] for i in operator.inputs[_data_places(operator)])


def _data_places(operator: Operator) -> slice:
    return _DATA_PLACES.get(operator.opcode, slice(1))


def _parameters(graph: Graph, operator: Operator) -> Iterator[tuple[int, Tensor]]:
    """The operands that are given and are not activations, with their place among those that are not."""
    operands = list(graph.operands(operator))
    del operands[_data_places(operator)]
    for place, tensor in enumerate(operands):
        if tensor is not None:
            yield place, tensor


def operands_are_complete(graph: Graph, operator: Operator) -> str | None:
    """Its operands must be those that TensorFlow Lite defines."""
    return wrong_operands(operator, MAX_PARTS)


def wrong_operands(operator: Operator, most_parts: int) -> str | None:
    """What breaks the rule above, where an operator of any number of parts may have `most_parts`."""
    fewest, most = OPERANDS[operator.opcode]
    most = most_parts if operator.opcode in _SEVERAL_INPUTS else most
    outputs = len(operator.outputs)
    outputs_right = 1 <= outputs <= most_parts if operator.opcode in _SEVERAL_OUTPUTS else outputs == 1
    if not (fewest <= len(operator.inputs) <= most and outputs_right):
        return f"{len(operator.inputs)} inputs, {len(operator.outputs)} outputs"
    required = operator.inputs[:fewest] if operator.opcode in _BIAS_MAY_BE_ABSENT else operator.inputs
    required = operator.inputs[:1] if operator.opcode in _RULED_OPERANDS else required
    if ABSENT in required or ABSENT in operator.outputs:
        return "a tensor is not given"
    return None


def data_is_int8(graph: Graph, operator: Operator) -> str | None:
    """Input and output must be INT8."""
    wrong = [t for t in data_tensors(graph, operator) if t.dtype != "INT8"]
    return ", ".join(f"{t.name} is {t.dtype}" for t in wrong) or None


def data_is_computed(graph: Graph, operator: Operator) -> str | None:
    """At least one input must be computed from the model's input."""
    inputs = data_inputs(graph, operator)
    return "it is constant" if all(t.data is not None for t in inputs) else None


def parameters_have_their_type(graph: Graph, operator: Operator) -> str | None:
    """Weights and pad values must be INT8, other parameters INT32."""
    types = _OPERAND_TYPES.get(operator.opcode, ())
    for place, tensor in _parameters(graph, operator):
        if tensor.dtype != types[place]:
            return f"{tensor.name} is {tensor.dtype}"
    return None


def parameters_are_constant(graph: Graph, operator: Operator) -> str | None:
    """Weights and other parameters must be constants."""
    wrong = [tensor.name for _, tensor in _parameters(graph, operator) if tensor.data is None]
    return f"{wrong[0]} is computed" if wrong else None


def data_is_quantised(graph: Graph, operator: Operator) -> str | None:
    """Input and output must each have one scale above 0 and one zero point of -128 .. 127."""
    for tensor in data_tensors(graph, operator):
        quantization = tensor.quantization
        if quantization is None:
            return f"{tensor.name} has none"
        if len(quantization.scales) != 1:
            return f"{tensor.name} has {len(quantization.scales)} scales"
        if not (math.isfinite(tensor.scale) and tensor.scale > 0 and -128 <= tensor.zero_point <= 127):
            return f"{tensor.name} has scale {tensor.scale:g}, zero point {tensor.zero_point}"
    return None


def weights_are_symmetric(graph: Graph, operator: Operator) -> str | None:
    """Weights must be quantised with zero point 0 and one scale, or one scale per output channel."""
    weights = graph.tensors[operator.inputs[1]]
    axis = CHANNEL_AXIS[operator.opcode]
    quantization = weights.quantization
    if quantization is None:
        return "no quantisation"
    if any(quantization.zero_points):
        return "a zero point is not 0"
    if not all(math.isfinite(s) and s >= 0 for s in quantization.scales):
        return "a scale is negative or not finite"
    if len(weights.shape) <= axis:
        return f"weights have shape {weights.shape_text}"
    count = len(quantization.scales)
    if count != 1 and (count != weights.shape[axis] or quantization.axis != axis):
        return f"{count} scales along dimension {quantization.axis} of {weights.shape_text}"
    return None


def data_is_one_image(graph: Graph, operator: Operator) -> str | None:
    """Input and output must be 1 x height x width x channels."""
    for tensor in data_tensors(graph, operator):
        if len(tensor.shape) != 4 or tensor.shape[0] != 1:
            return f"{tensor.name} is {tensor.shape_text}"
    return None


def window_is_positive(graph: Graph, operator: Operator) -> str | None:
    """Window, strides and dilations must be at least 1."""
    options = operator.options
    assert isinstance(options, WindowOptions)
    window = window_sizes(graph, operator)
    sizes = (*window, *options.stride, *options.dilation)
    return None if min(sizes) >= 1 and max(sizes) < 1 << 16 else f"they are {sizes}"


def window_sizes(graph: Graph, operator: Operator) -> tuple[int, ...]:
    """Height and width of a layer's window."""
    pool = getattr(operator.options, "window", None)
    return pool if pool is not None else graph.tensors[operator.inputs[1]].shape[1:3]


def output_follows_padding(graph: Graph, operator: Operator) -> str | None:
    """Height and width of the output must be those that padding and stride give."""
    output = graph.results(operator)[0].shape[1:3]
    expected = window_of(graph, operator).output
    return None if output == expected else f"they are {output} and should be {expected}"


def pool_keeps_channels(graph: Graph, operator: Operator) -> str | None:
    """Input and output must have the same number of channels."""
    input_, output = data_tensors(graph, operator)
    return None if input_.shape[3] == output.shape[3] else f"{input_.shape[3]} and {output.shape[3]}"


def pool_keeps_quantisation(graph: Graph, operator: Operator) -> str | None:
    """Input and output must have the same scale and zero point."""
    # The oracle's limit; 1e-6 is its tolerance.
    input_, output = data_tensors(graph, operator)
    if abs(np.float32(input_.scale) - np.float32(output.scale)) > 1e-6:
        return f"scales {input_.scale:g} and {output.scale:g}"
    if input_.zero_point != output.zero_point:
        return f"zero points {input_.zero_point} and {output.zero_point}"
    return None


def convolution_sees_all_channels(graph: Graph, operator: Operator) -> str | None:
    """Weights must be output channels x height x width x input channels (no groups)."""
    input_, output = data_tensors(graph, operator)
    weights = graph.tensors[operator.inputs[1]].shape
    if len(weights) != 4 or weights[0] != output.shape[3] or weights[3] != input_.shape[3]:
        return f"weights {weights} between {input_.shape_text} and {output.shape_text}"
    return None


def depthwise_multiplies_channels(graph: Graph, operator: Operator) -> str | None:
    """Weights must be 1 x height x width x (input channels * depth multiplier)."""
    input_, output = data_tensors(graph, operator)
    weights = graph.tensors[operator.inputs[1]].shape
    channels = input_.shape[3] * depth_multiplier(operator)
    if len(weights) != 4 or weights[0] != 1 or not weights[3] == output.shape[3] == channels:
        return f"weights {weights}, {input_.shape_text} to {output.shape_text}"
    return None


def matrix_fits_data(graph: Graph, operator: Operator) -> str | None:
    """Weights must be output depth x input depth, and divide input and output into equally many rows."""
    assert isinstance(operator.options, FullyConnectedOptions)
    input_, output = data_tensors(graph, operator)
    weights = graph.tensors[operator.inputs[1]].shape
    if operator.options.weights_format != 0:
        return f"weights format {operator.options.weights_format}"
    if len(weights) != 2 or input_.elements % weights[1] or not output.shape:
        return f"weights {weights} on {input_.shape_text}"
    rows = input_.elements // weights[1]
    if output.shape[-1] != weights[0] or output.elements != rows * weights[0]:
        return f"weights {weights}, {input_.shape_text} to {output.shape_text}"
    return None


def bias_has_channels(graph: Graph, operator: Operator) -> str | None:
    """There must be one bias per output channel, or none."""
    layer = weighted(graph, operator)
    if layer.bias is None or layer.bias.elements == layer.channels:
        return None
    return f"{layer.bias.elements} biases for {layer.channels} channels"


def bias_scale_matches(graph: Graph, operator: Operator) -> str | None:
    """The bias scale must be input scale * weight scale, to 2 % of the output scale."""
    # The oracle's limit, for layers with one weight scale.
    layer = weighted(graph, operator)
    if layer.bias is None or layer.weights.quantization is None or len(layer.weights.quantization.scales) > 1:
        return None
    quantization = layer.bias.quantization
    bias_scale = quantization.scales[0] if quantization else 0.0
    product = layer.input.scale * layer.weights.quantization.scales[0]
    difference = abs(product - bias_scale) / layer.output.scale
    return None if difference <= 0.02 else f"{bias_scale:g} instead of {product:g}"


def activation_is_supported(graph: Graph, operator: Operator) -> str | None:
    """The fused activation must be none, RELU, RELU6 or RELU_N1_TO_1, with bounds in int32."""
    options = operator.options
    assert isinstance(options, WindowOptions | FullyConnectedOptions | AddOptions)
    if options.activation in {Activation.TANH, Activation.SIGN_BIT}:
        return options.activation.name
    if options.activation in {Activation.NONE, Activation.RELU}:
        return None
    return six_out_of_range(graph.results(operator)[0])


def six_out_of_range(tensor: Tensor) -> str | None:
    """Says so if the stored value of 6.0, the largest bound of an activation, does not fit int32."""
    six = divide_binary32(6.0, tensor.scale)
    # Rounding and adding a zero point must not pass the limit either.
    return None if six < INT32_MAX - 256 else f"scale {tensor.scale:g}"


def accumulator_fits_int32(graph: Graph, operator: Operator) -> str | None:
    """No int8 input may overflow an int32 accumulator or its rescaling."""
    layer = weighted(graph, operator)
    low, high = layer.accumulator_range
    multipliers = layer.multipliers * (layer.channels if len(layer.multipliers) == 1 else 1)
    for channel, multiplier in enumerate(multipliers):
        least, greatest = int(low[channel]), int(high[channel])
        if not scale_fits(least, greatest, multiplier, layer.output.zero_point):
            return f"channel {channel} reaches {least} .. {greatest} with shift {multiplier.shift}"
    return None
