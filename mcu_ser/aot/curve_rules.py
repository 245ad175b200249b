# SPDX-License-Identifier: Apache-2.0
"""Limits of the engine on functions of one value (LOGISTIC, TANH and others); see `rules`."""

from __future__ import annotations

from mcu_ser.aot.ir import Graph, Operator

# The oracle shifts a 64-bit number by the exponent of scale * 2^28, which must be 1 .. 63.
_LEAST_CURVE_SCALE, _CURVE_SCALE_LIMIT = 2.0**-28, 2.0**35


def curve_scale_is_in_range(graph: Graph, operator: Operator) -> str | None:
    """The input scale must be at least 2^-28 and below 2^35."""
    scale = graph.tensors[operator.inputs[0]].scale
    return None if _LEAST_CURVE_SCALE <= scale < _CURVE_SCALE_LIMIT else f"it is {scale:g}"


def tanh_output_is_fixed(graph: Graph, operator: Operator) -> str | None:
    """The output must have scale 1/128 and zero point 0."""
    # TensorFlow Lite's int8 specification; the oracle computes for these whatever the model says.
    output = graph.results(operator)[0]
    if output.scale == 1 / 128 and output.zero_point == 0:
        return None
    return f"scale {output.scale:g}, zero point {output.zero_point}"
