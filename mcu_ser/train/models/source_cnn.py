# SPDX-License-Identifier: Apache-2.0
"""The source model: a plain CNN, larger than what a microcontroller takes, made for the source corpus."""

from __future__ import annotations

from typing import Any

from mcu_ser.train.nsl_import import keras

# Channels in units of the recipe's width; each block halves time and frequency.
BLOCKS = (1, 2, 3, 4)


def build(shape: tuple[int, int], classes: int, *, width: int) -> Any:
    """The untrained model.

    Args:
        shape: Frames and mel bands of the input.
        classes: Number of emotions.
        width: Channels of the first block; all others grow with it.
    """
    layers = keras.layers
    inputs = keras.Input((*shape, 1), name="log_mel")
    x = inputs
    for index, factor in enumerate(BLOCKS, start=1):
        name = f"block{index}"
        strides = (2, 2) if index == 1 else (1, 1)
        x = layers.Conv2D(
            factor * width, (3, 3), strides=strides, padding="same", use_bias=False, name=f"{name}_conv"
        )(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
        x = layers.ReLU(name=f"{name}_relu")(x)
        x = layers.MaxPooling2D((2, 2), padding="same", name=f"{name}_pool")(x)
    x = layers.GlobalAveragePooling2D(name="embedding")(x)
    x = layers.Dropout(0.3, name="dropout")(x)
    outputs = layers.Dense(classes, activation="softmax", name="emotion")(x)
    return keras.Model(inputs, outputs, name="source_cnn")
