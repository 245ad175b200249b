# SPDX-License-Identifier: Apache-2.0
"""Bounds what every channel of every tensor can be, whatever the model's input: interval analysis.

The steps are the kernels' own arithmetic, all of it monotonic, so the ends of an interval give the ends of
the next. A channel whose ends are equal has that one value for every input. What is not analysed has the full
range of int8: the bounds are right for every model, and tight for those of convolutions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mcu_ser.aot import rules
from mcu_ser.aot.finish import Output
from mcu_ser.aot.ir import ABSENT, Activation, Graph, Operator, PoolOptions, Tensor
from mcu_ser.aot.kernels import add, mean, pad, table
from mcu_ser.aot.kernels.relu import relu_multiplier
from mcu_ser.aot.passes import ALIASING
from mcu_ser.aot.requantize import (
    INT8_MAX,
    INT8_MIN,
    Multiplier,
    activation_range,
    quantize_bound,
    scale,
)
from mcu_ser.aot.weighted import weighted
from mcu_ser.aot.window import depth_multiplier, needs_border

Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class ChannelRanges:
    """Least and greatest value of each channel of a tensor.

    Element i of the flat tensor belongs to channel i % `count`, which divides the last dimension: a tensor
    whose bytes were only numbered anew keeps the channels of the layer that computed them.
    """

    low: Int64Array
    high: Int64Array

    @property
    def count(self) -> int:
        return int(self.low.size)

    @property
    def constant(self) -> BoolArray:
        """Which channels have one value for every input."""
        return np.asarray(self.low == self.high)

    def along(self, depth: int) -> ChannelRanges:
        """The same for `depth` channels; all have the widest range where neither number divides the other."""
        if depth % self.count == 0:
            times = depth // self.count
            return ChannelRanges(np.tile(self.low, times), np.tile(self.high, times))
        if self.count % depth == 0:
            return ChannelRanges(
                self.low.reshape(-1, depth).min(axis=0), self.high.reshape(-1, depth).max(axis=0)
            )
        return ChannelRanges(np.full(depth, self.low.min()), np.full(depth, self.high.max()))

    def widened(self, value: int) -> ChannelRanges:
        """The ranges with a value that every channel may have, too."""
        return ChannelRanges(np.minimum(self.low, value), np.maximum(self.high, value))

    def mapped(self, function: Callable[[int], int]) -> ChannelRanges:
        """The ranges behind a function that does not fall."""
        ends = {int(x): function(int(x)) for x in {*self.low.tolist(), *self.high.tolist()}}
        return ChannelRanges(
            np.array([ends[x] for x in self.low.tolist()], np.int64),
            np.array([ends[x] for x in self.high.tolist()], np.int64),
        )

    def clipped(self, limits: tuple[int, int]) -> ChannelRanges:
        """The ranges behind a clamp."""
        return ChannelRanges(np.clip(self.low, *limits), np.clip(self.high, *limits))


Ranges = Mapping[int, ChannelRanges]


def find_ranges(graph: Graph) -> dict[int, ChannelRanges]:
    """The ranges of the activations of a supported graph, by tensor index; of no meaning if not int8."""
    ranges = {index: _range_of(graph.tensors[index]) for index in graph.inputs}
    for operator in graph.operators:
        data = rules.data_tensors(graph, operator)
        ranges |= {tensor.index: _range_of(tensor) for tensor in data if tensor.index not in ranges}
        step = _STEPS.get(operator.opcode)
        found = step(graph, operator, ranges) if step and all(t.dtype == "INT8" for t in data) else None
        if found is not None:
            ranges[operator.outputs[0]] = found
    return ranges


def last_dimension(tensor: Tensor) -> int:
    """Length of a tensor's last dimension; 1 for a scalar."""
    return tensor.shape[-1] if tensor.shape else 1


def _range_of(tensor: Tensor) -> ChannelRanges:
    """What is known of a tensor by itself: the full range, or the values of a constant."""
    depth = last_dimension(tensor)
    if tensor.data is not None:
        rows = tensor.data.reshape(-1, depth).astype(np.int64)
        return ChannelRanges(rows.min(axis=0), rows.max(axis=0))
    return ChannelRanges(np.full(depth, INT8_MIN), np.full(depth, INT8_MAX))


