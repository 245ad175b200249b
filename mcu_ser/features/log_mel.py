# SPDX-License-Identifier: Apache-2.0
"""Turns the samples of one clip into a log-mel spectrogram in float64, the yardstick of the integer one.

Frames of `window_samples` at 16 kHz, every `hop_samples`, under a Hann window; 512-point power spectrum;
triangular mel filters; logarithm; `clip_mean` taken off the map. `integer_log_mel` is the same in integers.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from mcu_ser.features.clip import fitted, frames_of
from mcu_ser.features.mel_filters import BINS, FFT_SAMPLES, mel_filters

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mcu_ser.recipe import FeaturesRecipe

# About the power of ten least significant bits of 16-bit audio in one bin: digital silence stays finite, and
# quiet recordings are not told apart by their rounding noise.
POWER_FLOOR = 1e-8


def log_mel(pcm: NDArray[np.int16], spec: FeaturesRecipe) -> NDArray[np.float64]:
    """The log-mel spectrogram of a clip, already trimmed.

    Args:
        pcm: (n,), n >= 1, at 16 kHz.
        spec: Framing, mel bands, frames, and what is subtracted per clip.

    Returns:
        (frames, mels), natural logarithm of power; a full-scale sine has power one in its bin.
    """
    levels = fitted(log_mel_rows(pcm, spec), spec.frames)
    if spec.clip_mean != "keep":
        levels = levels - levels.mean(axis=0 if spec.clip_mean == "band" else None)
    return levels


def log_mel_rows(pcm: NDArray[np.int16], spec: FeaturesRecipe) -> NDArray[np.float64]:
    """One row per frame of the clip, (n, mels), nothing subtracted."""
    window = hann(spec.window_samples)
    spectrum = np.fft.rfft(frames_of(pcm, spec) / 32768.0 * window, n=FFT_SAMPLES, axis=1)
    power = np.square(np.abs(spectrum[:, :BINS] / (window.sum() / 2)))
    rows: NDArray[np.float64] = np.log(power @ _filters(spec).T + POWER_FLOOR)
    return rows


def hann(samples: int) -> NDArray[np.float64]:
    """The periodic window: its halves sum to one when they overlap."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(samples) / samples)


@lru_cache(maxsize=8)
def _filters(spec: FeaturesRecipe) -> NDArray[np.float64]:
    return mel_filters(spec)
