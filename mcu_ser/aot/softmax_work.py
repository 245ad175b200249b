# SPDX-License-Identifier: Apache-2.0
"""Counts for `kernel_work` the parts of softmax.h, whose exponentials depend on the inputs.

An input that is far below the greatest of its row has none, and others multiply by as many factors as their
difference to it has bits. The counts are the expected ones of inputs that are independent and uniformly
random: of what a network computes, few rows are like that, and a single one may differ a lot.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

_VALUES = 256
# Of Q5.26: a quarter, and the factors of aot_exp_of_negative().
_QUARTER, _FACTORS = 1 << 24, 7


def softmax(layer: Mapping[str, Any]) -> Mapping[str, float]:
    """softmax.h."""
    rows, depth = layer["rows"], layer["depth"]
    expected = differences(depth)
    computed = [d for d in range(_VALUES) if -d >= layer["least_difference"]]
    factors = [_factors(-d, layer["left_shift"], layer["multiplier"]) for d in computed]
    # Once for the sum, once for the output.
    return {
        "row": rows,
        "element": rows * depth,
        "exponential": 2 * rows * float(expected[computed].sum()),
        "factor": 2 * rows * float(expected[computed] @ np.array(factors, float)),
    }


def differences(depth: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Expected number of inputs of a row that lie 0, 1 ... 255 below its greatest.

    Args:
        depth: Inputs of a row, independent and each of 256 values with equal probability.
    """
    # That so many other inputs are all at most the value.
    others = (np.arange(_VALUES + 1) / _VALUES) ** (depth - 1)
    greatest = np.diff(others)
    below = np.cumsum(greatest[::-1])[::-1]
    # The greatest of the others is the value itself, or another one by so much.
    counts = np.append(others[1:].sum(), below[1:])
    result: np.ndarray[Any, np.dtype[np.float64]] = counts * depth / _VALUES
    return result


def _factors(difference: int, left_shift: int, multiplier: int) -> int:
    scaled = ((difference << left_shift) * multiplier + (1 << 30)) >> 31
    quarters = (scaled & (_QUARTER - 1)) - _QUARTER - scaled
    return (quarters // _QUARTER & (1 << _FACTORS) - 1).bit_count()
