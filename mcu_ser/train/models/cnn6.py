# SPDX-License-Identifier: Apache-2.0
"""CNN-6: four 5x5 convolutions, each followed by a maximum over 2 x 2.

Chang et al., "Knowledge Transfer for On-Device Speech Emotion Recognition with Neural Structured Learning"
(ICASSP 2023, arXiv 2210.14977), after Kong et al., "PANNs" (arXiv 1912.10211), whose CNN6 takes means in
its poolings. Maxima and dense units are those of the authors' published builder
(github.com/glam-imperial/NSL-SER, models_demos.py: `cnn6`); poolings have no parameters, so the paper's
4,439,367 (373 x 64 features, 7 classes) would not tell the two apart.
"""

from __future__ import annotations

from typing import Any

from mcu_ser.train.models.layers import check_shape, convolution, decided, halved, scaled
from mcu_ser.train.nsl_import import keras

CHANNELS = (64, 128, 256, 512)
EMBEDDING = 256


def build(shape: tuple[int, int], classes: int, *, width: float) -> Any:
    """The untrained model.

    Args:
        shape: Frames and mel bands of the input, each at least 16.
        classes: Number of emotions.
        width: Multiplies all channels and the units of the embedding; 1 is the paper's model.

    Raises:
        ConfigError: Too few frames or mel bands.
    """
    check_shape("cnn6", shape, len(CHANNELS))
    inputs = keras.Input((*shape, 1), name="log_mel")
    x = inputs
    for index, channels in enumerate(CHANNELS, start=1):
        x = convolution(x, scaled(channels, width), kernel=5, name=f"conv{index}")
        x = halved(x, name=f"pool{index}")
    x = keras.layers.GlobalAveragePooling2D(name="mean")(x)
    x = keras.layers.Dense(scaled(EMBEDDING, width), name="fc1")(x)
    return keras.Model(inputs, decided(x, classes), name="cnn6")
