# SPDX-License-Identifier: Apache-2.0
"""Turns the band edges of a recipe into triangular filters over the bins of a 512-point spectrum.

Equally wide on the mel scale of O'Shaughnessy, "Speech Communication" (1987): mel = 2595 log10(1 + f / 700).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mcu_ser.features.clip import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mcu_ser.recipe import FeaturesRecipe

FFT_SAMPLES = 512
# The bin at half the sampling rate is left out: no triangle that ends at or below it gives it any weight.
BINS = FFT_SAMPLES // 2
# What the integer front end's weights can tell from zero.
_SMALLEST_WEIGHT = 2.0**-15


def mel_filters(spec: FeaturesRecipe) -> NDArray[np.float64]:
    """Triangles of height one, (mels, 256); neighbours cross at half height."""
    edges_mel = np.linspace(_mel(spec.min_hz), _mel(spec.max_hz), spec.mels + 2)
    edges_hz = 700.0 * (10.0 ** (edges_mel / 2595.0) - 1.0)
    bins_hz = np.arange(BINS) * (SAMPLE_RATE_HZ / FFT_SAMPLES)
    low, centre, high = edges_hz[:-2, None], edges_hz[1:-1, None], edges_hz[2:, None]
    rising, falling = (bins_hz - low) / (centre - low), (high - bins_hz) / (high - centre)
    filters: NDArray[np.float64] = np.minimum(rising, falling).clip(min=0.0)
    # A low band can be narrower than a bin and fall between two: it takes the nearest bin, not nothing.
    empty = np.flatnonzero(filters.max(axis=1) < _SMALLEST_WEIGHT)
    nearest = np.rint(edges_hz[1:-1][empty] * FFT_SAMPLES / SAMPLE_RATE_HZ).astype(int)
    filters[empty, nearest.clip(max=BINS - 1)] = 1.0
    return filters


def _mel(hz: float) -> float:
    return float(2595.0 * np.log10(1.0 + hz / 700.0))
