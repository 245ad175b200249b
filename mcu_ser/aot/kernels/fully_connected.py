# SPDX-License-Identifier: Apache-2.0
"""FULLY_CONNECTED."""

from __future__ import annotations

from mcu_ser.aot.ir import FullyConnectedOptions, Graph, Operator
from mcu_ser.aot.kernels.kernel_call import KernelCall, Table, bias_and_offset, rescale, struct
from mcu_ser.aot.requantize import activation_range
from mcu_ser.aot.weighted import weighted


def call(graph: Graph, operator: Operator) -> KernelCall:
    """The kernel call of a supported FULLY_CONNECTED."""
    assert isinstance(operator.options, FullyConnectedOptions)
    layer = weighted(graph, operator)
    output = layer.output
    assert layer.weights.data is not None
    output_depth, input_depth = layer.weights.shape
    rows = layer.input.elements // input_depth
    bias, input_offset = bias_and_offset(layer, foldable=True)
    low, high = activation_range(operator.options.activation, output.scale, output.zero_point)
    return KernelCall(
        header="fully_connected.h",
        kernel="aot_fully_connected",
        struct_name="aot_fully_connected",
        description=struct(
            rows=rows,
            input_depth=input_depth,
            output_depth=output_depth,
            input_offset=input_offset,
            weights=Table("weights", layer.weights.data),
            bias=bias,
            rescale=rescale(layer, low, high),
        ),
        inputs=(layer.input.index,),
        output=output.index,
        macs=rows * layer.weights.elements,
    )
