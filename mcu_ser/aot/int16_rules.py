# SPDX-License-Identifier: Apache-2.0
"""Limits of the engine on layers of 16-bit activations; see `rules`. `RULES` is their table."""

from __future__ import annotations

import math
from collections.abc import Callable

from mcu_ser.aot import element_rules, rules
from mcu_ser.aot.int16 import INT16_MAX, INT16_MIN, MOST_PRODUCTS, range_of_sums, sum_fits
from mcu_ser.aot.ir import ABSENT, ConvolutionOptions, FullyConnectedOptions, Graph, Operator
from mcu_ser.aot.kernels import int16_elements
from mcu_ser.aot.kernels.mean import loops_of, mean_multiplier
from mcu_ser.aot.requantize import INT32_MAX, scale_fits
from mcu_ser.aot.rules import data_tensors
from mcu_ser.aot.weighted import weighted

Rule = Callable[[Graph, Operator], str | None]

MAX_SOFTMAX_DEPTH = 1 << 15


def data_is_int16(graph: Graph, operator: Operator) -> str | None:
    """Input and output must be INT16."""
    wrong = [t for t in data_tensors(graph, operator) if t.dtype != "INT16"]
    return ", ".join(f"{t.name} is {t.dtype}" for t in wrong) or None


def data_is_symmetric(graph: Graph, operator: Operator) -> str | None:
    """Input and output must each have one scale above 0 and zero point 0."""
    for tensor in data_tensors(graph, operator):
        quantization = tensor.quantization
        if quantization is None:
            return f"{tensor.name} has none"
        if len(quantization.scales) != 1:
            return f"{tensor.name} has {len(quantization.scales)} scales"
        if not (math.isfinite(tensor.scale) and tensor.scale > 0 and tensor.zero_point == 0):
            return f"{tensor.name} has scale {tensor.scale:g}, zero point {tensor.zero_point}"
    return None


def weights_and_biases_have_their_type(graph: Graph, operator: Operator) -> str | None:
    """Weights must be INT8 and biases INT64."""
    # With biases of INT32 the oracle adds up in int32 and rounds twice.
    tensors = zip(graph.operands(operator)[1:], ("INT8", "INT64"), strict=False)
    for tensor, dtype in tensors:
        if tensor is not None and tensor.dtype != dtype:
            return f"{tensor.name} is {tensor.dtype}"
    return None


def sums_are_int64(graph: Graph, operator: Operator) -> str | None:
    """A layer without bias must not ask for sums in INT32."""
    options = operator.options
    given = len(operator.inputs) > 2 and operator.inputs[2] != ABSENT
    if isinstance(options, ConvolutionOptions | FullyConnectedOptions) and options.int32_sums and not given:
        return "its bias type is INT32"
    return None


def products_fit_int32(graph: Graph, operator: Operator) -> str | None:
    """The window must have at most 508 taps."""
    height, width = rules.window_sizes(graph, operator)
    return None if height * width <= MOST_PRODUCTS else f"it has {height * width}"


def sums_can_be_rescaled(graph: Graph, operator: Operator) -> str | None:
    """No INT16 input may make a sum of 2^47 or one that leaves int32 when rescaled, by 2^7 at most."""
    # The oracle's limits.
    layer = weighted(graph, operator)
    pairs = zip(range_of_sums(layer), layer.channel_multipliers, strict=True)
    for channel, ((low, high), multiplier) in enumerate(pairs):
        if not sum_fits(low, high, multiplier):
            return f"channel {channel} reaches {low} .. {high} with shift {multiplier.shift}"
    return None


def sum_scales_down(graph: Graph, operator: Operator) -> str | None:
    """The output scale must be above 2^-14 of the larger input scale."""
    # The oracle's limit: its multipliers of ADD must be below 1.
    multipliers = int16_elements.add_multipliers(graph, operator)
    if max(multipliers.first.shift, multipliers.second.shift, multipliers.output.shift) > 0:
        return f"output scale {graph.results(operator)[0].scale:g}"
    return None


