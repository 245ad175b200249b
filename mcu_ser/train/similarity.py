# SPDX-License-Identifier: Apache-2.0
"""Turns embeddings into cosine similarities of all pairs, a block of rows at a time.

Memory grows with the number of embeddings, not with its square; time does grow with the square, at the speed
of matrix products.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

# NSL's: shorter vectors are divided by this instead of by their length.
_LEAST_LENGTH = 1e-6
# Similarities in memory at once, 64 MB.
_BLOCK = 1 << 23
# Graph files have six decimals.
_STEPS_PER_UNIT = 1_000_000

Pairs = tuple["NDArray[np.int64]", "NDArray[np.int64]", "NDArray[np.float64]"]


def unit_vectors(embeddings: NDArray[np.float32]) -> NDArray[np.float64]:
    """Embeddings (n, dimensions) divided by their lengths; in float64, where NSL has float32."""
    vectors = embeddings.astype(np.float64)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, _LEAST_LENGTH))


def similar_pairs(units: NDArray[np.float64], threshold: float) -> Iterator[Pairs]:
    """All ordered pairs of different rows with a cosine similarity of at least `threshold`.

    Args:
        units: `unit_vectors`, (n, dimensions).
        threshold: -1..1.

    Yields:
        First rows, second rows and similarities, in the order of the first and then the second rows.
    """
    for start, similarities in _blocks(units):
        first, second = np.nonzero(similarities >= threshold)
        different = first + start != second
        first, second = first[different], second[different]
        yield first + start, second, similarities[first, second]


def pair_similarities(
    units: NDArray[np.float64], first: NDArray[np.int64], second: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Cosine similarities of given pairs of rows, float64 (pairs,)."""
    step = max(1, _BLOCK // units.shape[1])
    parts = [
        np.einsum("ij,ij->i", units[first[start : start + step]], units[second[start : start + step]])
        for start in range(0, len(first), step)
    ]
    return np.concatenate(parts) if parts else np.zeros(0)


def quantile_threshold(units: NDArray[np.float64], quantile: float) -> float:
    """The highest threshold, in millionths, that at least the share 1 - `quantile` of all pairs reaches.

    Args:
        units: `unit_vectors`, (n, dimensions).
        quantile: 0..1, 1 excluded; 0.98 keeps the most similar 2 % of pairs.

    Returns:
        -1..1; 1 where there is no pair.
    """
    # Similarities of 1e5 embeddings would be 40 GB; their histogram is 16 MB.
    counts = np.zeros(2 * _STEPS_PER_UNIT + 1, np.int64)
    for start, similarities in _blocks(units):
        rows = np.arange(len(similarities))
        own = _steps(similarities[rows, rows + start])
        counts += np.bincount(_steps(similarities.ravel()), minlength=len(counts))
        counts -= np.bincount(own, minlength=len(counts))
    pairs = int(counts.sum())
    if not pairs:
        return 1.0
    wanted = max(1, math.ceil(pairs * (1 - quantile)))
    reaching = np.cumsum(counts[::-1])
    step = len(counts) - 1 - int(np.searchsorted(reaching, wanted))
    return step / _STEPS_PER_UNIT - 1


def _steps(similarities: NDArray[np.float64]) -> NDArray[np.int64]:
    steps = np.floor((similarities + 1) * _STEPS_PER_UNIT).astype(np.int64)
    return steps.clip(0, 2 * _STEPS_PER_UNIT)


def _blocks(units: NDArray[np.float64]) -> Iterator[tuple[int, NDArray[np.float64]]]:
    rows = max(1, _BLOCK // max(1, len(units)))
    for start in range(0, len(units), rows):
        yield start, units[start : start + rows] @ units.T
