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
from mcu_ser.aot.ir import Graph, Operator, Tensor
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


_FUNCTIONS: dict[str, Callable[[Graph, Operator], Function]] = {
    "LOGISTIC": _curve,
    "TANH": _curve,
}