def int16_mean_fits_int32(graph: Graph, operator: Operator) -> str | None:
    """No INT16 input may overflow the int32 sum or its rescaling."""
    count = loops_of(graph, operator).reduced
    multiplier = mean_multiplier(graph, operator)
    if scale_fits(INT16_MIN * count, INT16_MAX * count, multiplier, 0):
        return None
    return f"{count} elements with shift {multiplier.shift}"


def pool_fits_int32(graph: Graph, operator: Operator) -> str | None:
    """The window must have at most 65535 elements."""
    height, width = rules.window_sizes(graph, operator)
    return None if height * width * -INT16_MIN <= INT32_MAX else f"it has {height * width}"


def softmax_output_is_fixed(graph: Graph, operator: Operator) -> str | None:
    """The output must have scale 1/32768."""
    # The oracle's limit, which has a tolerance.
    scale = graph.results(operator)[0].scale
    return None if scale == 1 / 32768 else f"scale {scale:g}"


def softmax_depth_fits_int32(graph: Graph, operator: Operator) -> str | None:
    """The last dimension must be at most 32768."""
    shape = graph.tensors[operator.inputs[0]].shape
    if not shape:
        return "the input is a scalar"
    return None if shape[-1] <= MAX_SOFTMAX_DEPTH else f"it is {shape[-1]}"


def differences_fit_int32(graph: Graph, operator: Operator) -> str | None:
    """Beta * input scale must be at least 0 and so that no difference of INT16 inputs overflows."""
    options = operator.options
    beta = getattr(options, "beta", 0.0)
    scale = graph.tensors[operator.inputs[0]].scale
    if not (math.isfinite(beta) and beta >= 0):
        return f"beta is {beta:g}"
    if scale_fits(INT16_MIN - INT16_MAX, 0, int16_elements.softmax_multiplier(graph, operator), INT16_MAX):
        return None
    return f"it is {beta * scale:g}"


_DATA: tuple[Rule, ...] = (
    rules.operands_are_complete,
    data_is_int16,
    rules.data_is_computed,
    data_is_symmetric,
)
_WEIGHTS: tuple[Rule, ...] = (
    *_DATA,
    weights_and_biases_have_their_type,
    sums_are_int64,
    rules.parameters_are_constant,
    rules.weights_are_symmetric,
)
_SUMS: tuple[Rule, ...] = (rules.bias_has_channels, rules.activation_is_supported, sums_can_be_rescaled)
_WINDOW: tuple[Rule, ...] = (rules.window_is_positive, rules.output_follows_padding)
_POOL: tuple[Rule, ...] = (
    *_DATA,
    rules.data_is_one_image,
    *_WINDOW,
    rules.pool_keeps_channels,
    rules.pool_keeps_quantisation,
    rules.activation_is_supported,
    pool_fits_int32,
)
_MOVED: tuple[Rule, ...] = (rules.operands_are_complete, data_is_int16, rules.data_is_computed)

RULES: dict[str, tuple[Rule, ...]] = {
    "ADD": (
        *_DATA,
        element_rules.shapes_broadcast,
        element_rules.broadcast_has_four_loops,
        sum_scales_down,
        rules.activation_is_supported,
    ),
    "AVERAGE_POOL_2D": _POOL,
    "CONV_2D": (
        *_WEIGHTS,
        rules.data_is_one_image,
        rules.convolution_sees_all_channels,
        *_WINDOW,
        *_SUMS,
    ),
    "DEPTHWISE_CONV_2D": (
        *_WEIGHTS,
        rules.data_is_one_image,
        rules.depthwise_multiplies_channels,
        *_WINDOW,
        products_fit_int32,
        *_SUMS,
    ),
    "FULLY_CONNECTED": (*_WEIGHTS, rules.matrix_fits_data, rules.bias_scale_matches, *_SUMS),
    "MAX_POOL_2D": _POOL,
    "MEAN": (
        *_DATA,
        rules.parameters_have_their_type,
        rules.parameters_are_constant,
        element_rules.axes_exist,
        element_rules.mean_has_five_loops,
        int16_mean_fits_int32,
    ),
    "RESHAPE": (*_MOVED, element_rules.elements_are_kept),
    "SOFTMAX": (
        *_DATA,
        element_rules.shape_is_kept,
        softmax_depth_fits_int32,
        softmax_output_is_fixed,
        differences_fit_int32,
    ),
}
