# SPDX-License-Identifier: Apache-2.0
"""ResNet-9: a 7x7 stem and three residual blocks of two 3x3 convolutions.

Chang et al., "Knowledge Transfer for On-Device Speech Emotion Recognition with Neural Structured Learning"
(ICASSP 2023, arXiv 2210.14977), after He et al., "Deep Residual Learning" (arXiv 1512.03385). Blocks,
poolings and dense units are those of the authors' published builder (github.com/glam-imperial/NSL-SER,
models_demos.py: `ResNet9`), which has a plain convolution, without a norm, on every shortcut; with them a
model for 373 x 64 features and 7 classes has the 4,960,583 parameters of the paper.
"""

from __future__ import annotations

from typing import Any

from mcu_ser.train.models.layers import convolution, decided, normed, scaled
from mcu_ser.train.nsl_import import keras

STEM = 64
# Channels of each block; every block halves time and frequency.
BLOCKS = (128, 256, 512)
EMBEDDING = 256


def build(shape: tuple[int, int], classes: int, *, width: float) -> Any:
    """The untrained model.

    Args:
        shape: Frames and mel bands of the input.
        classes: Number of emotions.
        width: Multiplies all channels and the units of the embedding; 1 is the paper's model.
    """
    layers = keras.layers
    inputs = keras.Input((*shape, 1), name="log_mel")
    x = convolution(inputs, scaled(STEM, width), kernel=7, stride=2, name="stem")
    x = layers.MaxPooling2D((3, 3), strides=2, padding="same", name="stem_pool")(x)
    for index, channels in enumerate(BLOCKS, start=1):
        x = _residual(x, scaled(channels, width), name=f"block{index}")
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    x = layers.Dense(scaled(EMBEDDING, width), name="fc1")(x)
    return keras.Model(inputs, decided(x, classes), name="resnet9")


def _residual(x: Any, channels: int, *, name: str) -> Any:
    layers = keras.layers
    shortcut = layers.Conv2D(channels, 1, strides=2, use_bias=False, name=f"{name}_shortcut")(x)
    x = convolution(x, channels, kernel=3, stride=2, name=f"{name}_conv1")
    x = layers.Conv2D(channels, 3, padding="same", use_bias=False, name=f"{name}_conv2")(x)
    x = layers.Add(name=f"{name}_add")([normed(x, name=f"{name}_conv2"), shortcut])
    return layers.ReLU(name=f"{name}_relu")(x)
