# SPDX-License-Identifier: Apache-2.0
"""ADD and SUB as one affine function of both inputs, where that is exact.

The specification scales both inputs, adds them and scales the sum, and rounds each time. Both inputs are
int8, so that all 65536 pairs can be tried: the constants found here give the specification's output for all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mcu_ser.aot.requantize import INT8_MAX, INT8_MIN, INT32_MAX, INT32_MIN, Multiplier

Int64Array = npt.NDArray[np.int64]

# Right shifts that are tried: with fewer bits no constants are fine enough, with more they leave int32.
_MOST_SHIFT, _LEAST_SHIFT = 28, 16

INPUTS: Int64Array = np.arange(INT8_MIN, INT8_MAX + 1, dtype=np.int64)


@dataclass(frozen=True)
class Affine:
    """output = saturate((first * first_factor + second * second_factor + constant) >> shift)."""

    first_factor: int
    second_factor: int
    constant: int
    shift: int


def scaled(values: Int64Array, multiplier: Multiplier) -> Int64Array:
    """`requantize.scale` of every value; values are within int32 before and after a shift to the left."""
    left, right = max(multiplier.shift, 0), max(-multiplier.shift, 0)
    product = ((values << left) * multiplier.mantissa + (1 << 30)) >> 31
    half = (1 << right) >> 1
    rounded: Int64Array = np.where(product < 0, -((half - product) >> right), (product + half) >> right)
    return rounded


def find_affine(
    outputs: Int64Array, factors: tuple[float, float], least: int, greatest: int
) -> Affine | None:
    """Constants that give every output, or None if there are none near the real factors.

    Args:
        outputs: (256, 256), the output of every first and second input from -128 up, clamped.
        factors: What the output grows by per unit of the first and of the second input.
        least: Least output; sums may end below it.
        greatest: Greatest output; sums may end above it.
    """
    for shift in range(_MOST_SHIFT, _LEAST_SHIFT - 1, -1):
        first, second = (round(factor * 2**shift) for factor in factors)
        if 128 * (abs(first) + abs(second)) > INT32_MAX - INT32_MIN:
            continue
        constant = _constant(outputs, (first, second), shift, (least, greatest))
        if constant is not None:
            return Affine(first, second, constant, shift)
    return None


def _constant(
    outputs: Int64Array, factors: tuple[int, int], shift: int, limits: tuple[int, int]
) -> int | None:
    """The middle of the constants with which no sum gives another output or leaves int32; None if none do."""
    products = INPUTS[:, None] * factors[0] + INPUTS[None, :] * factors[1]
    at_least = np.where(outputs > limits[0], (outputs << shift) - products, INT32_MIN - products)
    at_most = np.where(outputs < limits[1], ((outputs + 1) << shift) - 1 - products, INT32_MAX - products)
    low = max(int(at_least.max()), int(INT32_MIN - products.min()), INT32_MIN)
    high = min(int(at_most.min()), int(INT32_MAX - products.max()), INT32_MAX)
    return (low + high) // 2 if low <= high else None
