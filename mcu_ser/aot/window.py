# SPDX-License-Identifier: Apache-2.0
"""Turns padding, stride and dilation into output size and border, for the rules and kernels of windows."""

from __future__ import annotations

from dataclasses import dataclass

from mcu_ser.aot.ir import DepthwiseOptions, Graph, Operator, Padding, PoolOptions, Tensor, WindowOptions


@dataclass(frozen=True)
class Window:
    """A window over height and width (in this order in every pair).

    `output` is the output size that the padding rule gives; it may be less than 1, which no layer can have.
    `pad` is the border above and left of the input.
    """

    size: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    output: tuple[int, int]
    pad: tuple[int, int]


def place_window(size: tuple[int, int], image: tuple[int, int], options: WindowOptions) -> Window:
    """Place a window on an image by TensorFlow's padding rule, or by the border that the layer has instead.

    Args:
        size: Height and width of the window, each at least 1.
        image: Height and width of the input.
        options: Strides and dilations, each at least 1.
    """
    output = []
    pad = []
    for axis, (taps, length, stride, dilation) in enumerate(
        zip(size, image, options.stride, options.dilation, strict=True)
    ):
        extent = (taps - 1) * dilation + 1
        if options.border is not None:
            before, after = options.border[axis]
            output.append((before + length + after + stride - extent) // stride)
            pad.append(before)
            continue
        if options.padding is Padding.SAME:
            steps = -(-length // stride)
        else:
            steps = (length + stride - extent) // stride
        output.append(steps)
        pad.append(max((steps - 1) * stride + extent - length, 0) // 2)
    return Window(size, options.stride, options.dilation, (output[0], output[1]), (pad[0], pad[1]))


def window_of(graph: Graph, operator: Operator) -> Window:
    """The window of a convolution or pool whose input is 4-dimensional."""
    options = operator.options
    assert isinstance(options, WindowOptions)
    input_ = _input(graph, operator)
    if isinstance(options, PoolOptions):
        size = options.window
    else:
        weights = graph.tensors[operator.inputs[1]].shape
        size = (weights[1], weights[2])
    return place_window(size, (input_.shape[1], input_.shape[2]), options)


def needs_border(graph: Graph, operator: Operator) -> bool:
    """Whether any tap of the window falls outside of the input."""
    window = window_of(graph, operator)
    image = _input(graph, operator).shape[1:3]
    last = [
        (window.output[i] - 1) * window.stride[i] - window.pad[i] + (window.size[i] - 1) * window.dilation[i]
        for i in (0, 1)
    ]
    return any(window.pad) or any(last[i] >= image[i] for i in (0, 1))


def depth_multiplier(operator: Operator) -> int:
    """Depth multiplier of a DEPTHWISE_CONV_2D operator."""
    assert isinstance(operator.options, DepthwiseOptions)
    return operator.options.depth_multiplier


def _input(graph: Graph, operator: Operator) -> Tensor:
    return graph.tensors[operator.inputs[0]]
