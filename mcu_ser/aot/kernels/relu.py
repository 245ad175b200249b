# SPDX-License-Identifier: Apache-2.0
"""RELU and RELU6 as layers of their own."""

from __future__ import annotations

from mcu_ser.aot.ir import Activation, Graph, Operator
from mcu_ser.aot.kernels.kernel_call import KernelCall, struct
from mcu_ser.aot.requantize import (
    INT8_MAX,
    INT8_MIN,
    Multiplier,
    activation_range,
    quantize_bound,
    quantize_multiplier,
)


def relu_multiplier(graph: Graph, operator: Operator) -> Multiplier:
    """Input scale over output scale of a RELU."""
    input_, output = graph.tensors[operator.inputs[0]], graph.results(operator)[0]
    return quantize_multiplier(input_.scale / output.scale)


def call(graph: Graph, operator: Operator) -> KernelCall:
    """The kernel call of a supported RELU or RELU6."""
    return _relu6(graph, operator) if operator.opcode == "RELU6" else _relu(graph, operator)


def _relu(graph: Graph, operator: Operator) -> KernelCall:
    input_, output = graph.tensors[operator.inputs[0]], graph.results(operator)[0]
    multiplier = relu_multiplier(graph, operator)
    low, high = activation_range(Activation.RELU, output.scale, output.zero_point)
    return KernelCall(
        header="relu.h",
        kernel="aot_relu",
        struct_name="aot_relu",
        description=struct(
            elements=output.elements,
            input_offset=-input_.zero_point,
            multiplier=multiplier.mantissa,
            shift=multiplier.shift,
            zero_point=output.zero_point,
            min=low,
            max=high,
        ),
        inputs=(input_.index,),
        output=output.index,
    )


def _relu6(graph: Graph, operator: Operator) -> KernelCall:
    input_ = graph.tensors[operator.inputs[0]]
    six = quantize_bound(6.0, input_.scale, input_.zero_point)
    return KernelCall(
        header="relu.h",
        kernel="aot_relu6",
        struct_name="aot_relu6",
        description=struct(
            elements=input_.elements,
            min=input_.zero_point,
            max=min(INT8_MAX, max(INT8_MIN, six)),
        ),
        inputs=(input_.index,),
        output=operator.outputs[0],
    )
