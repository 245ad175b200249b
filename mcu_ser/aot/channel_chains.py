# SPDX-License-Identifier: Apache-2.0
"""Finds the tensors that have the same channels: layers that work channel by channel tie output to input."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mcu_ser.aot import rules
from mcu_ser.aot.channel_ranges import ChannelRanges, keeps_channels, last_dimension
from mcu_ser.aot.ir import Graph, Operator
from mcu_ser.aot.kernels.pad import paddings_of
from mcu_ser.aot.passes import ALIASING
from mcu_ser.aot.window import depth_multiplier


@dataclass(frozen=True, eq=False)
class Chains:
    """Tensors that gain or lose a channel together.

    `root`: tensor index -> that of the chain's first tensor, for every activation. `whole` are the roots of
    the chains that keep all channels: the model's input and output, and what is read or written otherwise
    than channel by channel or by a convolution or FULLY_CONNECTED.
    """

    root: Mapping[int, int]
    whole: frozenset[int]


def find_chains(graph: Graph, ranges: Mapping[int, ChannelRanges]) -> Chains:
    """The chains of a supported graph with the ranges of its channels."""
    root = {index: index for index in graph.inputs}
    whole = {*graph.inputs, *graph.outputs}
    for operator in graph.operators:
        data = rules.data_tensors(graph, operator)
        root |= {tensor.index: tensor.index for tensor in data if tensor.index not in root}
        if any(t.dtype != "INT8" or t.data is not None for t in data):
            whole.update(t.index for t in data)
        elif operator.opcode in {"CONV_2D", "FULLY_CONNECTED"}:
            # Reads all channels and computes new ones; a row holds the channels a whole number of times.
            depth = graph.tensors[operator.inputs[1]].shape[-1]
            if depth % ranges[operator.inputs[0]].count:
                whole.add(operator.inputs[0])
        elif _is_by_channel(graph, operator, ranges):
            _join(root, [t.index for t in data])
        else:
            whole.update(t.index for t in data)
    return Chains(root, frozenset(root[index] for index in whole))


def _join(root: dict[int, int], tensors: list[int]) -> None:
    roots = {root[index] for index in tensors}
    first = next(index for index in root if root[index] in roots)
    root.update({index: root[first] for index, of in root.items() if of in roots})


def _is_by_channel(graph: Graph, operator: Operator, ranges: Mapping[int, ChannelRanges]) -> bool:
    """Whether each channel of the output depends on the same channel of the inputs alone."""
    tensors = rules.data_tensors(graph, operator)
    condition = _BY_CHANNEL.get(operator.opcode)
    return (
        condition is not None
        and len({ranges[tensor.index].count for tensor in tensors}) == 1
        and condition(graph, operator)
    )


def _always(graph: Graph, operator: Operator) -> bool:
    return True


def _of_one_shape(graph: Graph, operator: Operator) -> bool:
    return len({tensor.shape for tensor in rules.data_tensors(graph, operator)}) == 1


def _multiplies_once(graph: Graph, operator: Operator) -> bool:
    channels = last_dimension(graph.results(operator)[0])
    return depth_multiplier(operator) == 1 and graph.tensors[operator.inputs[1]].shape[3] == channels


def _pads_no_channel(graph: Graph, operator: Operator) -> bool:
    return not any(paddings_of(graph, operator)[-1])


_BY_CHANNEL: dict[str, Callable[[Graph, Operator], bool]] = {
    **dict.fromkeys(sorted(ALIASING), _always),
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D", "RELU", "RELU6"), _always),
    **dict.fromkeys(("HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "QUANTIZE", "TANH"), _always),
    **dict.fromkeys(("ADD", "MAXIMUM", "MINIMUM", "MUL", "SUB"), _of_one_shape),
    **dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX"), keeps_channels),
    **dict.fromkeys(("PAD", "PADV2"), _pads_no_channel),
    "DEPTHWISE_CONV_2D": _multiplies_once,
}
