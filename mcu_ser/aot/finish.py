# SPDX-License-Identifier: Apache-2.0
"""Turns the requantisation of a layer into one multiply, one add and one shift per output, where exact.

The specification rounds twice: x = floor((a m + 2^30) / 2^31), then x / 2^e to the nearest, ties away from
zero. Both are floors but for the ties of negative x, and floors nest, so that

    floor((floor((a m + 2^30) / 2^31) + h) / 2^e) = floor((a m + 2^30 + h 2^31) / 2^(31 + e)),   h = 2^(e - 1)

Two forms compute this with a 32-bit multiply that keeps the upper half:

- *shifted*: a is shifted left by s = E + 1 - e, so that one right shift E serves all channels of the layer;
  with s >= 2 the constants are whole. It lacks the tie rule of negative x, and is right all the same where
  these end at the least output, i.e. where the least output is the zero point (a fused ReLU).
- *signed*: 2 a m with a rounded upper half, less one where a is negative, then a shift by e.

`Finish` holds the constants of one channel. Every condition is checked here, channel by channel, over the
proven range of its sums; a layer that breaks one has no such form and keeps its plain kernel.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mcu_ser.aot.requantize import INT32_MAX, INT32_MIN, Multiplier, scale
from mcu_ser.aot.weighted import Weighted

# Common right shifts of the shifted form, those first that suit most layers: equal ones share their code.
END_SHIFTS = (10, 12, 9, 11, 13, 14, 8, 15, 16, 7, 6, 5, 4, 17, 18)
SIGNED = 0

# The least left shift with whole constants, and the greatest that the parameters are meant for.
_LEAST_LEFT, _GREATEST_LEFT = 2, 30


@dataclass(frozen=True)
class Channel:
    """One output channel before its requantisation: the proven range of its sums and its multiplier."""

    low: int
    high: int
    multiplier: Multiplier


def channels_of(layer: Weighted) -> tuple[Channel, ...]:
    """The output channels of a layer."""
    low, high = layer.accumulator_range
    return tuple(
        Channel(int(least), int(greatest), multiplier)
        for least, greatest, multiplier in zip(low, high, layer.channel_multipliers, strict=True)
    )


@dataclass(frozen=True)
class Finish:
    """Constants of one channel; `shift` is to the left before the product if shifted, else to the right.

    `bias` is added to the sum first (`direct_finish`).
    """

    multiplier: int
    constant: int
    shift: int
    bias: int = 0


@dataclass(frozen=True)
class Output:
    """What a layer does with its scaled sums: adds the zero point and clamps."""

    zero_point: int
    min: int
    max: int

    def value(self, x: int, multiplier: Multiplier) -> int:
        """The output of a sum, as the specification has it."""
        return max(self.min, min(self.max, scale(x, multiplier) + self.zero_point))


def constant_output(channel: Channel, output: Output) -> int | None:
    """The one output that a channel can have, or None if it can have several; scaling is monotonic."""
    least = output.value(channel.low, channel.multiplier)
    return least if least == output.value(channel.high, channel.multiplier) else None


def shifted(channel: Channel, output: Output, end_shift: int, most_left: int | None = None) -> Finish | None:
    """The shifted form of one channel for a common right shift; None where it would not be exact."""
    constant = constant_output(channel, output)
    if constant is not None:
        return Finish(0, constant << end_shift, _LEAST_LEFT)
    exponent = -channel.multiplier.shift
    left = end_shift + 1 - exponent
    if exponent < 0 or not _LEAST_LEFT <= left <= (most_left or _GREATEST_LEFT):
        return None
    if exponent > 0 and channel.low < 0 and output.min != output.zero_point:
        return None
    half = 1 << (end_shift - 1) if exponent > 0 else 0
    added = (1 << (left - 2)) + half + (output.zero_point << end_shift)
    finish = Finish(channel.multiplier.mantissa, added, left)
    sums = [x << left for x in (channel.low, channel.high)]
    ends = [(x * finish.multiplier >> 32) + added for x in sums]
    return finish if _fit_int32(*sums, *ends, added) else None


def signed(channel: Channel, output: Output) -> Finish | None:
    """The signed form of one channel; None where it would not be exact."""
    constant = constant_output(channel, output)
    if constant is not None:
        # The one that negative sums take away stays below the half.
        return Finish(0, (constant << 8) + (1 << 7), 8)
    exponent = -channel.multiplier.shift
    if not 1 <= exponent <= 30:
        return None
    added = (1 << (exponent - 1)) + (output.zero_point << exponent)
    finish = Finish(channel.multiplier.mantissa, added, exponent)
    sums = [2 * x for x in (channel.low, channel.high)]
    ends = [(x * finish.multiplier + (1 << 31) >> 32) + added for x in sums]
    return finish if _fit_int32(*sums, *ends, ends[0] - 1, added) else None


def sums_keep_to(bits: int, channels: Iterable[Channel], finishes: Iterable[Finish]) -> bool:
    """Whether all sums with their `bias` are signed integers of so many bits; those times 0 need not be."""
    limit = 1 << (bits - 1)
    return all(
        finish.multiplier == 0 or (-limit <= channel.low + finish.bias and channel.high + finish.bias < limit)
        for channel, finish in zip(channels, finishes, strict=True)
    )


def all_channels(finishes: Iterable[Finish | None]) -> tuple[Finish, ...] | None:
    """The forms of all channels, or None if one of them has none."""
    found = []
    for constants in finishes:
        if constants is None:
            return None
        found.append(constants)
    return tuple(found)


def choose_finish(
    channels: Sequence[Channel],
    output: Output,
    *,
    end_shifts: Sequence[int] = END_SHIFTS,
    most_left: Sequence[int | None] | None = None,
) -> tuple[int, tuple[Finish, ...]] | None:
    """The cheapest exact way from sums to int8; None where there is none.

    Args:
        channels: The output channels of a layer.
        output: What it does with its scaled sums.
        end_shifts: Common right shifts that the kernel has, those first that it prefers.
        most_left: The greatest left shift of each channel's sum; None for one without such a limit, and for
            all of them.

    Returns:
        The common right shift, or SIGNED, and the form of each channel.
    """
    limits = most_left or (None,) * len(channels)
    for end_shift in end_shifts:
        found = all_channels(
            shifted(channel, output, end_shift, limit)
            for channel, limit in zip(channels, limits, strict=True)
        )
        if found is not None:
            return end_shift, found
    found = all_channels(signed(channel, output) for channel in channels)
    return None if found is None else (SIGNED, found)


def _fit_int32(*values: int) -> bool:
    return all(INT32_MIN <= value <= INT32_MAX for value in values)
