# SPDX-License-Identifier: Apache-2.0
"""Intervals of figures that were counted on one test set: how far they would move with other samples.

Samples are drawn as if independent of each other. Those of one speaker are not: for a statement about other
speakers, `mcu_ser.study` draws speakers.

Sources: Wilson, "Probable Inference, the Law of Succession, and Statistical Inference" (J. Am. Stat. Assoc.
22, 1927), for a single share; Efron, "Bootstrap Methods: Another Look at the Jackknife" (Ann. Stat. 7, 1979).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

CONFIDENCE = 0.95
# Quantile of the normal distribution for that confidence, two-sided.
_NORMAL_QUANTILE = 1.959963984540054
DRAWS = 20_000
SEED = 20260101


def percentile_interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """The middle 95 % of what was drawn."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def wilson_interval(hits: int, count: int) -> tuple[float, float] | None:
    """95 % interval of the share `hits` of `count`, 0..1; None for a count of zero."""
    if count == 0:
        return None
    share, square = hits / count, _NORMAL_QUANTILE**2
    middle = share + square / (2 * count)
    reach = _NORMAL_QUANTILE * math.sqrt(share * (1 - share) / count + square / (4 * count**2))
    scale = 1 + square / count
    # Rounding must not put the end of "all" or "none" beside it.
    low = 0.0 if hits == 0 else (middle - reach) / scale
    high = 1.0 if hits == count else (middle + reach) / scale
    return low, high


def uar_interval(confusion: Sequence[Sequence[int]]) -> tuple[float, float]:
    """95 % percentile interval of the UAR over redrawn samples, from a fixed seed.

    UAR depends on how many samples of each class were hit and missed, and drawing n samples with replacement
    is drawing those counts from a multinomial distribution: exact, and as quick for many samples as for few.
    A class that a draw leaves empty has no recall in it, as in `mcu_ser.metrics`.

    Args:
        confusion: Counts, row = true class, column = predicted class; at least one sample.
    """
    matrix: NDArray[Any] = np.asarray(confusion, np.int64)
    hits = np.diagonal(matrix)
    counts = np.concatenate([hits, matrix.sum(axis=1) - hits])
    total = int(counts.sum())
    drawn = np.random.default_rng(SEED).multinomial(total, counts / total, size=DRAWS)
    drawn_hits, drawn_misses = drawn[:, : len(hits)], drawn[:, len(hits) :]
    support = drawn_hits + drawn_misses
    recalls = drawn_hits / np.maximum(support, 1)
    return percentile_interval(recalls.sum(axis=1) / (support > 0).sum(axis=1))
