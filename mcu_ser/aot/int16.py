# SPDX-License-Identifier: Apache-2.0
"""The arithmetic of layers with 16-bit activations, int8 weights and int64 biases (TensorFlow Lite's 16x8).

Sums are int64 and are rescaled with one rounding by 15 bits of the multiplier, as the oracle's
MultiplyByQuantizedMultiplier of an int64 does. Activations have zero point 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mcu_ser.aot.ir import Activation, Tensor
from mcu_ser.aot.requantize import INT32_MAX, INT32_MIN, Multiplier, activation_range
from mcu_ser.aot.weighted import Weighted

INT16_MIN, INT16_MAX = -(1 << 15), (1 << 15) - 1

# The oracle's limits on what it rescales.
MOST_LEFT_SHIFT = 7
MOST_SUM = (1 << 47) - 1

# Products of an int8 and an int16 are at most 2^22 in size.
MOST_PRODUCTS = (INT32_MAX >> 22) // 4 * 4


@dataclass(frozen=True)
class Factor:
    """The factor multiplier / 2^shift; the multiplier has 15 bits, the shift is 8 .. 46."""

    multiplier: int
    shift: int

    def scaled(self, total: int) -> int:
        """A sum times the factor, rounded, ties upwards."""
        return (total * self.multiplier + (1 << (self.shift - 1))) >> self.shift


def factor_of(multiplier: Multiplier) -> Factor:
    """The factor that the oracle makes of a multiplier with a shift of at most `MOST_LEFT_SHIFT`."""
    reduced = 0x7FFF if multiplier.mantissa >= 0x7FFF0000 else (multiplier.mantissa + (1 << 15)) >> 16
    return Factor(reduced, 15 - multiplier.shift)


def range_of_sums(layer: Weighted) -> list[tuple[int, int]]:
    """Least and greatest sum of each channel over all inputs, at every step."""
    weights = layer.weights_by_channel.astype(np.int64)
    positive = np.maximum(weights, 0).sum(axis=1)
    negative = np.minimum(weights, 0).sum(axis=1)
    # In Python's integers: a bias may be anything that int64 holds.
    sums = zip(layer.biases.tolist(), positive.tolist(), negative.tolist(), strict=True)
    return [
        (bias + up * INT16_MIN + down * INT16_MAX, bias + up * INT16_MAX + down * INT16_MIN)
        for bias, up, down in sums
    ]


def sum_fits(low: int, high: int, multiplier: Multiplier) -> bool:
    """Whether the sums low .. high may be rescaled: within the oracle's limits, and to an int32."""
    if multiplier.shift > MOST_LEFT_SHIFT or max(-low, high) > MOST_SUM:
        return False
    factor = factor_of(multiplier)
    return all(INT32_MIN <= factor.scaled(total) <= INT32_MAX for total in (low, high))


def int16_range(activation: Activation, tensor: Tensor) -> tuple[int, int]:
    """Least and greatest stored int16 value of a tensor after a fused activation."""
    return activation_range(activation, tensor.scale, tensor.zero_point, (INT16_MIN, INT16_MAX))
