# SPDX-License-Identifier: Apache-2.0
"""Limits of the engine on operators that join or divide a tensor along one axis; see `rules`."""

from __future__ import annotations

from mcu_ser.aot.ir import Activation, Graph, Operator, PartsOptions
from mcu_ser.aot.kernels import parts
from mcu_ser.aot.rules import data_tensors

# Of the oracle's shapes without memory of their own.
MAX_CONCATENATION_RANK = 6


def axis_exists(graph: Graph, operator: Operator) -> str | None:
    """The axis must be one dimension of the whole tensor."""
    place = parts.AXIS_OPERAND.get(operator.opcode)
    if place is not None and graph.tensors[operator.inputs[place]].elements != 1:
        return f"{graph.tensors[operator.inputs[place]].elements} axes"
    layer = parts.parts_of(graph, operator)
    rank = len(layer.whole.shape)
    return None if -rank <= layer.axis < rank else f"axis {layer.axis} of {rank} dimensions"


def parts_make_whole(graph: Graph, operator: Operator) -> str | None:
    """The parts must have the whole tensor's shape but along the axis, which they fill."""
    layer = parts.parts_of(graph, operator)
    whole = layer.whole.shape
    axis = layer.axis % len(whole)
    stacked = operator.opcode in parts.STACKING
    rest = (*whole[:axis], *whole[axis + 1 :])
    for part in layer.parts:
        shape = part.shape if stacked else (*part.shape[:axis], *part.shape[axis + 1 :])
        if shape != rest or len(part.shape) != len(whole) - stacked:
            return f"{part.shape_text} of {layer.whole.shape_text} along axis {axis}"
    filled = sum(layer.length(part) for part in layer.parts)
    return None if filled == whole[axis] else f"{filled} of {whole[axis]}"


def split_is_even(graph: Graph, operator: Operator) -> str | None:
    """The parts must be equally long."""
    # The oracle takes the first part's length for all.
    layer = parts.parts_of(graph, operator)
    lengths = sorted({layer.length(part) for part in layer.parts})
    return None if len(lengths) == 1 else f"{lengths[0]} and {lengths[-1]}"


def count_is_that_of_the_parts(graph: Graph, operator: Operator) -> str | None:
    """The count of parts in the options must be that of the tensors."""
    # The oracle goes by the options.
    assert isinstance(operator.options, PartsOptions)
    count = len(parts.parts_of(graph, operator).parts)
    return None if operator.options.count == count else f"{operator.options.count} and {count}"


def sizes_are_those_of_the_parts(graph: Graph, operator: Operator) -> str | None:
    """The sizes must be those of the parts, or -1."""
    sizes = graph.tensors[operator.inputs[1]].data
    assert sizes is not None
    layer = parts.parts_of(graph, operator)
    lengths = [layer.length(part) for part in layer.parts]
    given = [int(size) for size in sizes.reshape(-1)]
    fit = len(given) == len(lengths) and all(a in {b, -1} for a, b in zip(given, lengths, strict=True))
    return None if fit else f"{given} for {lengths}"


def parts_keep_quantisation(graph: Graph, operator: Operator) -> str | None:
    """All inputs must have the scale and zero point of the output."""
    # The oracle's limit.
    *inputs, output = data_tensors(graph, operator)
    for tensor in inputs:
        if tensor.scale != output.scale:
            return f"scales {tensor.scale:g} and {output.scale:g}"
        if tensor.zero_point != output.zero_point:
            return f"zero points {tensor.zero_point} and {output.zero_point}"
    return None


def concatenation_has_six_dimensions(graph: Graph, operator: Operator) -> str | None:
    """The output must have at most 6 dimensions."""
    # The oracle's limit.
    rank = len(graph.results(operator)[0].shape)
    return None if rank <= MAX_CONCATENATION_RANK else f"it has {rank}"


def nothing_is_fused(graph: Graph, operator: Operator) -> str | None:
    """No activation may be fused."""
    # The oracle's limit.
    activation = getattr(operator.options, "activation", Activation.NONE)
    return None if activation is Activation.NONE else activation.name
