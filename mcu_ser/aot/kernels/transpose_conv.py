# SPDX-License-Identifier: Apache-2.0
"""TRANSPOSE_CONV: every output pixel gathers the input pixels whose window covers it."""

from __future__ import annotations

from mcu_ser.aot.ir import Graph, Operator, WindowOptions
from mcu_ser.aot.kernels.images import image, window_struct
from mcu_ser.aot.kernels.kernel_call import KernelCall, Table, rescale, struct
from mcu_ser.aot.requantize import activation_range
from mcu_ser.aot.weighted import weighted
from mcu_ser.aot.window import Window, place_window


def window_on_output(graph: Graph, operator: Operator) -> Window:
    """The window as the convolution that this layer transposes places it: on the output, which it strides."""
    assert isinstance(operator.options, WindowOptions)
    _, height, width, _ = graph.results(operator)[0].shape
    weights = graph.tensors[operator.inputs[1]].shape
    return place_window((weights[1], weights[2]), (height, width), operator.options)


def call(graph: Graph, operator: Operator) -> KernelCall:
    """The kernel call of a supported TRANSPOSE_CONV."""
    assert isinstance(operator.options, WindowOptions)
    layer = weighted(graph, operator)
    assert layer.weights.data is not None
    low, high = activation_range(operator.options.activation, layer.output.scale, layer.output.zero_point)
    return KernelCall(
        header="transpose_conv.h",
        kernel="aot_transpose_conv",
        struct_name="aot_transpose_conv",
        description=struct(
            input=image(layer.input),
            output=image(layer.output),
            window=window_struct(window_on_output(graph, operator)),
            input_offset=-layer.input.zero_point,
            weights=Table("weights", layer.weights.data),
            bias=Table("bias", layer.biases.astype("int32")),
            rescale=rescale(layer, low, high),
        ),
        inputs=(layer.input.index,),
        output=layer.output.index,
        # Every input pixel meets the whole window, taps that leave the output included.
        macs=layer.input.shape[1] * layer.input.shape[2] * layer.weights.elements,
        sparsity=layer.sparsity,
    )
