# SPDX-License-Identifier: Apache-2.0
"""The light model: a depthwise-separable CNN that a Cortex-M4 runs from int8, made for the target corpus.

After Zhang et al., "Hello Edge: Keyword Spotting on Microcontrollers" (arXiv 1711.07128). Channel counts are
multiples of 8, which the SIMD loops of small cores like.
"""

from __future__ import annotations

from typing import Any

from mcu_ser.train.models.layers import activated, convolution, decided
from mcu_ser.train.nsl_import import keras

# Channels in units of the recipe's width, and the stride (TensorFlow has depthwise kernels for equal
# strides in time and frequency only), of each separable block.
BLOCKS = ((2, 2), (3, 1), (4, 2), (4, 1), (6, 1))
# Units of the embedding, in units of the width.
EMBEDDING = 4


def build(shape: tuple[int, int], classes: int, *, width: int, blocks: int, dropout: float) -> Any:
    """The untrained model.

    Args:
        shape: Frames and mel bands of the input.
        classes: Number of emotions.
        width: Channels of the first layer; all others grow with it.
        blocks: How many of `BLOCKS` are built, from the first.
        dropout: Fraction of the embedding dropped in training.
    """
    inputs = keras.Input((*shape, 1), name="log_mel")
    x = stem = convolution(inputs, width, kernel=5, stride=2, name="stem")
    for index, (factor, stride) in enumerate(BLOCKS[:blocks], start=1):
        x = _separable(x, factor * width, kernel=(3, 3), stride=stride, padding="same", name=f"block{index}")
    # One depthwise kernel as high as what is left of the frequency axis learns how to weigh the bands.
    x = _separable(x, x.shape[-1], kernel=(1, x.shape[2]), stride=1, padding="valid", name="bands")
    x = _embedded(stem, x, EMBEDDING * width, dropout)
    return keras.Model(inputs, decided(x, classes), name="ds_cnn")


def _embedded(texture: Any, maps: Any, units: int, dropout: float) -> Any:
    """One vector of a clip, before its ReLU: dense layers on two means over time, added.

    Added dense layers are one dense layer on both, without a copy that joins them. The mean of the stem's
    maps, band by band, keeps the fine texture (how fast levels change) that later strides average away.
    """
    layers = keras.layers
    frames, bands, channels = texture.shape[1:]
    # Bands as channels: the mean over time alone is then MEAN, which rescales by itself; AVERAGE_POOL_2D
    # cannot, and the converter would put a QUANTIZE behind it.
    texture = layers.Reshape((frames, 1, bands * channels), name="texture_bands")(texture)
    statistics = {
        "mean": layers.GlobalAveragePooling2D(name="mean")(maps),
        "texture": layers.GlobalAveragePooling2D(name="texture")(texture),
    }
    projected = []
    for name, x in statistics.items():
        thinned = layers.Dropout(dropout, name=f"{name}_dropout")(x)
        # One bias is enough for a sum.
        projected.append(layers.Dense(units, use_bias=name == "mean", name=f"{name}_dense")(thinned))
    return layers.Add(name="fc1")(projected)


def _separable(
    x: Any, channels: int, *, kernel: tuple[int, int], stride: int, padding: str, name: str
) -> Any:
    layers = keras.layers
    entrance = x
    x = layers.DepthwiseConv2D(
        kernel, strides=stride, padding=padding, use_bias=False, name=f"{name}_depthwise"
    )(x)
    x = activated(x, name=f"{name}_depthwise")
    x = layers.Conv2D(channels, (1, 1), use_bias=False, name=f"{name}_pointwise")(x)
    x = activated(x, name=f"{name}_pointwise")
    if entrance.shape == x.shape:
        x = layers.Add(name=f"{name}_add")([entrance, x])
    return x
