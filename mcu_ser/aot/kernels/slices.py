# SPDX-License-Identifier: Apache-2.0
"""SLICE, STRIDED_SLICE, REVERSE_V2 and TRANSPOSE: one copy that walks the input in another way."""

from __future__ import annotations

from dataclasses import dataclass

from mcu_ser.aot.ir import Graph, Operator, StridedSliceOptions
from mcu_ser.aot.kernels import copy_block
from mcu_ser.aot.kernels.copy_block import CopyBlock, Loop, strides
from mcu_ser.aot.kernels.kernel_call import KernelCall


@dataclass(frozen=True)
class AxisSlice:
    """The indices start, start + stride, ... of one dimension; none if `length` is below 1."""

    start: int
    stride: int
    length: int


def operand_values(graph: Graph, operator: Operator, place: int) -> tuple[int, ...]:
    """The values of a constant operand."""
    data = graph.tensors[operator.inputs[place]].data
    assert data is not None
    return tuple(int(value) for value in data.reshape(-1))


def slice_axes(graph: Graph, operator: Operator) -> tuple[AxisSlice, ...]:
    """What a SLICE takes of each dimension of its input; a size of -1 is the rest."""
    shape = graph.tensors[operator.inputs[0]].shape
    begins, sizes = operand_values(graph, operator, 1), operand_values(graph, operator, 2)
    return tuple(
        AxisSlice(begin, 1, extent - begin if size == -1 else size)
        for begin, size, extent in zip(begins, sizes, shape, strict=True)
    )


def strided_slice_axes(graph: Graph, operator: Operator) -> tuple[AxisSlice, ...]:
    """What a STRIDED_SLICE takes of each dimension of its input; strides are not 0."""
    assert isinstance(operator.options, StridedSliceOptions)
    shape = graph.tensors[operator.inputs[0]].shape
    operands = (operand_values(graph, operator, place) for place in (1, 2, 3))
    axes = enumerate(zip(*operands, shape, strict=True))
    return tuple(_strided(operator.options, axis, *numbers) for axis, numbers in axes)


def _strided(
    options: StridedSliceOptions, axis: int, begin: int, end: int, stride: int, extent: int
) -> AxisSlice:
    # Where indices run backwards, "before the first" is -1, which no end in the file can say.
    low, high = (0, extent) if stride > 0 else (-1, extent - 1)
    first, beyond = (low, high) if stride > 0 else (high, low)

    def within(index: int) -> int:
        return min(high, max(low, index + extent if index < 0 else index))

    start = first if options.begin_mask >> axis & 1 else within(begin)
    if options.shrink_axis_mask >> axis & 1:
        return AxisSlice(start, stride, 1)
    stop = beyond if options.end_mask >> axis & 1 else within(end)
    return AxisSlice(start, stride, -((start - stop) // stride))


def reversed_axes(graph: Graph, operator: Operator) -> tuple[int, ...]:
    """The dimensions that a REVERSE_V2 turns round, in order; negative ones count from the end."""
    rank = len(graph.tensors[operator.inputs[0]].shape)
    return tuple(sorted(axis + rank if axis < 0 else axis for axis in operand_values(graph, operator, 1)))


def permutation_of(graph: Graph, operator: Operator) -> tuple[int, ...]:
    """Dimension of the input that each dimension of a TRANSPOSE's output is."""
    return operand_values(graph, operator, 1)


def call_slice(graph: Graph, operator: Operator) -> KernelCall:
    """The kernel call of a supported SLICE."""
    return _sliced(graph, operator, slice_axes(graph, operator))


def call_strided_slice(graph: Graph, operator: Operator) -> KernelCall:
    """The kernel call of a supported STRIDED_SLICE."""
    return _sliced(graph, operator, strided_slice_axes(graph, operator))


def call_reverse(graph: Graph, operator: Operator) -> KernelCall:
    """The kernel call of a supported REVERSE_V2."""
    turned = reversed_axes(graph, operator)
    sizes = enumerate(graph.tensors[operator.inputs[0]].shape)
    axes = tuple(
        AxisSlice(size - 1, -1, size) if axis in turned else AxisSlice(0, 1, size) for axis, size in sizes
    )
    return _sliced(graph, operator, axes)


def _sliced(graph: Graph, operator: Operator, axes: tuple[AxisSlice, ...]) -> KernelCall:
    read = strides(graph.tensors[operator.inputs[0]].shape)
    write = strides(tuple(axis.length for axis in axes))
    loops = tuple(
        Loop(axis.length, axis.stride * step, written)
        for axis, step, written in zip(axes, read, write, strict=True)
    )
    start = sum(axis.start * step for axis, step in zip(axes, read, strict=True))
    return copy_block.call(operator.inputs[0], operator.outputs[0], CopyBlock(loops, read_start=start))


def call_transpose(graph: Graph, operator: Operator) -> KernelCall:
    """The kernel call of a supported TRANSPOSE."""
    read = strides(graph.tensors[operator.inputs[0]].shape)
    shape = graph.results(operator)[0].shape
    loops = tuple(
        Loop(size, read[axis], written)
        for size, axis, written in zip(shape, permutation_of(graph, operator), strides(shape), strict=True)
    )
    return copy_block.call(operator.inputs[0], operator.outputs[0], CopyBlock(loops))
