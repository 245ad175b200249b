# SPDX-License-Identifier: Apache-2.0
"""What convolutions and fully connected layers share: weights times input plus bias, rescaled per channel.

Turns such an operator of the graph into its multipliers, its biases and the proven range of its accumulators,
for the rules in `supported` and for the kernels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from mcu_ser.aot.ir import Graph, Operator, Tensor
from mcu_ser.aot.requantize import (
    INT8_MAX,
    INT8_MIN,
    INT32_MAX,
    INT32_MIN,
    Multiplier,
    quantize_multiplier,
)

Int64Array = npt.NDArray[np.int64]

# Dimension of the weights that counts output channels.
CHANNEL_AXIS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0, "TRANSPOSE_CONV": 0}

# Place of the activations and of the bias among the operands; weights are the second everywhere.
_DATA_PLACE = {"TRANSPOSE_CONV": 2}
_BIAS_PLACE = {"TRANSPOSE_CONV": 3}


@dataclass(frozen=True, eq=False)
class Weighted:
    """A layer with weights, whose tensors have passed the rules on types and quantisation."""

    opcode: str
    input: Tensor
    weights: Tensor
    bias: Tensor | None
    output: Tensor

    @property
    def channels(self) -> int:
        return self.weights.shape[CHANNEL_AXIS[self.opcode]]

    @cached_property
    def weights_by_channel(self) -> npt.NDArray[Any]:
        """int8 weights as (output channels, weights of one channel)."""
        axis = CHANNEL_AXIS[self.opcode]
        assert self.weights.data is not None
        return np.moveaxis(self.weights.data, axis, 0).reshape(self.channels, -1)

    @property
    def sparsity(self) -> float:
        """Fraction of zeros among the weights."""
        return float(np.mean(self.weights_by_channel == 0))

    @cached_property
    def biases(self) -> Int64Array:
        """One bias per output channel, 0 where the layer has none."""
        if self.bias is None or self.bias.data is None:
            return np.zeros(self.channels, np.int64)
        return self.bias.data.reshape(-1).astype(np.int64)

    @cached_property
    def multipliers(self) -> tuple[Multiplier, ...]:
        """One multiplier for the layer, or one per output channel."""
        assert self.weights.quantization is not None
        scales = self.weights.quantization.scales
        return tuple(quantize_multiplier(self.input.scale * s / self.output.scale) for s in scales)

    @cached_property
    def channel_multipliers(self) -> tuple[Multiplier, ...]:
        """One multiplier per output channel."""
        return (
            self.multipliers if len(self.multipliers) == self.channels else self.multipliers * self.channels
        )

    @cached_property
    def accumulator_range(self) -> tuple[Int64Array, Int64Array]:
        """Least and greatest accumulator of each channel over all int8 inputs, at every step of the sum."""
        return self._range_of_sums(self.biases, self.input.zero_point)

    @cached_property
    def folded_biases(self) -> Int64Array | None:
        """Biases that make up for the input's zero point, so that the kernel need not subtract it.

        None if the kernel's sum of weights times raw inputs could leave int32 on its way.
        """
        sums = self.weights_by_channel.sum(axis=1, dtype=np.int64)
        folded = self.biases - self.input.zero_point * sums
        low, high = self._range_of_sums(folded, 0)
        return folded if low.min() >= INT32_MIN and high.max() <= INT32_MAX else None

    def _range_of_sums(self, start: Int64Array, zero_point: int) -> tuple[Int64Array, Int64Array]:
        positive = np.maximum(self.weights_by_channel, 0).sum(axis=1, dtype=np.int64)
        negative = np.minimum(self.weights_by_channel, 0).sum(axis=1, dtype=np.int64)
        least, greatest = INT8_MIN - zero_point, INT8_MAX - zero_point
        # The sums of all falling and of all rising terms bound every partial sum in any order. With a
        # zero point of 0 raw inputs have both signs too.
        low = start + positive * min(least, 0) + negative * max(greatest, 0)
        high = start + positive * max(greatest, 0) + negative * min(least, 0)
        return low, high


def weighted(graph: Graph, operator: Operator) -> Weighted:
    """The layer of an operator of `CHANNEL_AXIS`."""
    operands = graph.operands(operator)
    input_, weights = operands[_DATA_PLACE.get(operator.opcode, 0)], operands[1]
    assert input_ is not None
    assert weights is not None
    place = _BIAS_PLACE.get(operator.opcode, 2)
    bias = operands[place] if len(operands) > place else None
    return Weighted(operator.opcode, input_, weights, bias, graph.results(operator)[0])
