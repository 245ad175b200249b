# SPDX-License-Identifier: Apache-2.0
"""A light model of plain 3x3 convolutions, some of them residual, made for the target corpus.

Few channels make a plain convolution affordable, and per weight it learns more here than a
depthwise-separable one. The ReLU is inside the residual branch, not behind the sum, so that both operands of
an addition range from 0 up and int8 spends no bit on a sign.
"""

from __future__ import annotations

from typing import Any

from mcu_ser.train.models.layers import convolution, decided_from, scaled
from mcu_ser.train.nsl_import import keras

STEM = 16
# Channels of each block, whose first convolution halves time and frequency, and whether a residual
# convolution follows.
BLOCKS = ((24, True), (32, True), (48, False))


def build(shape: tuple[int, int], classes: int, *, width: float, dropout: float) -> Any:
    """The untrained model.

    Args:
        shape: Frames and mel bands of the input.
        classes: Number of emotions.
        width: Multiplies all channels.
        dropout: Fraction of the embedding dropped in training.
    """
    layers = keras.layers
    inputs = keras.Input((*shape, 1), name="log_mel")
    x = convolution(inputs, scaled(STEM, width), kernel=5, stride=2, name="stem")
    for index, (channels, residual) in enumerate(BLOCKS, start=1):
        x = convolution(x, scaled(channels, width), kernel=3, stride=2, name=f"block{index}_entry")
        if residual:
            branch = convolution(x, x.shape[-1], kernel=3, name=f"block{index}_branch")
            x = layers.Add(name=f"block{index}_add")([x, branch])
    x = layers.GlobalAveragePooling2D(name="embedding")(x)
    thinned = layers.Dropout(dropout, name="embedding_dropout")(x)
    return keras.Model(inputs, decided_from(thinned, classes), name="residual_cnn")
