# SPDX-License-Identifier: Apache-2.0
"""Limits of the engine on functions of one value (LOGISTIC, TANH and others); see `rules`."""

from __future__ import annotations

import math

from mcu_ser.aot.ir import Graph, Operator
from mcu_ser.aot.kernels import table
from mcu_ser.aot.requantize import quantize_multiplier, scale_fits
from mcu_ser.aot.rules import data_tensors

# The oracle shifts a 64-bit number by the exponent of scale * 2^28, which must be 1 .. 63.
_LEAST_CURVE_SCALE, _CURVE_SCALE_LIMIT = 2.0**-28, 2.0**35

# The oracle shifts a 32-bit 1 by the exponent of scale * 2^8 / 3, less one.
_MOST_RAMP_SHIFT = 31


def curve_scale_is_in_range(graph: Graph, operator: Operator) -> str | None:
    """The input scale must be at least 2^-28 and below 2^35."""
    scale = graph.tensors[operator.inputs[0]].scale
    return None if _LEAST_CURVE_SCALE <= scale < _CURVE_SCALE_LIMIT else f"it is {scale:g}"


def hard_swish_scales_down(graph: Graph, operator: Operator) -> str | None:
    """The output scale must be above 2^-7 of the input scale, and that below 3 * 2^23."""
    # The first is a check of the oracle.
    input_, output = data_tensors(graph, operator)
    if not input_.scale < 3 * 2.0**23:
        return f"input scale {input_.scale:g}"
    to_output, to_ramp = table.hard_swish_multipliers(input_, output)
    if to_output.shift > 0 or to_ramp.shift > _MOST_RAMP_SHIFT:
        return f"input scale {input_.scale:g}, output scale {output.scale:g}"
    return None


def leaky_relu_fits_int32(graph: Graph, operator: Operator) -> str | None:
    """Alpha must be finite, and no int8 input may overflow the rescaling."""
    input_, output = data_tensors(graph, operator)
    slopes = table.leaky_slopes(graph, operator)
    for slope, end in zip(slopes, (-128, 127), strict=True):
        x = end - input_.zero_point
        if not math.isfinite(slope):
            return f"it is scaled by {slope:g}"
        if not scale_fits(min(x, 0), max(x, 0), quantize_multiplier(abs(slope)), output.zero_point):
            return f"it is scaled by {slope:g}"
    return None


def requantization_fits_int32(graph: Graph, operator: Operator) -> str | None:
    """Input scale over output scale must be so that no int8 input overflows."""
    input_, output = data_tensors(graph, operator)
    low, high = -128 - input_.zero_point, 127 - input_.zero_point
    if scale_fits(low, high, table.requantization(graph, operator), output.zero_point):
        return None
    return f"input scale {input_.scale:g}, output scale {output.scale:g}"


def tanh_output_is_fixed(graph: Graph, operator: Operator) -> str | None:
    """The output must have scale 1/128 and zero point 0."""
    # TensorFlow Lite's int8 specification; the oracle computes for these whatever the model says.
    output = graph.results(operator)[0]
    if output.scale == 1 / 128 and output.zero_point == 0:
        return None
    return f"scale {output.scale:g}, zero point {output.zero_point}"
