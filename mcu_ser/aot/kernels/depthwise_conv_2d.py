# SPDX-License-Identifier: Apache-2.0
"""DEPTHWISE_CONV_2D."""

from __future__ import annotations

from mcu_ser.aot.ir import DepthwiseOptions, Graph, Operator
from mcu_ser.aot.kernels.images import image, window_struct
from mcu_ser.aot.kernels.kernel_call import KernelCall, Table, bias_and_offset, rescale, struct
from mcu_ser.aot.requantize import activation_range
from mcu_ser.aot.weighted import weighted
from mcu_ser.aot.window import needs_border, window_of


def call(graph: Graph, operator: Operator) -> KernelCall:
    """The kernel call of a supported DEPTHWISE_CONV_2D."""
    assert isinstance(operator.options, DepthwiseOptions)
    layer = weighted(graph, operator)
    output = layer.output
    assert layer.weights.data is not None
    bias, input_offset = bias_and_offset(layer, foldable=not needs_border(graph, operator))
    low, high = activation_range(operator.options.activation, output.scale, output.zero_point)
    return KernelCall(
        header="depthwise_conv_2d.h",
        kernel="aot_depthwise_conv_2d",
        struct_name="aot_depthwise_conv_2d",
        description=struct(
            input=image(layer.input),
            output=image(output),
            window=window_struct(window_of(graph, operator)),
            depth_multiplier=operator.options.depth_multiplier,
            input_offset=input_offset,
            weights=Table("weights", layer.weights.data),
            bias=bias,
            rescale=rescale(layer, low, high),
        ),
        inputs=(layer.input.index,),
        output=output.index,
        macs=output.shape[1] * output.shape[2] * layer.weights.elements,
        sparsity=layer.sparsity,
    )
