# SPDX-License-Identifier: Apache-2.0
"""SOFTMAX over the last dimension."""

from __future__ import annotations

from mcu_ser.aot.ir import Graph, Operator, SoftmaxOptions
from mcu_ser.aot.kernels.kernel_call import KernelCall, struct
from mcu_ser.aot.requantize import INT32_MAX, Multiplier, quantize_multiplier

# exp() takes Q5.26: 5 integer bits reach down to exp(-32), which is nothing.
INTEGER_BITS = 5
FRACTION_BITS = 31 - INTEGER_BITS


def softmax_factor(graph: Graph, operator: Operator) -> float:
    """Real factor from an input difference to Q5.26."""
    assert isinstance(operator.options, SoftmaxOptions)
    input_ = graph.tensors[operator.inputs[0]]
    return min(operator.options.beta * input_.scale * (1 << FRACTION_BITS), float(INT32_MAX))


def softmax_multiplier(graph: Graph, operator: Operator) -> Multiplier:
    """Multiplier from an input difference to Q5.26."""
    return quantize_multiplier(softmax_factor(graph, operator))


def call(graph: Graph, operator: Operator) -> KernelCall:
    """The kernel call of a supported SOFTMAX."""
    input_ = graph.tensors[operator.inputs[0]]
    depth = input_.shape[-1]
    multiplier = softmax_multiplier(graph, operator)
    return KernelCall(
        header="softmax.h",
        kernel="aot_softmax",
        struct_name="aot_softmax",
        description=struct(
            rows=input_.elements // depth,
            depth=depth,
            multiplier=multiplier.mantissa,
            left_shift=multiplier.shift,
            least_difference=-((((1 << INTEGER_BITS) - 1) << FRACTION_BITS) >> multiplier.shift),
        ),
        inputs=(input_.index,),
        output=operator.outputs[0],
    )
