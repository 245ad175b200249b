# SPDX-License-Identifier: Apache-2.0
"""MobileNet-15: a stem and six depthwise-separable blocks, the smallest model of the paper.

Chang et al., "Knowledge Transfer for On-Device Speech Emotion Recognition with Neural Structured Learning"
(ICASSP 2023, arXiv 2210.14977), after Howard et al., "MobileNets" (arXiv 1704.04861). Blocks, strides,
dropout and dense units are those of the authors' published builder (github.com/glam-imperial/NSL-SER,
models_demos.py: `MobileNet15`); with them a model for 373 x 64 features and 7 classes has the 674,695
parameters of the paper.
"""

from __future__ import annotations

from typing import Any

from mcu_ser.train.models.layers import activated, convolution, decided, scaled
from mcu_ser.train.nsl_import import keras

STEM = 64
# Channels and stride of each block.
BLOCKS = ((128, 1), (128, 2), (256, 1), (256, 2), (512, 1), (512, 2))
EMBEDDING = 256
DROPOUT = 0.2


def build(shape: tuple[int, int], classes: int, *, width: float) -> Any:
    """The untrained model.

    Args:
        shape: Frames and mel bands of the input.
        classes: Number of emotions.
        width: Multiplies all channels and the units of the embedding; 1 is the paper's model.
    """
    layers = keras.layers
    inputs = keras.Input((*shape, 1), name="log_mel")
    x = convolution(inputs, scaled(STEM, width), kernel=3, stride=2, name="stem")
    for index, (channels, stride) in enumerate(BLOCKS, start=1):
        x = _separable(x, scaled(channels, width), stride=stride, name=f"block{index}")
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    x = layers.Dropout(DROPOUT, name="mean_dropout")(x)
    x = layers.Dense(scaled(EMBEDDING, width), name="fc1")(x)
    return keras.Model(inputs, decided(x, classes), name="mobilenet15")


def _separable(x: Any, channels: int, *, stride: int, name: str) -> Any:
    depthwise, pointwise = f"{name}_depthwise", f"{name}_pointwise"
    x = keras.layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False, name=depthwise)(x)
    return convolution(activated(x, name=depthwise), channels, kernel=1, name=pointwise)
