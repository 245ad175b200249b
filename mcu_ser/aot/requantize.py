# SPDX-License-Identifier: Apache-2.0
"""Turns real scales into the integer multiplier and shift of the kernels, and computes with them exactly.

The arithmetic is that of TensorFlow Lite's int8 specification with the double rounding of gemmlowp, as the
TFLite-Micro interpreter uses it. Real numbers are binary64 unless a function says binary32: the oracle's own
mix of the two decides about the last bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mcu_ser.aot.ir import Activation

INT8_MIN, INT8_MAX = -128, 127
INT32_MIN, INT32_MAX = -(1 << 31), (1 << 31) - 1


@dataclass(frozen=True)
class Multiplier:
    """The factor mantissa * 2^(shift - 31).

    The mantissa is 0 or within 2^30 .. 2^31 - 1; a negative shift is to the right.
    """

    mantissa: int
    shift: int


def quantize_multiplier(real: float) -> Multiplier:
    """The multiplier nearest to a real factor >= 0; factors below 2^-32 or so become 0.

    Raises:
        ValueError: `real` is negative or not finite.
    """
    if not math.isfinite(real) or real < 0:
        raise ValueError(f"a scale factor must be finite and not negative, not {real}")
    fraction, shift = math.frexp(real)
    mantissa = math.floor(math.ldexp(fraction, 31) + 0.5)
    if mantissa == 1 << 31:
        mantissa, shift = mantissa // 2, shift + 1
    return Multiplier(0, 0) if shift < -31 or mantissa == 0 else Multiplier(mantissa, shift)


def doubling_high_mul(a: int, b: int) -> int:
    """round(a * b / 2^31), ties upwards: SaturatingRoundingDoublingHighMul but for its saturation."""
    return (a * b + (1 << 30)) >> 31


def rounding_shift_right(x: int, exponent: int) -> int:
    """round(x / 2^exponent), ties away from zero (RoundingDivideByPOT)."""
    half = (1 << exponent) >> 1
    return (x + half) >> exponent if x >= 0 else -((-x + half) >> exponent)


def scale(x: int, multiplier: Multiplier) -> int:
    """The product x * multiplier, rounded twice; of unlimited range, so that callers can check it."""
    left, right = max(multiplier.shift, 0), max(-multiplier.shift, 0)
    return rounding_shift_right(doubling_high_mul(x << left, multiplier.mantissa), right)


def scale_fits(low: int, high: int, multiplier: Multiplier, zero_point: int) -> bool:
    """Whether scaling any x of low .. high and adding the zero point stays within int32 at every step."""
    if not -31 <= multiplier.shift <= 30:
        return False
    left = max(multiplier.shift, 0)
    steps = [x << left for x in (low, high)] + [scale(x, multiplier) + zero_point for x in (low, high)]
    return all(INT32_MIN < step <= INT32_MAX for step in steps)


def round_half_away(x: float) -> int:
    """The integer nearest to x, ties away from zero, as C's round()."""
    return int(math.copysign(math.floor(abs(x) + 0.5), x))


def divide_binary32(a: float, b: float) -> float:
    """The quotient of two binary32 numbers, rounded to binary32; infinite beyond its range."""
    with np.errstate(over="ignore"):
        return float(np.float32(a) / np.float32(b))


def quantize_bound(bound: float, scale_: float, zero_point: int) -> int:
    """Stored value of a real activation bound; the division is in binary32."""
    return zero_point + round_half_away(divide_binary32(bound, scale_))


def activation_range(
    activation: Activation,
    scale_: float,
    zero_point: int,
    limits: tuple[int, int] = (INT8_MIN, INT8_MAX),
) -> tuple[int, int]:
    """Least and greatest stored value after a fused activation; `limits` are those of the type."""
    bounds = {
        Activation.NONE: (-math.inf, math.inf),
        Activation.RELU: (0.0, math.inf),
        Activation.RELU6: (0.0, 6.0),
        Activation.RELU_N1_TO_1: (-1.0, 1.0),
    }
    low, high = bounds[activation]
    return (
        limits[0] if math.isinf(low) else max(limits[0], quantize_bound(low, scale_, zero_point)),
        limits[1] if math.isinf(high) else min(limits[1], quantize_bound(high, scale_, zero_point)),
    )
