# SPDX-License-Identifier: Apache-2.0
"""The way from sums to int8 of depthwise kernels, whose weights are int16 that are shifted beforehand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mcu_ser.aot import finish
from mcu_ser.aot.finish import END_SHIFTS, SIGNED, Finish, Output
from mcu_ser.aot.weighted import Weighted

# A weight of -128 shifted further would leave int16.
_MOST_LEFT = 8

# Common right shifts for which depthwise_3x3_dsp.h has functions.
_END_SHIFTS = tuple(shift for shift in END_SHIFTS if 8 <= shift <= 14)


@dataclass(frozen=True)
class ChannelConstants:
    """What a channel's rescaling takes: the bias, modulo 2^32, is shifted to the left like the weights."""

    bias: int
    multiplier: int
    constant: int
    left: int
    right: int


def choose_finish(layer: Weighted, output: Output) -> tuple[int, tuple[Finish, ...]] | None:
    """The common right shift or SIGNED, and the form of each channel; None where neither would be exact.

    Args:
        layer: A layer with one output channel per input channel.
        output: What it does with its scaled sums.
    """
    channels = finish.channels_of(layer)
    return finish.choose_finish(
        channels, output, end_shifts=_END_SHIFTS, most_left=[_MOST_LEFT] * len(channels)
    )


def channel_constants(
    layer: Weighted, finishes: tuple[Finish, ...], end_shift: int
) -> Iterator[ChannelConstants]:
    """Those of each channel, for windows that read the input's zero point where they leave the image."""
    weights = layer.weights_by_channel
    biases = layer.biases - layer.input.zero_point * weights.sum(axis=1, dtype=np.int64)
    for bias, form in zip(biases.tolist(), finishes, strict=True):
        # The signed way takes twice the sum.
        left, right = (1, form.shift) if end_shift == SIGNED else (form.shift, end_shift)
        yield ChannelConstants((bias << left) & 0xFFFFFFFF, form.multiplier, form.constant, left, right)