def _ends(graph: Graph, operator: Operator) -> tuple[Tensor, Tensor]:
    return graph.tensors[operator.inputs[0]], graph.results(operator)[0]


def _weighted(graph: Graph, operator: Operator, ranges: Ranges) -> ChannelRanges:
    """CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED: sums of the falling and of the rising terms."""
    layer = weighted(graph, operator)
    source = ranges[layer.input.index]
    zero_point = layer.input.zero_point
    if operator.opcode == "FULLY_CONNECTED":
        source = source.along(layer.weights.shape[1])
    else:
        source = source.along(layer.input.shape[3])
        if needs_border(graph, operator):
            source = source.widened(zero_point)
    low, high = source.low - zero_point, source.high - zero_point
    weights = layer.weights_by_channel
    taps = weights.shape[1]
    if operator.opcode == "DEPTHWISE_CONV_2D":
        multiplier = depth_multiplier(operator)
        shape = layer.channels, taps
        low = np.broadcast_to(np.repeat(low, multiplier)[:, None], shape)
        high = np.broadcast_to(np.repeat(high, multiplier)[:, None], shape)
    else:
        low, high = np.tile(low, taps // low.size), np.tile(high, taps // high.size)
    positive = np.maximum(weights, 0).astype(np.int64)
    negative = np.minimum(weights, 0).astype(np.int64)
    least = layer.biases + _sums(positive, low) + _sums(negative, high)
    greatest = layer.biases + _sums(positive, high) + _sums(negative, low)
    output = _output(layer.output, getattr(operator.options, "activation", Activation.NONE))
    return ChannelRanges(
        _scaled(least, layer.channel_multipliers, output),
        _scaled(greatest, layer.channel_multipliers, output),
    )


def _sums(weights: Int64Array, values: Int64Array) -> Int64Array:
    """For every channel the sum of its weights times the values, which are those of all or its own."""
    # Sums of products of 9 bits are whole numbers far below 2^53, which binary64 adds exactly, and fast.
    factors, terms = weights.astype(np.float64), values.astype(np.float64)
    sums = factors @ terms if values.ndim == 1 else np.einsum("ij,ij->i", factors, terms)
    return np.asarray(sums, np.float64).astype(np.int64)


def _output(tensor: Tensor, activation: Activation) -> Output:
    return Output(tensor.zero_point, *activation_range(activation, tensor.scale, tensor.zero_point))


def _scaled(sums: Int64Array, multipliers: tuple[Multiplier, ...], output: Output) -> Int64Array:
    values = [output.value(int(x), multiplier) for x, multiplier in zip(sums, multipliers, strict=True)]
    return np.array(values, np.int64)


def _same_bytes(graph: Graph, operator: Operator, ranges: Ranges) -> ChannelRanges:
    source, depth = ranges[operator.inputs[0]], last_dimension(graph.results(operator)[0])
    return source if depth % source.count == 0 else source.along(depth)


def _pool(graph: Graph, operator: Operator, ranges: Ranges) -> ChannelRanges:
    """A rounded average lies between the values of the window, in which the border does not count."""
    assert isinstance(operator.options, PoolOptions)
    input_, output = _ends(graph, operator)
    limits = activation_range(operator.options.activation, output.scale, output.zero_point)
    return ranges[input_.index].clipped(limits)


def _relu(graph: Graph, operator: Operator, ranges: Ranges) -> ChannelRanges:
    input_, output = _ends(graph, operator)
    multiplier, wanted = relu_multiplier(graph, operator), _output(output, Activation.RELU)
    return ranges[input_.index].mapped(lambda x: wanted.value(x - input_.zero_point, multiplier))


def _relu6(graph: Graph, operator: Operator, ranges: Ranges) -> ChannelRanges:
    input_, _ = _ends(graph, operator)
    six = quantize_bound(6.0, input_.scale, input_.zero_point)
    return ranges[input_.index].clipped((input_.zero_point, min(INT8_MAX, max(INT8_MIN, six))))


def _table(graph: Graph, operator: Operator, ranges: Ranges) -> ChannelRanges:
    """A function that may fall, too: the least and the greatest of its values over the interval."""
    values, source = table.values(graph, operator).astype(np.int64), ranges[operator.inputs[0]]
    spans = [
        values[least - INT8_MIN : greatest - INT8_MIN + 1]
        for least, greatest in zip(source.low.tolist(), source.high.tolist(), strict=True)
    ]
    return ChannelRanges(np.array([s.min() for s in spans]), np.array([s.max() for s in spans]))


def keeps_channels(graph: Graph, operator: Operator) -> bool:
    """Whether the channels of a MEAN, SUM or REDUCE_MAX are those of its input.

    An output of the right number of elements may have any shape.
    """
    input_, output = _ends(graph, operator)
    is_kept = len(input_.shape) - 1 not in mean.mean_axes(graph, operator)
    return is_kept and last_dimension(input_) == last_dimension(output)


def _reduction(graph: Graph, operator: Operator, ranges: Ranges) -> ChannelRanges | None:
    """MEAN, SUM and REDUCE_MAX over dimensions of which none is that of the channels."""
    if not keeps_channels(graph, operator):
        return None
    input_, output = _ends(graph, operator)
    source = ranges[input_.index]
    if operator.opcode == "REDUCE_MAX":
        return source
    count, multiplier = mean.loops_of(graph, operator).reduced, mean.mean_multiplier(graph, operator)

    def reduced(x: int) -> int:
        result = scale(count * (x - input_.zero_point), multiplier) + output.zero_point
        return min(INT8_MAX, max(INT8_MIN, result))

    return source.mapped(reduced)


def _add(graph: Graph, operator: Operator, ranges: Ranges) -> ChannelRanges:
    """ADD and SUB: the second input of a SUB turns round."""
    depth = last_dimension(graph.results(operator)[0])
    first, second = (_broadcast(ranges[index], depth) for index in operator.inputs)
    if first.count != second.count:
        first, second = first.along(depth), second.along(depth)
    outputs = add.all_outputs(graph, operator)
    falling, rising = second.low, second.high
    if operator.opcode == "SUB":
        falling, rising = rising, falling
    return ChannelRanges(
        outputs[first.low - INT8_MIN, falling - INT8_MIN], outputs[first.high - INT8_MIN, rising - INT8_MIN]
    )


def _broadcast(ranges: ChannelRanges, depth: int) -> ChannelRanges:
    return ranges if depth % ranges.count == 0 else ranges.along(depth)


def _pad(graph: Graph, operator: Operator, ranges: Ranges) -> ChannelRanges | None:
    if any(pad.paddings_of(graph, operator)[-1]):
        return None
    return ranges[operator.inputs[0]].widened(pad.pad_value(graph, operator))


def _concatenation(graph: Graph, operator: Operator, ranges: Ranges) -> ChannelRanges:
    """Side by side along the last dimension; along another one every channel may come from any part."""
    output = graph.results(operator)[0]
    axis = getattr(operator.options, "axis", 0) % len(output.shape)
    parts = [ranges[i].along(last_dimension(graph.tensors[i])) for i in operator.inputs if i != ABSENT]
    lows, highs = [part.low for part in parts], [part.high for part in parts]
    if axis == len(output.shape) - 1:
        return ChannelRanges(np.concatenate(lows), np.concatenate(highs))
    return ChannelRanges(np.min(lows, axis=0), np.max(highs, axis=0))


_STEPS: dict[str, Callable[[Graph, Operator, Any], ChannelRanges | None]] = {
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"), _weighted),
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D"), _pool),
    **dict.fromkeys(("HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "QUANTIZE", "TANH"), _table),
    **dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX"), _reduction),
    **dict.fromkeys(("ADD", "SUB"), _add),
    **dict.fromkeys(("PAD", "PADV2"), _pad),
    **dict.fromkeys(sorted(ALIASING), _same_bytes),
    "CONCATENATION": _concatenation,
    "RELU": _relu,
    "RELU6": _relu6,
}
