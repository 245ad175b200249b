# SPDX-License-Identifier: Apache-2.0
"""Limits of the engine on ARG_MAX, whose output are indices; see `rules`."""

from __future__ import annotations

from mcu_ser.aot.ir import Graph, Operator
from mcu_ser.aot.kernels.arg_max import given_axis


def indices_have_their_type(graph: Graph, operator: Operator) -> str | None:
    """The input must be INT8 and the output INT32."""
    # The oracle's limit on the output; converters make it INT64 unless they are told.
    pair = (graph.tensors[operator.inputs[0]].dtype, graph.results(operator)[0].dtype)
    return None if pair == ("INT8", "INT32") else f"they are {pair[0]} and {pair[1]}"


def indices_are_the_models_output(graph: Graph, operator: Operator) -> str | None:
    """The output must be the model's output."""
    # No other layer takes indices.
    return None if operator.outputs == graph.outputs else "it is not"


def axis_goes(graph: Graph, operator: Operator) -> str | None:
    """The axis must be one dimension of the input, which the output has no more."""
    axes, shape = graph.tensors[operator.inputs[1]], graph.tensors[operator.inputs[0]].shape
    if axes.elements != 1:
        return f"{axes.elements} axes"
    axis = given_axis(graph, operator)
    if not -len(shape) <= axis < len(shape):
        return f"axis {axis} of {len(shape)} dimensions"
    axis %= len(shape)
    left, output = (*shape[:axis], *shape[axis + 1 :]), graph.results(operator)[0]
    if output.shape == left:
        return None
    return f"axis {axis} of {graph.tensors[operator.inputs[0]].shape_text} and output {output.shape_text}"
