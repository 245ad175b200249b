# SPDX-License-Identifier: Apache-2.0
"""Turns the samples of one clip into a log-mel spectrogram of a fixed number of frames.

Frames of 512 samples at 16 kHz, every 256, under a Hann window; power spectrum; triangular filters equally
wide on the mel scale of O'Shaughnessy, "Speech Communication" (1987): mel = 2595 log10(1 + f / 700).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mcu_ser.recipe import FeaturesRecipe

SAMPLE_RATE_HZ = 16000
WINDOW_SAMPLES = 512
HOP_SAMPLES = 256

# About the power of one least significant bit of 16-bit audio in one bin: digital silence stays finite, and
# quiet recordings are not told apart by their rounding noise.
_POWER_FLOOR = 1e-8


def log_mel(samples: NDArray[np.float32], spec: FeaturesRecipe) -> NDArray[np.float32]:
    """The log-mel spectrogram of a clip.

    Silence at both ends is dropped; the rest is repeated until it fills the frames, or cropped to its middle.

    Args:
        samples: Mono float32 (n,), n >= 1, at 16 kHz, full scale = 1.0.
        spec: Mel bands, frames, trimming, and what is subtracted per clip.

    Returns:
        float32 (frames, mels), natural logarithm of power.
    """
    power = _power_spectrogram(np.asarray(samples, np.float64))
    bands = power @ _mel_filters(spec.mels, spec.min_hz, spec.max_hz).T
    bands = _trimmed(bands, spec.trim_below_peak_db)
    levels = np.log(bands + _POWER_FLOOR)
    if spec.clip_mean == "level":
        levels -= levels.mean()
    elif spec.clip_mean == "band":
        levels -= levels.mean(axis=0)
    return _fitted(levels, spec.frames).astype(np.float32)


def _power_spectrogram(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Power (frames, bins) scaled so that a full-scale sine has about 1 in its bin; at least one frame."""
    if len(samples) < WINDOW_SAMPLES:
        samples = np.pad(samples, (0, WINDOW_SAMPLES - len(samples)))
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW_SAMPLES)[::HOP_SAMPLES]
    # The periodic window: its overlapping halves sum to one at this hop.
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW_SAMPLES) / WINDOW_SAMPLES)
    spectrum = np.fft.rfft(frames * window, axis=1) / (window.sum() / 2)
    power: NDArray[np.float64] = np.square(np.abs(spectrum))
    return power


@lru_cache(maxsize=8)
def _mel_filters(mels: int, min_hz: float, max_hz: float) -> NDArray[np.float64]:
    """Triangles of height one, (mels, bins); neighbours cross at half height."""
    edges_mel = np.linspace(_mel(min_hz), _mel(max_hz), mels + 2)
    edges_hz = 700.0 * (10.0 ** (edges_mel / 2595.0) - 1.0)
    bins_hz = np.arange(WINDOW_SAMPLES // 2 + 1) * (SAMPLE_RATE_HZ / WINDOW_SAMPLES)
    low, centre, high = edges_hz[:-2, None], edges_hz[1:-1, None], edges_hz[2:, None]
    filters = np.minimum((bins_hz - low) / (centre - low), (high - bins_hz) / (high - centre)).clip(min=0.0)
    # A low band can be narrower than a bin and fall between two: it takes the nearest bin, not nothing.
    empty = np.flatnonzero(filters.sum(axis=1) == 0)
    filters[empty, np.rint(edges_hz[1:-1][empty] * WINDOW_SAMPLES / SAMPLE_RATE_HZ).astype(int)] = 1.0
    filters.setflags(write=False)
    return filters


def _mel(hz: float) -> float:
    return float(2595.0 * np.log10(1.0 + hz / 700.0))


def _trimmed(bands: NDArray[np.float64], below_peak_db: float) -> NDArray[np.float64]:
    """`bands` without the leading and trailing frames quieter than the loudest by `below_peak_db`."""
    energy = bands.sum(axis=1)
    loud = np.flatnonzero(energy >= energy.max() * 10.0 ** (-below_peak_db / 10.0))
    return bands[loud[0] : loud[-1] + 1]


def _fitted(levels: NDArray[np.float64], frames: int) -> NDArray[np.float64]:
    """Exactly `frames` frames: repeated from the start when too few, the middle ones when too many."""
    if len(levels) < frames:
        return np.resize(levels, (frames, levels.shape[1]))
    first = (len(levels) - frames) // 2
    return levels[first : first + frames]
