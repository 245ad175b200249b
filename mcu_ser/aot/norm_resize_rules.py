# SPDX-License-Identifier: Apache-2.0
"""Limits of the engine on L2_NORMALIZATION and RESIZE_NEAREST_NEIGHBOR; see `rules`."""

from __future__ import annotations

from mcu_ser.aot.ir import Graph, Operator
from mcu_ser.aot.requantize import INT32_MAX
from mcu_ser.aot.rules import data_tensors

# Squares of -255 .. 255 are added up in int32.
MAX_NORM_DEPTH = INT32_MAX // 255**2
MAX_NORM_RANK = 4


def norm_depth_is_limited(graph: Graph, operator: Operator) -> str | None:
    """There must be 1 to 4 dimensions, the last of at most 33025."""
    # The number of dimensions is the oracle's limit.
    shape = graph.tensors[operator.inputs[0]].shape
    if not 1 <= len(shape) <= MAX_NORM_RANK:
        return f"it has {len(shape)}"
    return None if shape[-1] <= MAX_NORM_DEPTH else f"it is {shape[-1]}"


def norm_output_is_fixed(graph: Graph, operator: Operator) -> str | None:
    """The norm's output must have scale 1/128 and zero point 0."""
    # The oracle takes this for granted.
    output = graph.results(operator)[0]
    if output.scale == 1 / 128 and output.zero_point == 0:
        return None
    return f"scale {output.scale:g}, zero point {output.zero_point}"


def size_is_that_of_the_output(graph: Graph, operator: Operator) -> str | None:
    """The size must be height and width of the output, and the channels must stay."""
    input_, output = data_tensors(graph, operator)
    size = graph.tensors[operator.inputs[1]]
    assert size.data is not None
    if size.shape != (2,) or tuple(size.data.tolist()) != output.shape[1:3]:
        return f"it is {size.data.tolist()} for {output.shape_text}"
    return None if input_.shape[3] == output.shape[3] else f"{input_.shape_text} to {output.shape_text}"
