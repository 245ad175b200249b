# SPDX-License-Identifier: Apache-2.0
"""LOGISTIC, TANH, HARD_SWISH, LEAKY_RELU and QUANTIZE: functions of one int8 value, as a table of 256.

The generator evaluates the function for every value, in the oracle's arithmetic; the kernel only looks up.
That is 256 bytes of flash per layer, and no byte of code for the function.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from mcu_ser.aot import fixed_point
from mcu_ser.aot.ir import Graph, LeakyReluOptions, Operator, Tensor
from mcu_ser.aot.kernels.kernel_call import KernelCall, Table, struct
from mcu_ser.aot.requantize import (
    INT8_MAX,
    INT8_MIN,
    Multiplier,
    quantize_multiplier,
    rounding_shift_right,
    scale,
)

Function = Callable[[int], int]

INT16_MIN, INT16_MAX = -(1 << 15), (1 << 15) - 1


def call(graph: Graph, operator: Operator) -> KernelCall:
    """The kernel call of a supported function of one value."""
    output = graph.results(operator)[0]
    return KernelCall(
        header="table.h",
        kernel="aot_table",
        struct_name="aot_table",
        description=struct(elements=output.elements, values=Table("values", values(graph, operator))),
        inputs=operator.inputs[:1],
        output=output.index,
    )


def values(graph: Graph, operator: Operator) -> npt.NDArray[np.int8]:
    """The output of each int8 input, that of -128 first."""
    function = _FUNCTIONS[operator.opcode](graph, operator)
    outputs = [min(INT8_MAX, max(INT8_MIN, function(x))) for x in range(INT8_MIN, INT8_MAX + 1)]
    return np.array(outputs, np.int8)


def hard_swish_multipliers(input_: Tensor, output: Tensor) -> tuple[Multiplier, Multiplier]:
    """Multipliers of a HARD_SWISH from 1/128 of an input step: to output steps, and to 3 / 2^15."""
    fine, ramp = input_.scale / 128, 3 / 32768
    return quantize_multiplier(fine / output.scale), quantize_multiplier(fine / ramp)


def _ends(graph: Graph, operator: Operator) -> tuple[Tensor, Tensor]:
    return graph.tensors[operator.inputs[0]], graph.results(operator)[0]


def curve_multiplier(input_: Tensor) -> Multiplier:
    """Multiplier from the input of a LOGISTIC or TANH to Q4.27."""
    return quantize_multiplier(input_.scale * (1 << fixed_point.FRACTION_BITS))


def _curve(graph: Graph, operator: Operator) -> Function:
    """LOGISTIC and TANH: saturated where Q4.27 ends, a little before 15 / scale."""
    input_, output = _ends(graph, operator)
    multiplier = curve_multiplier(input_)
    radius = (((1 << fixed_point.INTEGER_BITS) - 1) << fixed_point.FRACTION_BITS) >> multiplier.shift
    evaluate, bits = (fixed_point.logistic, 8) if operator.opcode == "LOGISTIC" else (fixed_point.tanh, 7)

    def function(stored: int) -> int:
        x = stored - input_.zero_point
        if x <= -radius:
            return INT8_MIN
        if x >= radius:
            return INT8_MAX
        curve = evaluate(scale(x, multiplier))
        return rounding_shift_right(curve, 31 - bits) + output.zero_point

    return function


def _hard_swish(graph: Graph, operator: Operator) -> Function:
    """Evaluates x * min(max(x + 3, 0), 6) / 6 in 16 bits, which saturate where the oracle's do."""
    input_, output = _ends(graph, operator)
    to_output, to_ramp = hard_swish_multipliers(input_, output)
    output_mantissa, ramp_mantissa = _upper_half(to_output.mantissa), _upper_half(to_ramp.mantissa)

    def function(stored: int) -> int:
        fine = (stored - input_.zero_point) * 128
        ramp = fine
        if to_ramp.shift > 0:
            ramp = _saturate16(ramp << (to_ramp.shift - 1))
        ramp = _high_mul16(ramp, ramp_mantissa)
        if to_ramp.shift > 0:
            ramp = _saturate16(ramp << 1)
        elif to_ramp.shift < 0:
            ramp = _rounding_shift_right16(ramp, -to_ramp.shift)
        # Of -1 .. 1, where 1 stands for a real 3, made 0 .. 1.
        ramp = (ramp + (1 << 15)) >> 1
        product = ramp * _high_mul16(fine, output_mantissa)
        truncated = abs(product) >> 15
        shifted = _rounding_shift_right16(truncated if product >= 0 else -truncated, -to_output.shift)
        return shifted + output.zero_point

    return function


def _upper_half(mantissa: int) -> int:
    """A 31-bit mantissa as one of 15 bits, to the nearest."""
    return min(INT16_MAX, (mantissa + (1 << 15)) >> 16)


def _saturate16(x: int) -> int:
    return min(INT16_MAX, max(INT16_MIN, x))


def _high_mul16(a: int, b: int) -> int:
    """The product a * b / 2^15, to the nearest, ties upwards."""
    return (a * b + (1 << 14)) >> 15


def _rounding_shift_right16(x: int, exponent: int) -> int:
    """The quotient x / 2^exponent, to the nearest; above 15 places the oracle's 16-bit mask breaks."""
    if exponent > 15:
        return 1 if x >= 0 else -1
    return rounding_shift_right(x, exponent)


def leaky_slopes(graph: Graph, operator: Operator) -> tuple[float, float]:
    """Output steps per input step of a LEAKY_RELU: below zero, and above."""
    assert isinstance(operator.options, LeakyReluOptions)
    input_, output = _ends(graph, operator)
    return input_.scale * operator.options.alpha / output.scale, input_.scale / output.scale


def _leaky_relu(graph: Graph, operator: Operator) -> Function:
    input_, output = _ends(graph, operator)
    below, above = leaky_slopes(graph, operator)
    # A multiplier is not negative: the sign of alpha comes after the rounding.
    sign = -1 if below < 0 else 1
    leaky, identity = quantize_multiplier(abs(below)), quantize_multiplier(above)

    def function(stored: int) -> int:
        x = stored - input_.zero_point
        return output.zero_point + (scale(x, identity) if x >= 0 else sign * scale(x, leaky))

    return function


def requantization(graph: Graph, operator: Operator) -> Multiplier:
    """Input scale over output scale of a QUANTIZE."""
    input_, output = _ends(graph, operator)
    return quantize_multiplier(input_.scale / output.scale)


def _quantize(graph: Graph, operator: Operator) -> Function:
    input_, output = _ends(graph, operator)
    multiplier = requantization(graph, operator)
    return lambda stored: scale(stored - input_.zero_point, multiplier) + output.zero_point


_FUNCTIONS: dict[str, Callable[[Graph, Operator], Function]] = {
    "HARD_SWISH": _hard_swish,
    "LOGISTIC": _curve,
    "LEAKY_RELU": _leaky_relu,
    "QUANTIZE": _quantize,
    "TANH": _curve,
}
