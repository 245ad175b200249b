# SPDX-License-Identifier: Apache-2.0
"""A PAD before a convolution becomes the border of its windows: nothing is copied, and nothing kept twice.

Converters write one for every ZeroPadding2D. A border holds the zero point, which is real zero, and that is
what convolutions take their taps outside of the image for.
"""

from __future__ import annotations

from dataclasses import replace

from mcu_ser.aot.ir import Graph, Operator, WindowOptions
from mcu_ser.aot.kernels.pad import pad_value, paddings_of
from mcu_ser.aot.window import window_of

_PADS = frozenset({"PAD", "PADV2"})
_CONVOLUTIONS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D"})

Border = tuple[tuple[int, int], tuple[int, int]]


def fuse_pads(graph: Graph) -> Graph:
    """The graph without every PAD that all its readers, convolutions, can take for a border."""
    borders: dict[int, tuple[Operator, Border]] = {}
    for operator in graph.operators:
        border = _border(graph, operator)
        if border is not None:
            borders[operator.outputs[0]] = (operator, border)
    operators = []
    for operator in graph.operators:
        if operator.outputs[0] in borders:
            continue
        found = borders.get(operator.inputs[0])
        operators.append(operator if found is None else _with_border(operator, *found))
    return replace(graph, operators=tuple(operators))


def _border(graph: Graph, operator: Operator) -> Border | None:
    """What a PAD adds to height and width, if that is all it does and its readers can do without it."""
    if operator.opcode not in _PADS or operator.outputs[0] in graph.outputs:
        return None
    source, padded = graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]
    pairs = paddings_of(graph, operator)
    if len(pairs) != 4 or any(pairs[0]) or any(pairs[3]):
        return None
    # Bytes are copied, whatever the scales say.
    same = (source.quantization, source.left_out) == (padded.quantization, padded.left_out)
    if not same or pad_value(graph, operator) != padded.zero_point:
        return None
    border = (pairs[1], pairs[2])
    readers = [other for other in graph.operators if padded.index in other.inputs]
    return border if readers and all(_takes(graph, reader, border) for reader in readers) else None


def _takes(graph: Graph, reader: Operator, border: Border) -> bool:
    """Whether a layer is a convolution without a border of its own, and its window wider than this one."""
    if reader.opcode not in _CONVOLUTIONS:
        return False
    window = window_of(graph, reader)
    image = graph.tensors[reader.inputs[0]].shape[1:3]
    for axis in (0, 1):
        extent = (window.size[axis] - 1) * window.dilation[axis] + 1
        last = (window.output[axis] - 1) * window.stride[axis] + extent
        # No more than padding by the rule SAME can be, for which all kernels are made.
        if window.pad[axis] or last > image[axis] or max(border[axis]) > extent // 2:
            return False
        if border[axis][0] > (extent - 1) // 2:
            return False
    return True


def _with_border(reader: Operator, pad: Operator, border: Border) -> Operator:
    options = reader.options
    assert isinstance(options, WindowOptions)
    inputs = (pad.inputs[0], *reader.inputs[1:])
    return replace(reader, inputs=inputs, options=replace(options, border=border))
