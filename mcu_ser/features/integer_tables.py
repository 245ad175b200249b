# SPDX-License-Identifier: Apache-2.0
"""Turns a recipe into the integer tables of the front end: the same for numpy and for the generated C.

Qn is a fixed-point number with n fraction bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from mcu_ser.features.log_mel import POWER_FLOOR, hann
from mcu_ser.features.mel_filters import FFT_SAMPLES, mel_filters

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mcu_ser.recipe import FeaturesRecipe

# Samples and window are Q15, but 1.0 has no int16: the window is scaled by this instead.
WINDOW_ONE = 32767
WEIGHT_BITS = 15
LOG_TABLE_BITS = 6
LOG_FRACTION_BITS = 15
# Spans of the butterflies after the first stage of a radix-4 transform of 256 points.
STAGES = (4, 16, 64)
_TWIDDLE_ONE = 2**31


@dataclass(frozen=True, eq=False)
class MelBand:
    """One triangular filter.

    Args:
        first: The first bin with a weight.
        weights: Q15, 1..32768, of that bin and those after it.
    """

    first: int
    weights: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class FrontEndTables:
    """Everything that the arithmetic needs beside the samples.

    Args:
        window: Hann times 32767, then zeros, int64 (512,).
        stages: Per stage of `STAGES`, int64 (span, 3, 2): cosine and sine in Q31 of 2 pi j r / (4 span) for
            j < span and r = 1..3; 1.0 is 2^31 - 1.
        split: int64 (127, 2): cosine and sine in Q31 of 2 pi k / 512 for k = 1..127.
        bands: The mel filters.
        log2: round(2^15 log2(1 + i / 64)), int64 (65,).
        floor: Added to a band's power before the logarithm, in its own units; 1e-8 of a full-scale sine.
        floor_log2: floor(log2(`floor`)): levels count from there.
    """

    window: NDArray[np.int64]
    stages: tuple[NDArray[np.int64], ...]
    split: NDArray[np.int64]
    bands: tuple[MelBand, ...]
    log2: NDArray[np.int64]
    floor: int
    floor_log2: int


@lru_cache(maxsize=8)
def front_end_tables(spec: FeaturesRecipe) -> FrontEndTables:
    """The tables of a recipe."""
    window = np.zeros(FFT_SAMPLES, np.int64)
    window[: spec.window_samples] = np.rint(WINDOW_ONE * hann(spec.window_samples))
    floor = round(POWER_FLOOR * full_scale_power(spec))
    steps = np.arange((1 << LOG_TABLE_BITS) + 1) / (1 << LOG_TABLE_BITS)
    return FrontEndTables(
        window=window,
        stages=tuple(_stage_twiddles(span) for span in STAGES),
        split=_twiddles(np.arange(1, FFT_SAMPLES // 4) / FFT_SAMPLES),
        bands=tuple(_mel_band(weights) for weights in mel_filters(spec)),
        log2=np.rint(np.log2(1.0 + steps) * (1 << LOG_FRACTION_BITS)).astype(np.int64),
        floor=floor,
        floor_log2=floor.bit_length() - 1,
    )


def full_scale_power(spec: FeaturesRecipe) -> float:
    """What the power of a full-scale sine in its bin is as a band's integer: weight 2^15, samples of 2^15."""
    amplitude = (1 << 15) * (WINDOW_ONE / (1 << 15)) * spec.window_samples / 4
    return float((1 << WEIGHT_BITS) * amplitude**2)


def _stage_twiddles(span: int) -> NDArray[np.int64]:
    turns = np.arange(span)[:, None] * np.arange(1, 4) / (4 * span)
    return _twiddles(turns)


def _twiddles(turns: NDArray[np.float64]) -> NDArray[np.int64]:
    """Cosine and sine of whole turns, Q31, on a new last axis."""
    angles = 2 * np.pi * turns
    values = np.rint(np.stack([np.cos(angles), np.sin(angles)], axis=-1) * _TWIDDLE_ONE)
    q31: NDArray[np.int64] = values.astype(np.int64).clip(max=_TWIDDLE_ONE - 1)
    return q31


def _mel_band(weights: NDArray[np.float64]) -> MelBand:
    quantized = np.rint(weights * (1 << WEIGHT_BITS)).astype(np.int64)
    used = np.flatnonzero(quantized)
    first, last = int(used[0]), int(used[-1])
    return MelBand(first, tuple(quantized[first : last + 1].tolist()))
