# SPDX-License-Identifier: Apache-2.0
"""Leaves out the channels that no other byte depends on: Graph -> a smaller Graph with the same outputs.

A convolution or FULLY_CONNECTED can do without a channel of its input that is the same for every input of
the model (`channel_ranges`), whose share of the sums goes into the biases, and without one that it multiplies
by zeros alone. A constant must not meet the border of a padded window, where the zero point stands for it,
unless it is the zero point. A channel goes if all that read its tensor can do without it; then the filter
that computed it goes, and with the filter what only that read. Layers that work channel by channel pass this
on (`channel_chains`): the channels of a whole chain go at once. Any other use of a tensor keeps all of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from mcu_ser.aot.channel_chains import Chains, find_chains
from mcu_ser.aot.channel_ranges import BoolArray, ChannelRanges, find_ranges, last_dimension
from mcu_ser.aot.ir import ABSENT, Constant, Graph, Operator, Quantization, Tensor, verify_graph
from mcu_ser.aot.weighted import CHANNEL_AXIS, weighted
from mcu_ser.aot.window import needs_border

Int64Array = npt.NDArray[np.int64]

# Kernels compute channels in fours: what is left is rounded up to this.
CHANNEL_MULTIPLE = 4

# Weights of so many input channels are stored, or left out, together.
BLOCK = 4

# Layers that read all channels of their input for each of their output.
_MIXING = ("CONV_2D", "FULLY_CONNECTED")


def fold_channels(graph: Graph, multiple: int = CHANNEL_MULTIPLE) -> Graph:
    """Leave out what need not be computed; the graph itself if that is nothing.

    Activations and operators keep their indices; constants that were cut are new tensors.

    Args:
        graph: A supported graph.
        multiple: Channels are left out only down to a multiple of this.
    """
    ranges = find_ranges(graph)
    chains = find_chains(graph, ranges)
    left_out = _find_left_out(graph, ranges, chains, multiple)
    kept = {tensor: ~left_out[root] for tensor, root in chains.root.items() if left_out[root].any()}
    if not kept:
        return graph
    folded = _Rewriter(graph, ranges, kept).graph()
    verify_graph(folded)
    return folded


def _along(mask: BoolArray, depth: int) -> BoolArray:
    """A mask of channels for a dimension that holds them once or several times."""
    return np.asarray(np.tile(mask, depth // mask.size), np.bool_)


def _find_left_out(
    graph: Graph, ranges: Mapping[int, ChannelRanges], chains: Chains, multiple: int
) -> dict[int, BoolArray]:
    """Which channels of each chain go, by its root; grows until no filter that is left needs fewer."""
    left_out = {root: np.zeros(ranges[root].count, np.bool_) for root in chains.root.values()}
    free = [root for root in left_out if root not in chains.whole]
    readers = {
        root: [
            operator
            for operator in graph.operators
            if operator.opcode in _MIXING and chains.root.get(operator.inputs[0]) == root
        ]
        for root in free
    }
    grown = True
    while grown:
        grown = False
        # Backwards, because it is what comes later that needs less.
        for root in reversed(free):
            unneeded: BoolArray = np.ones(ranges[root].count, np.bool_)
            for reader in readers[root]:
                filters = ~left_out[chains.root[reader.outputs[0]]]
                unneeded = unneeded & _can_do_without(graph, reader, ranges, filters)
            chosen = min(
                _possible(left_out[root], unneeded, multiple),
                key=lambda gone: sum(_blocks(graph, reader, ~gone) for reader in readers[root]),
            )
            grown |= bool((chosen != left_out[root]).any())
            left_out[root] = chosen
    return left_out


def _can_do_without(
    graph: Graph, operator: Operator, ranges: Mapping[int, ChannelRanges], filters: BoolArray
) -> BoolArray:
    """Which channels of its input a convolution or FULLY_CONNECTED does not need for some of its filters."""
    source = ranges[operator.inputs[0]]
    input_ = graph.tensors[operator.inputs[0]]
    foldable = source.constant
    if operator.opcode == "CONV_2D" and needs_border(graph, operator):
        foldable = foldable & (source.low == input_.zero_point)
    used = _weights(graph, operator)[filters].reshape(-1, source.count).any(axis=0)
    return np.asarray(foldable | ~used, np.bool_)


def _weights(graph: Graph, operator: Operator) -> Constant:
    data = graph.tensors[operator.inputs[1]].data
    assert data is not None
    return data


def _possible(before: BoolArray, unneeded: BoolArray, multiple: int) -> list[BoolArray]:
    """Which channels to leave out, the greatest number of them first.

    Where weights were pruned by blocks, a channel that goes alone moves those behind it into other blocks, of
    which more are not zero then; whole blocks can go without that.
    """
    found = [_rounded(before, unneeded, multiple)]
    if before.size % BLOCK == 0:
        whole = np.repeat((unneeded | before).reshape(-1, BLOCK).all(axis=1), BLOCK)
        found.append(_rounded(before, whole, multiple))
    return found


def _blocks(graph: Graph, operator: Operator, kept: BoolArray) -> int:
    """Blocks of weights of a convolution or FULLY_CONNECTED that are not zero, of the kept channels."""
    weights = _weights(graph, operator).reshape(-1, kept.size)[:, kept]
    missing = -weights.shape[1] % BLOCK
    blocks = np.pad(weights, ((0, 0), (0, missing))).reshape(-1, BLOCK)
    return int(np.count_nonzero(blocks.any(axis=1)))


def _rounded(before: BoolArray, unneeded: BoolArray, multiple: int) -> BoolArray:
    """Which channels to leave out, those of `before` among them: the last ones, down to a multiple."""
    needed = max(1, int(np.count_nonzero(~unneeded)))
    count = before.size - math.ceil(needed / multiple) * multiple
    chosen: BoolArray = before.copy()
    missing = count - int(np.count_nonzero(before))
    if missing > 0:
        chosen[np.flatnonzero(unneeded & ~before)[-missing:]] = True
    return chosen


class _Rewriter:
    """Cuts tensors, weights and biases; `kept` are the channels of the tensors that lose some."""

    def __init__(
        self, graph: Graph, ranges: Mapping[int, ChannelRanges], kept: Mapping[int, BoolArray]
    ) -> None:
        self._source = graph
        self._ranges = ranges
        self._kept = kept
        self._tensors = list(graph.tensors)

    def graph(self) -> Graph:
        """The rewritten graph."""
        for index, mask in self._kept.items():
            tensor = self._tensors[index]
            left_out = np.flatnonzero(~_along(mask, last_dimension(tensor)))
            shape = (*tensor.shape[:-1], last_dimension(tensor) - left_out.size)
            self._tensors[index] = replace(tensor, shape=shape, left_out=tuple(left_out.tolist()))
        operators = tuple(self._operator(operator) for operator in self._source.operators)
        return replace(self._source, tensors=tuple(self._tensors), operators=operators)

    def _operator(self, operator: Operator) -> Operator:
        if not {*operator.inputs, *operator.outputs} & self._kept.keys():
            return operator
        if operator.opcode == "RESHAPE":
            # The second operand is the shape, which is not any more what it was.
            return replace(operator, inputs=operator.inputs[:1])
        if operator.opcode in CHANNEL_AXIS:
            return self._weighted(operator)
        return operator

    def _weighted(self, operator: Operator) -> Operator:
        source, weights, *_ = operator.inputs
        filters = self._mask(operator.outputs[0])
        axis = CHANNEL_AXIS[operator.opcode]
        values = np.compress(filters, _weights(self._source, operator), axis=axis)
        biases = self._biases(operator)[filters]
        if operator.opcode in _MIXING and source in self._kept:
            values = values[..., _along(self._kept[source], values.shape[-1])]
        cut = self._add(self._source.tensors[weights], values, filters)
        bias = self._bias(operator, biases, filters)
        return replace(operator, inputs=(source, cut, *bias))

    def _mask(self, tensor: int) -> BoolArray:
        """The kept ones along the last dimension of a tensor."""
        depth = last_dimension(self._source.tensors[tensor])
        mask = self._kept.get(tensor)
        return np.ones(depth, np.bool_) if mask is None else _along(mask, depth)

    def _biases(self, operator: Operator) -> Int64Array:
        """Biases of all filters, with the shares of the channels that are left out."""
        layer = weighted(self._source, operator)
        kept = self._kept.get(layer.input.index)
        if operator.opcode not in _MIXING or kept is None:
            return layer.biases
        # What is left out without being constant is multiplied by zeros.
        ranges = self._ranges[layer.input.index]
        values = np.where(~kept & ranges.constant, ranges.low - layer.input.zero_point, 0)
        weights = layer.weights_by_channel.astype(np.int64)
        shares = weights @ np.tile(values, weights.shape[1] // values.size)
        return np.asarray(layer.biases + shares, np.int64)

    def _bias(self, operator: Operator, values: Int64Array, filters: BoolArray) -> tuple[int, ...]:
        """The operand for the biases: none where the layer had none and needs none."""
        index = operator.inputs[2] if len(operator.inputs) > 2 else ABSENT
        if index != ABSENT:
            return (self._add(self._source.tensors[index], values.astype(np.int32), filters),)
        if not values.any():
            return operator.inputs[2:]
        layer = weighted(self._source, operator)
        assert layer.weights.quantization is not None
        scales = tuple(layer.input.scale * scale for scale in layer.weights.quantization.scales)
        bias = Tensor(
            index=len(self._tensors),
            name=f"{layer.output.name}/bias",
            shape=(filters.size,),
            dtype="INT32",
            quantization=Quantization(scales, (0,) * len(scales)),
        )
        return (self._add(bias, values.astype(np.int32), filters),)

    def _add(self, tensor: Tensor, values: Constant, filters: BoolArray) -> int:
        """A new constant with what is left of one; returns its index."""
        quantization = tensor.quantization
        if quantization is not None and len(quantization.scales) == filters.size > 1:
            quantization = replace(
                quantization,
                scales=tuple(np.compress(filters, quantization.scales).tolist()),
                zero_points=tuple(np.compress(filters, quantization.zero_points).tolist()),
            )
        index = len(self._tensors)
        self._tensors.append(
            replace(tensor, index=index, shape=values.shape, quantization=quantization, data=values)
        )
        return index
