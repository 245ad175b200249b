# SPDX-License-Identifier: Apache-2.0
"""Requantisation in one multiply-accumulate and one shift per output: constants that are searched for.

The forms of `finish` have the specification's multiplier m, and shift the sum first so that their constants
are whole. But the output of a channel rises at a few hundred sums at most, and whatever rises at the same
sums is exact:

    floor((floor((x + b) m' / 2^32) + c) / 2^E)

E serves all channels of the layer; m' has what bits of m it leaves. b, which goes into the bias, makes
b m' + c 2^32 as fine as needed. The ties of negative sums, which the specification rounds away from zero,
have no such constants as a rule: a layer has this form where its least output is its zero point (a fused
ReLU).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from mcu_ser.aot.finish import (
    Channel,
    Finish,
    Output,
    all_channels,
    constant_output,
)
from mcu_ser.aot.requantize import INT32_MAX, INT32_MIN, Multiplier

# Common right shifts that there is code for.
END_SHIFTS = range(1, 19)
# Numbers of 64 bits hold all that is computed here for right shifts up to this.
_GREATEST_EXPONENT = 22
# A multiply-accumulate adds to the upper half of the product.
_HIGH = 32

Int64Array = npt.NDArray[np.int64]


@lru_cache(maxsize=64)
def choose_direct(channels: tuple[Channel, ...], output: Output) -> tuple[int, tuple[Finish, ...]] | None:
    """The common right shift and the constants of all channels; None where one of them has none."""
    exponents = [-c.multiplier.shift for c in channels if constant_output(c, output) is None]
    end_shift = min(exponents, default=max(END_SHIFTS) + 1) - 1
    if end_shift not in END_SHIFTS or max(exponents, default=0) > _GREATEST_EXPONENT:
        return None
    found = all_channels(direct(channel, output, end_shift) for channel in channels)
    return None if found is None else (end_shift, found)


def direct(channel: Channel, output: Output, end_shift: int) -> Finish | None:
    """The constants of one channel for a common right shift; None where none were found.

    Args:
        channel: Its multiplier's right shift is greater than the common one, and at most 22.
        output: What the layer does with the scaled sums.
        end_shift: E, of `END_SHIFTS`.
    """
    constant = constant_output(channel, output)
    if constant is not None:
        return Finish(0, constant << end_shift, 0)
    lost = -channel.multiplier.shift - end_shift - 1
    multiplier = (channel.multiplier.mantissa + (1 << lost >> 1)) >> lost
    if multiplier > INT32_MAX:
        return None
    least, limit = _offsets(channel, output, end_shift, multiplier)
    found = _split(least, limit, multiplier) if least < limit else None
    if found is None:
        return None
    bias, added = found
    finish = Finish(multiplier, added, 0, bias)
    return finish if _fits(finish, channel) else None


def rising_sums(multiplier: Multiplier, steps: Int64Array) -> Int64Array:
    """The least sums that the specification scales to these steps or more.

    Args:
        multiplier: With a right shift from 1 to 22.
        steps: Scaled sums, without a zero point; of 9 bits.
    """
    # The least number of the first rounding that the second one makes a step; ties are away from zero.
    exponent = -multiplier.shift
    half = 1 << (exponent - 1)
    least = ((steps - 1) << exponent) + half + (steps <= 0)
    sums: Int64Array = -((-((least << 31) - (1 << 30))) // multiplier.mantissa)
    return sums


def _offsets(channel: Channel, output: Output, end_shift: int, multiplier: int) -> tuple[int, int]:
    """Which b m' + c 2^32 are right: the least, and the first that is not."""
    # The least output is that of whatever comes out below it, too.
    outputs = np.arange(output.min + 1, output.max + 1, dtype=np.int64)
    sums = rising_sums(channel.multiplier, outputs - output.zero_point)
    needed = outputs << (end_shift + _HIGH)
    reached, missed = sums <= channel.high, sums > channel.low
    first = np.maximum(sums[reached], channel.low)
    last = np.minimum(sums[missed] - 1, channel.high)
    least = (needed[reached] - first * multiplier).max(initial=-(1 << 62))
    limit = (needed[missed] - last * multiplier).min(initial=1 << 62)
    return int(least), int(limit)


def _split(least: int, limit: int, multiplier: int) -> tuple[int, int] | None:
    """The b nearest to 0 for which some c makes b m' + c 2^32 one of these offsets, and c; None without."""
    unit = 1 << _HIGH
    low, high = least % unit, least % unit + limit - least - 1
    if low == 0 or high >= unit:
        bias = 0
    else:
        after = first_multiple(multiplier, unit, low, high)
        before = first_multiple(multiplier, unit, unit - high, unit - low)
        found = [b for b in (after, None if before is None else -before) if b is not None]
        if not found:
            return None
        bias = min(found, key=abs)
    return bias, -((bias * multiplier - least) // unit)


def first_multiple(factor: int, modulus: int, low: int, high: int) -> int | None:
    """The least x >= 0 with low <= factor x mod modulus <= high; None if there is none.

    Euclid's algorithm, on the interval: either a multiple lies in it before the modulus is reached, or the
    question is which multiple of the modulus ends as far before a multiple of the factor.

    Args:
        factor: 0 <= factor < modulus.
        modulus: Greater than `high`.
        low: 0 <= low <= high.
        high: See `low`.
    """
    if low == 0:
        return 0
    if factor == 0:
        return None
    first = -(-low // factor)
    if factor * first <= high:
        return first
    rounds = first_multiple(modulus % factor, factor, -high % factor, -low % factor)
    return None if rounds is None else -(-(low + modulus * rounds) // factor)


def _fits(finish: Finish, channel: Channel) -> bool:
    """Whether neither sums nor what becomes of them leave 32 bits."""
    sums = [x + finish.bias for x in (channel.low, channel.high)]
    ends = [(x * finish.multiplier >> _HIGH) + finish.constant for x in sums]
    return all(INT32_MIN <= value <= INT32_MAX for value in (*sums, *ends, finish.constant))
