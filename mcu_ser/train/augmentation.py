# SPDX-License-Identifier: Apache-2.0
"""Turns a batch of normalised spectrograms into slightly different ones for one training step.

Masks after Park et al., "SpecAugment" (arXiv 1904.08779); the masked value is 0, the mean of each band. The
mel warp after Jaitly and Hinton, "Vocal Tract Length Perturbation" (ICML 2013), on mel bands instead of the
spectrum. Stretching takes a spectrogram's frames faster or slower, at an unchanged pitch; true speeds are
those of recordings (Ko et al., "Audio augmentation for speech recognition", Interspeech 2015), from which a
clip is cut where a draw says.
All draws come from a stateless generator, so a step depends on its seed alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mcu_ser.errors import ConfigError
from mcu_ser.train.nsl_import import tf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcu_ser.recipe import AugmentationRecipe
    from mcu_ser.train.fit import Clips


class Drawn:
    """The clips of a training set as a step sees them, changed or cut anew by each seed.

    Args:
        training: All clips, with recordings if the recipe names speeds.
        recipe: What is drawn.

    Raises:
        ConfigError: There are no recordings at a speed of the recipe.
    """

    def __init__(self, training: Clips, recipe: AugmentationRecipe) -> None:
        self._recipe = recipe
        if not recipe.speeds:
            self._x = tf.constant(training.x)
            return
        if training.recordings is None or training.normalization is None:
            raise ConfigError("features", "hold no recordings at any speed", hint="mcu-ser train again")
        self._recordings, self._normalization = training.recordings, training.normalization
        columns = self._recordings.columns(recipe.speeds)
        self._frames = training.x.shape[1]
        self._levels = tf.constant(self._recordings.levels)
        self._first = tf.constant(self._recordings.first[:, columns], tf.int32)
        self._length = tf.constant(self._recordings.length[:, columns], tf.int32)

    def __call__(self, rows: Any, seed: Any) -> Any:
        """Normalised clips, float32 (batch, frames, mels).

        Args:
            rows: Positions in the training set, int32 (batch,).
            seed: int32 (2,), another one for each step.
        """
        if not self._recipe.speeds:
            return augment(tf.gather(self._x, rows), self._recipe, seed)
        seeds = iter(tf.unstack(tf.random.experimental.stateless_split(seed, 4 + 2 * self._recipe.masks)))
        x = self._cut(rows, next(seeds), next(seeds))
        # A voice and a microphone come before what the front end subtracts.
        x = _warped(x, self._recipe.mel_warp_fraction, self._recipe.mel_shift_bands, next(seeds))
        x = _tilted(x, self._recipe.tilt, next(seeds))
        axes = {"keep": None, "level": [1, 2], "band": [1]}[str(self._recordings.clip_mean)]
        if axes:
            x -= tf.reduce_mean(x, axis=axes, keepdims=True)
        return _masked(self._normalization.apply(x), self._recipe, seeds)

    def _cut(self, rows: Any, version_seed: Any, start_seed: Any) -> Any:
        """Clips in natural logarithm of power: a random version of each recording from a random frame on.

        A version that is too short starts anew behind its end; of a longer one all frames are in a row.
        """
        shape = (tf.shape(rows)[0], 1)
        version = tf.random.stateless_uniform(shape, version_seed, 0, self._first.shape[1], tf.int32)
        first = tf.gather(tf.gather(self._first, rows), version, axis=1, batch_dims=1)
        length = tf.gather(tf.gather(self._length, rows), version, axis=1, batch_dims=1)
        short = length < self._frames
        choices = tf.where(short, length, length - self._frames + 1)
        start = tf.cast(
            tf.random.stateless_uniform(shape, start_seed) * tf.cast(choices, tf.float32), tf.int32
        )
        # Only a short version comes to its end.
        places = tf.math.floormod(start + tf.range(self._frames)[None, :], length)
        levels = tf.cast(tf.gather(self._levels, first + places), tf.float32)
        return levels * np.float32(self._recordings.step) + np.float32(self._recordings.offset)


def augment(x: Any, recipe: AugmentationRecipe, seed: Any) -> Any:
    """A changed copy of a batch.

    Args:
        x: float32 (batch, frames, mels).
        recipe: Upper bounds of the draws; a bound of 0 turns a change off.
        seed: int32 (2,), another one for each step.

    Returns:
        float32 (batch, frames, mels).
    """
    seeds = iter(tf.unstack(tf.random.experimental.stateless_split(seed, 4 + 2 * recipe.masks)))
    x = _shift(x, recipe.time_shift_frames, next(seeds))
    x = _stretched(x, recipe.time_stretch_fraction, next(seeds))
    x = _warped(x, recipe.mel_warp_fraction, recipe.mel_shift_bands, next(seeds))
    x = _tilted(x, recipe.tilt, next(seeds))
    return _masked(x, recipe, seeds)


def _masked(x: Any, recipe: AugmentationRecipe, seeds: Iterator[Any]) -> Any:
    for _ in range(recipe.masks):
        x = _mask(x, recipe.time_mask_frames, next(seeds), axis=1)
        x = _mask(x, recipe.mel_mask_bands, next(seeds), axis=2)
    return x


def _shift(x: Any, bound: int, seed: Any) -> Any:
    """Each clip moved in time by -bound..bound frames; what leaves at one end enters at the other."""
    if bound == 0:
        return x
    frames = x.shape[1]
    offsets = tf.random.stateless_uniform((tf.shape(x)[0], 1), seed, -bound, bound + 1, tf.int32)
    places = tf.math.floormod(tf.range(frames)[None, :] + offsets, frames)
    return tf.gather(x, places, axis=1, batch_dims=1)


def _stretched(x: Any, bound: float, seed: Any) -> Any:
    """Each clip at 1 - bound..1 + bound times its speed; what lacks at the end follows from the start."""
    if bound == 0:
        return x
    frames = x.shape[1]
    speeds = tf.random.stateless_uniform((tf.shape(x)[0], 1), seed, 1 - bound, 1 + bound)
    positions = tf.range(frames, dtype=tf.float32)[None, :] * speeds
    below = tf.floor(positions)
    places = tf.cast(below, tf.int32)
    one = tf.gather(x, tf.math.floormod(places, frames), axis=1, batch_dims=1)
    next_one = tf.gather(x, tf.math.floormod(places + 1, frames), axis=1, batch_dims=1)
    return one + (next_one - one) * (positions - below)[..., None]


def _warped(x: Any, warp: float, shift: float, seed: Any) -> Any:
    """Each clip with middles of bands taken from 1 - warp..1 + warp times them plus -shift..shift bands."""
    if warp == 0 and shift == 0:
        return x
    bands = x.shape[2]
    draws = tf.random.stateless_uniform((2, tf.shape(x)[0], 1), seed, -1.0, 1.0)
    middles = tf.range(bands, dtype=tf.float32)[None, :] + 0.5
    positions = middles * (1 + warp * draws[0]) - 0.5 + shift * draws[1]
    positions = tf.clip_by_value(positions, 0.0, bands - 1.0)
    below = tf.minimum(tf.floor(positions), bands - 2.0)
    places = tf.cast(below, tf.int32)
    one = tf.gather(x, places, axis=2, batch_dims=1)
    next_one = tf.gather(x, places + 1, axis=2, batch_dims=1)
    return one + (next_one - one) * (positions - below)[:, None, :]


def _tilted(x: Any, deviation: float, seed: Any) -> Any:
    """Each clip with a line, and half as much of a slow wave, over its bands: another microphone."""
    if deviation == 0:
        return x
    normal_seed, uniform_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    batch = tf.shape(x)[0]
    heights = deviation * tf.random.stateless_normal((2, batch, 1), normal_seed)
    draws = tf.random.stateless_uniform((2, batch, 1), uniform_seed)
    band = tf.linspace(-1.0, 1.0, x.shape[2])[None, :]
    wave = tf.cos(np.pi * band * (0.5 + 1.5 * draws[0]) + 2 * np.pi * draws[1])
    return x + (heights[0] * band + 0.5 * heights[1] * wave)[:, None, :]


def _mask(x: Any, bound: int, seed: Any, *, axis: int) -> Any:
    """Each clip with 0..bound neighbouring frames or bands set to 0."""
    if bound == 0:
        return x
    extent = x.shape[axis]
    sizes_seed, starts_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    batch = tf.shape(x)[0]
    sizes = tf.random.stateless_uniform((batch, 1), sizes_seed, 0, min(bound, extent) + 1, tf.int32)
    starts = tf.cast(
        tf.random.stateless_uniform((batch, 1), starts_seed) * tf.cast(extent - sizes + 1, tf.float32),
        tf.int32,
    )
    places = tf.range(extent)[None, :]
    kept = tf.cast((places < starts) | (places >= starts + sizes), x.dtype)
    return x * tf.expand_dims(kept, 3 - axis)
