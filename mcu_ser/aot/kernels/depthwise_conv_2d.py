# SPDX-License-Identifier: Apache-2.0
"""DEPTHWISE_CONV_2D: 3 x 3 windows over planes of four channels, two taps at a time, or in plain C."""

from __future__ import annotations

from collections.abc import Callable

from mcu_ser.aot.finish import Output
from mcu_ser.aot.ir import DepthwiseOptions, Graph, Operator
from mcu_ser.aot.kernels import compact
from mcu_ser.aot.kernels.depthwise_3x3 import depthwise_3x3
from mcu_ser.aot.kernels.depthwise_pairs import depthwise_pairs
from mcu_ser.aot.kernels.images import image, window_struct
from mcu_ser.aot.kernels.kernel_call import KernelCall, Table, bias_and_offset, rescale, struct
from mcu_ser.aot.requantize import activation_range
from mcu_ser.aot.weighted import Weighted, weighted
from mcu_ser.aot.window import Window, needs_border, window_of


def call(graph: Graph, operator: Operator) -> KernelCall:
    """The kernel call of a supported DEPTHWISE_CONV_2D."""
    return _call(graph, operator, fast_kernel)


def fast_kernel(layer: Weighted, window: Window, output: Output) -> KernelCall | None:
    """The call of the fastest kernel beside that in plain C, or None."""
    return depthwise_3x3(layer, window, output) or depthwise_pairs(layer, window, output)


def call_compact(graph: Graph, operator: Operator) -> KernelCall:
    """The kernel call of a supported DEPTHWISE_CONV_2D in a build for size."""
    return _call(graph, operator, compact.depthwise)


def _call(
    graph: Graph, operator: Operator, better: Callable[[Weighted, Window, Output], KernelCall | None]
) -> KernelCall:
    assert isinstance(operator.options, DepthwiseOptions)
    layer = weighted(graph, operator)
    output = layer.output
    low, high = activation_range(operator.options.activation, output.scale, output.zero_point)
    found = None
    if operator.options.depth_multiplier == 1:
        found = better(layer, window_of(graph, operator), Output(output.zero_point, low, high))
    return found or _plain(graph, operator, layer, (low, high))


def _plain(graph: Graph, operator: Operator, layer: Weighted, limits: tuple[int, int]) -> KernelCall:
    assert isinstance(operator.options, DepthwiseOptions)
    assert layer.weights.data is not None
    output = layer.output
    bias, input_offset = bias_and_offset(layer, foldable=not needs_border(graph, operator))
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
            rescale=rescale(layer, *limits),
        ),
        inputs=(layer.input.index,),
        output=output.index,
        macs=output.shape[1] * output.shape[2] * layer.weights.elements,
        sparsity=layer.sparsity,
    )
