# SPDX-License-Identifier: Apache-2.0
"""Turns a batch of normalised spectrograms into slightly different ones for one training step.

Masks after Park et al., "SpecAugment" (arXiv 1904.08779); the masked value is 0, the mean of each band.
All draws come from a stateless generator, so a step depends on its seed alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcu_ser.train.nsl_import import tf

if TYPE_CHECKING:
    from mcu_ser.recipe import AugmentationRecipe


def augment(x: Any, recipe: AugmentationRecipe, seed: Any) -> Any:
    """A changed copy of a batch.

    Args:
        x: float32 (batch, frames, mels).
        recipe: Upper bounds of the draws; a bound of 0 turns a change off.
        seed: int32 (2,), another one for each step.

    Returns:
        float32 (batch, frames, mels).
    """
    seeds = iter(tf.unstack(tf.random.experimental.stateless_split(seed, 1 + 2 * recipe.masks)))
    x = _shift(x, recipe.time_shift_frames, next(seeds))
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
