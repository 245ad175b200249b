# SPDX-License-Identifier: Apache-2.0
"""Turns the PCM samples of one clip into a log-mel map in integers: the front end that devices run, in numpy.

Training uses these numbers and `firmware_templates/runtime/front_end/` computes the same ones, bit for bit.
After `integer_fft`, whose docstring has the spectrum's word lengths:

    step       value                                      bits  how it is rounded
    bands      sum of power * weight, weights Q15         62    exact, in 64 bits
    log2       of band + floor: its top bit, then 6 bits  20    Q15; linear between the 65 entries, down
               of a table and 16 bits between entries
    level      (log2 - floor_log2) in steps of 2^-10      15    nearest, ties up
    clip mean  of the map's levels, whole or per band     15    nearest, ties up

A band's sum stays below 2^62: by Parseval's theorem the powers of all bins add up to less than 2^47.
One level step is 0.003 dB.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from mcu_ser.features.clip import fitted, frames_of
from mcu_ser.features.integer_fft import power_spectrum
from mcu_ser.features.integer_tables import (
    LOG_FRACTION_BITS,
    LOG_TABLE_BITS,
    FrontEndTables,
    front_end_tables,
    full_scale_power,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mcu_ser.recipe import FeaturesRecipe

LEVEL_BITS = 10
# Natural logarithm of power that one level step stands for.
LEVEL_STEP = math.log(2) / (1 << LEVEL_BITS)
_BETWEEN_BITS = 16
# Frames at a time: what one stage of the transform handles then stays in a core's cache.
_BLOCK_FRAMES = 64


def level_map(pcm: NDArray[np.int16], spec: FeaturesRecipe) -> NDArray[np.int32]:
    """The log-mel map of a clip, already trimmed.

    Args:
        pcm: (n,), n >= 1, at 16 kHz.
        spec: Framing, mel bands, frames, and what is subtracted per clip.

    Returns:
        int32 (frames, mels), steps of 2^-10 in log2 of power, -2^15 to 2^15.
    """
    return without_clip_mean(fitted(level_rows(pcm, spec), spec.frames), spec)


def level_rows(pcm: NDArray[np.int16], spec: FeaturesRecipe) -> NDArray[np.int16]:
    """One row per frame of the clip, (n, mels), nothing subtracted: 0 (about the floor) to 2^15 - 1."""
    frames, tables = frames_of(pcm, spec), front_end_tables(spec)
    rows = np.empty((len(frames), spec.mels), np.int16)
    for start in range(0, len(frames), _BLOCK_FRAMES):
        block = slice(start, start + _BLOCK_FRAMES)
        power = power_spectrum(frames[block], tables)
        rows[block] = levels(band_powers(power, tables), tables).T
    return rows


def band_powers(power: NDArray[np.int64], tables: FrontEndTables) -> NDArray[np.int64]:
    """Weighted sums over the bins of each band, int64 (mels, n) of (256, n)."""
    bands = np.empty((len(tables.bands), power.shape[1]), np.int64)
    for index, band in enumerate(tables.bands):
        weights = np.array(band.weights, np.int64)
        bands[index] = weights @ power[band.first : band.first + len(weights)]
    return bands


def levels(bands: NDArray[np.int64], tables: FrontEndTables) -> NDArray[np.int64]:
    """Levels of band powers, in steps of 2^-10 in log2 above `floor_log2`."""
    log2 = log2_q15(bands + tables.floor, tables)
    above = log2 - (tables.floor_log2 << LOG_FRACTION_BITS)
    drop = LOG_FRACTION_BITS - LEVEL_BITS
    nearest: NDArray[np.int64] = (above + (1 << (drop - 1))) >> drop
    return nearest


def log2_q15(values: NDArray[np.int64], tables: FrontEndTables) -> NDArray[np.int64]:
    """log2 of 1 to 2^63 - 1 in Q15, less than 2^-13 from the real one."""
    top = _top_bit(values)
    mantissa = _at_bit_31(values, top)
    entry = (mantissa >> (31 - LOG_TABLE_BITS)) - (1 << LOG_TABLE_BITS)
    between = (mantissa >> (31 - LOG_TABLE_BITS - _BETWEEN_BITS)) & ((1 << _BETWEEN_BITS) - 1)
    low, high = tables.log2[entry], tables.log2[entry + 1]
    log2: NDArray[np.int64] = (top << LOG_FRACTION_BITS) + low + ((high - low) * between >> _BETWEEN_BITS)
    return log2


def without_clip_mean(rows: NDArray[np.int16], spec: FeaturesRecipe) -> NDArray[np.int32]:
    """A map (frames, mels) without its mean, as the recipe asks."""
    values = rows.astype(np.int64)
    if spec.clip_mean == "level":
        values -= _mean(values.sum(), values.size)
    elif spec.clip_mean == "band":
        values -= _mean(values.sum(axis=0), len(values))
    return values.astype(np.int32)


def level_offset(spec: FeaturesRecipe) -> float:
    """Natural logarithm of power, relative to a full-scale sine, at which levels count from zero.

    0.0 where the clip's mean is taken off.
    """
    if spec.clip_mean != "keep":
        return 0.0
    tables = front_end_tables(spec)
    return math.log(2.0**tables.floor_log2 / full_scale_power(spec))


def log_power(values: NDArray[np.int32], spec: FeaturesRecipe) -> NDArray[np.float32]:
    """A level map as natural logarithms of power, which is what models are trained on."""
    return (values * LEVEL_STEP + level_offset(spec)).astype(np.float32)


def level_values(x: NDArray[np.float32], spec: FeaturesRecipe) -> NDArray[np.int32]:
    """What `log_power` was given: binary32 has enough digits to tell all levels apart."""
    return np.rint((np.asarray(x, np.float64) - level_offset(spec)) / LEVEL_STEP).astype(np.int32)


def _mean(total: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Nearest integer of total / count, ties up; total >= 0."""
    return (total + count // 2) // count


def _top_bit(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number of the highest bit that is set; values >= 1."""
    # frexp of the float64 nearest to the value is one too high where that rounds up to a power of two.
    _, exponent = np.frexp(values.astype(np.float64))
    top = exponent.astype(np.int64) - 1
    bit: NDArray[np.int64] = top - (values >> top == 0)
    return bit


def _at_bit_31(values: NDArray[np.int64], top: NDArray[np.int64]) -> NDArray[np.int64]:
    """The values shifted so that their highest bit is bit 31; lower ones are dropped."""
    right, left = (top - 31).clip(min=0), (31 - top).clip(min=0)
    mantissa: NDArray[np.int64] = values >> right << left
    return mantissa
