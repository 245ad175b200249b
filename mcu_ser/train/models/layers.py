# SPDX-License-Identifier: Apache-2.0
"""What the networks are built of: channels by a width, convolutions with their norm, the way out.

Names of layers are part of what the networks promise: `graph.layer` and transfer go by them.
"""

from __future__ import annotations

from typing import Any

from mcu_ser.errors import ConfigError
from mcu_ser.train.nsl_import import keras

# Channels come in eights, which the SIMD loops of small cores like.
GROUP = 8
# Keras's 0.99 looks back over 100 steps. On a corpus of a few hundred clips those are several epochs, and the
# means that inference uses would lag behind the weights.
NORM_MOMENTUM = 0.9


def scaled(channels: int, width: float) -> int:
    """Channels times the width multiplier: the nearest multiple of 8 (the greater of two), at least 8."""
    return max(GROUP, int(channels * width / GROUP + 0.5) * GROUP)


def convolution(x: Any, channels: int, *, kernel: int, stride: int = 1, name: str) -> Any:
    """A convolution that keeps the size (before its stride), without bias; norm and ReLU behind it.

    Args:
        x: (batch, frames, bands, channels).
        channels: Of the result.
        kernel: Height and width of the window.
        stride: In time and frequency.
        name: Of the convolution; `{name}_norm` and `{name}_relu` follow.
    """
    x = keras.layers.Conv2D(channels, kernel, strides=stride, padding="same", use_bias=False, name=name)(x)
    return activated(x, name=name)


def activated(x: Any, *, name: str) -> Any:
    """`x` after `{name}_norm` and `{name}_relu`."""
    return keras.layers.ReLU(name=f"{name}_relu")(normed(x, name=name))


def normed(x: Any, *, name: str) -> Any:
    """`x` after the batch normalisation `{name}_norm`, which conversion folds into the layer before it."""
    return keras.layers.BatchNormalization(momentum=NORM_MOMENTUM, name=f"{name}_norm")(x)


def halved(x: Any, *, name: str) -> Any:
    """The maxima of whole windows of 2 x 2; an odd last row or column is left out."""
    return keras.layers.MaxPooling2D((2, 2), name=name)(x)


def decided(x: Any, classes: int) -> Any:
    """Class probabilities from the sums of the dense layer `fc1`: `embedding`, `logits`, `emotion`.

    Args:
        x: (batch, units), the output of a layer named `fc1`, before its ReLU.
        classes: Number of emotions.
    """
    return decided_from(keras.layers.ReLU(name="embedding")(x), classes)


def decided_from(embedding: Any, classes: int) -> Any:
    """Class probabilities from one vector of a clip: `logits`, `emotion`.

    Args:
        embedding: (batch, units).
        classes: Number of emotions.
    """
    return keras.layers.Softmax(name="emotion")(keras.layers.Dense(classes, name="logits")(embedding))


def check_shape(family: str, shape: tuple[int, int], halvings: int) -> None:
    """Refuse features that the poolings of a family would shrink to nothing.

    Args:
        family: The family's name in a recipe.
        shape: Frames and mel bands of the input.
        halvings: How often the family halves both.

    Raises:
        ConfigError: Too few frames or mel bands.
    """
    least = 2**halvings
    for key, extent in zip(("frames", "mels"), shape, strict=True):
        if extent < least:
            raise ConfigError(
                f"recipe features.{key}",
                f"{extent} is too few for model.family {family}, which halves them {halvings} times",
                limit=f"at least {least}",
            )
