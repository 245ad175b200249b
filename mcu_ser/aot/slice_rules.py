# SPDX-License-Identifier: Apache-2.0
"""Limits of the engine on operators that take parts of a tensor or number its elements anew; see `rules`."""

from __future__ import annotations

from mcu_ser.aot.ir import Graph, Operator, SqueezeOptions, StridedSliceOptions
from mcu_ser.aot.kernels import slices
from mcu_ser.aot.kernels.slices import AxisSlice
from mcu_ser.aot.rules import data_tensors

# Of the oracle.
_MOST_DIMENSIONS = {"REVERSE_V2": 6, "SLICE": 5, "STRIDED_SLICE": 4, "TRANSPOSE": 5}


def rank_is_limited(graph: Graph, operator: Operator) -> str | None:
    """The input must have at most 5 dimensions, at most 4 for a STRIDED_SLICE."""
    rank = len(graph.tensors[operator.inputs[0]].shape)
    return None if rank <= _MOST_DIMENSIONS[operator.opcode] else f"it has {rank}"


def there_is_one_number_per_dimension(graph: Graph, operator: Operator) -> str | None:
    """Begins, ends, sizes, strides and permutations must be one number per dimension of the input."""
    rank = len(graph.tensors[operator.inputs[0]].shape)
    for tensor in (graph.tensors[i] for i in operator.inputs[1:]):
        if tensor.shape != (rank,):
            return f"{tensor.name} is {tensor.shape_text}, not {rank}"
    return None


def slice_is_inside(graph: Graph, operator: Operator) -> str | None:
    """The slice must lie inside of the input and have the output's shape."""
    input_, output = data_tensors(graph, operator)
    return _misplaced(slices.slice_axes(graph, operator), input_.shape, output.shape, ())


def strides_step(graph: Graph, operator: Operator) -> str | None:
    """Strides must not be 0, and above 0 where a dimension is dropped."""
    # The oracle computes nothing where it drops a dimension that it walks backwards.
    assert isinstance(operator.options, StridedSliceOptions)
    for axis, stride in enumerate(slices.operand_values(graph, operator, 3)):
        if stride == 0 or (stride < 0 and operator.options.shrink_axis_mask >> axis & 1):
            return f"{stride} in dimension {axis}"
    return None


def masks_are_plain(graph: Graph, operator: Operator) -> str | None:
    """There must be no ellipsis, no new axis, and no end that counts from the beginning."""
    # The oracle ignores them.
    options = operator.options
    assert isinstance(options, StridedSliceOptions)
    found = {
        "an ellipsis": options.ellipsis_mask,
        "a new axis": options.new_axis_mask,
        "an offset": options.offset,
    }
    return ", ".join(name for name, given in found.items() if given) or None


def strided_slice_is_inside(graph: Graph, operator: Operator) -> str | None:
    """The slice must lie inside of the input and have the output's shape, dropped dimensions aside."""
    assert isinstance(operator.options, StridedSliceOptions)
    input_, output = data_tensors(graph, operator)
    mask = operator.options.shrink_axis_mask
    dropped = tuple(axis for axis in range(len(input_.shape)) if mask >> axis & 1)
    return _misplaced(slices.strided_slice_axes(graph, operator), input_.shape, output.shape, dropped)


def _misplaced(
    axes: tuple[AxisSlice, ...], shape: tuple[int, ...], output: tuple[int, ...], dropped: tuple[int, ...]
) -> str | None:
    for number, (axis, size) in enumerate(zip(axes, shape, strict=True)):
        last = axis.start + (axis.length - 1) * axis.stride
        if axis.length < 1 or not (0 <= axis.start < size and 0 <= last < size):
            return f"{axis.length} from {axis.start} on in dimension {number} of {size}"
    kept = tuple(axis.length for number, axis in enumerate(axes) if number not in dropped)
    return None if kept == output else f"it is {kept}, the output {output}"


def permutation_makes_output(graph: Graph, operator: Operator) -> str | None:
    """The permutation must name each dimension once and give the output's shape."""
    input_, output = data_tensors(graph, operator)
    order = slices.permutation_of(graph, operator)
    if sorted(order) != list(range(len(input_.shape))):
        return f"it is {order}"
    permuted = tuple(input_.shape[axis] for axis in order)
    return None if permuted == output.shape else f"it gives {permuted}, the output is {output.shape}"


def reversed_axes_are_neighbours(graph: Graph, operator: Operator) -> str | None:
    """The axes must be neighbours among at most 6 dimensions, and the output must have the input's shape."""
    # Both are limits of the oracle.
    input_, output = data_tensors(graph, operator)
    if len(input_.shape) > _MOST_DIMENSIONS[operator.opcode]:
        return f"there are {len(input_.shape)} dimensions"
    axes = slices.reversed_axes(graph, operator)
    inside = axes[0] >= 0 and axes[-1] < len(input_.shape)
    if not inside or axes != tuple(range(axes[0], axes[0] + len(axes))):
        return f"they are {axes} of {len(input_.shape)} dimensions"
    return None if input_.shape == output.shape else f"{input_.shape_text} to {output.shape_text}"


def squeeze_drops_ones(graph: Graph, operator: Operator) -> str | None:
    """The output must be the input without the dimensions of 1 that are named, or without all of them."""
    input_, output = data_tensors(graph, operator)
    options = operator.options
    assert isinstance(options, SqueezeOptions)
    rank = len(input_.shape)
    if any(not -rank <= axis < rank for axis in options.axes):
        return f"axes {options.axes} of {rank} dimensions"
    ones = tuple(axis for axis, size in enumerate(input_.shape) if size == 1)
    dropped = tuple(axis % rank for axis in options.axes) or ones
    kept = tuple(size for axis, size in enumerate(input_.shape) if axis not in dropped)
    if kept == output.shape and set(dropped) <= set(ones):
        return None
    return f"{input_.shape_text} without {dropped} to {output.shape_text}"


def expansion_adds_a_one(graph: Graph, operator: Operator) -> str | None:
    """The output must be the input with a dimension of 1 at the axis."""
    input_, output = data_tensors(graph, operator)
    axes = slices.operand_values(graph, operator, 1)
    rank = len(input_.shape) + 1
    if len(axes) != 1 or not -rank <= axes[0] < rank:
        return f"axis {axes} of {rank} dimensions"
    place = axes[0] % rank
    if (*input_.shape[:place], 1, *input_.shape[place:]) == output.shape:
        return None
    return f"{input_.shape_text} to {output.shape_text} with axis {axes[0]}"
