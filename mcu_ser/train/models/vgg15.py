# SPDX-License-Identifier: Apache-2.0
"""VGG-15: thirteen 3x3 convolutions in five blocks, the largest model of the paper.

Chang et al., "Knowledge Transfer for On-Device Speech Emotion Recognition with Neural Structured Learning"
(ICASSP 2023, arXiv 2210.14977). Layers, poolings and dense units are those of the authors' published builder
(github.com/glam-imperial/NSL-SER, models_demos.py: `vgg15`); with them a model for 373 x 64 features and 7
classes has the 14,859,335 parameters of the paper. Its convolutions see every frame and band at full
resolution: of all families it needs the most memory for activations.
"""

from __future__ import annotations

from typing import Any

from mcu_ser.train.models.layers import check_shape, convolution, decided, halved, scaled
from mcu_ser.train.nsl_import import keras

# Channels and number of the convolutions of each block; every block ends by halving time and frequency.
BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
EMBEDDING = 256


def build(shape: tuple[int, int], classes: int, *, width: float) -> Any:
    """The untrained model.

    Args:
        shape: Frames and mel bands of the input, each at least 32.
        classes: Number of emotions.
        width: Multiplies all channels and the units of the embedding; 1 is the paper's model.

    Raises:
        ConfigError: Too few frames or mel bands.
    """
    check_shape("vgg15", shape, len(BLOCKS))
    inputs = keras.Input((*shape, 1), name="log_mel")
    x = inputs
    for block, (channels, convolutions) in enumerate(BLOCKS, start=1):
        for index in range(1, convolutions + 1):
            x = convolution(x, scaled(channels, width), kernel=3, name=f"conv{block}_{index}")
        x = halved(x, name=f"pool{block}")
    x = keras.layers.GlobalAveragePooling2D(name="mean")(x)
    x = keras.layers.Dense(scaled(EMBEDDING, width), name="fc1")(x)
    return keras.Model(inputs, decided(x, classes), name="vgg15")
