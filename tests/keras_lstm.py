# SPDX-License-Identifier: Apache-2.0
"""Keras models with LSTM layers as int8 .tflite files, over log-mel frames; needs the [train] extra."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from mcu_ser.convert.to_tflite import converted
from mcu_ser.features.log_mel import log_mel
from mcu_ser.recipe import FeaturesRecipe
from mcu_ser.train.nsl_import import keras, tf
from tests.speech import synthetic_clips

FRAMES, MELS, CLASSES, CELLS = 24, 20, 4, 13
SPEC = FeaturesRecipe(frames=FRAMES, mels=MELS)

Frames = npt.NDArray[np.float32]


def log_mel_frames() -> Frames:
    """Log-mel spectrograms of made-up voices, of unit variance: (clips, frames, mels)."""
    maps = np.stack([log_mel(clip, SPEC) for clip in synthetic_clips(SPEC)])
    return ((maps - maps.mean()) / maps.std()).astype(np.float32)


def _classes(x: Any) -> Any:
    return keras.layers.Dense(CLASSES, activation="softmax")(x)


def _last(x: Any) -> Any:
    return _classes(keras.layers.LSTM(CELLS)(x))


def _stacked(x: Any) -> Any:
    x = keras.layers.LSTM(CELLS, return_sequences=True)(x)
    return _classes(keras.layers.LSTM(8)(x))


def _sequence(x: Any) -> Any:
    return keras.layers.LSTM(CELLS, return_sequences=True)(x)


def _time_major(x: Any) -> Any:
    x = keras.layers.LSTM(CELLS, time_major=True, return_sequences=True)(tf.transpose(x, [1, 0, 2]))
    return _classes(tf.transpose(x, [1, 0, 2])[:, -1])


def _bidirectional(x: Any) -> Any:
    return _classes(keras.layers.Bidirectional(keras.layers.LSTM(6))(x))


def _behind_convolution(x: Any) -> Any:
    x = keras.layers.Reshape((FRAMES, MELS, 1))(x)
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(x)
    return _last(keras.layers.Reshape((FRAMES // 2, MELS // 2 * 8))(x))


MODELS: dict[str, Callable[[Any], Any]] = {
    "behind a convolution": _behind_convolution,
    "bidirectional": _bidirectional,
    "last": _last,
    "sequence": _sequence,
    "stacked": _stacked,
    "time major": _time_major,
}


def keras_lstm(name: str, frames: Frames) -> bytes:
    """The .tflite of one of `MODELS` with random weights; `frames` are what its ranges are taken from."""
    keras.utils.set_random_seed(1)
    input_ = keras.Input((FRAMES, MELS), batch_size=1)
    converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model(input_, MODELS[name](input_)))

    def representative() -> Iterator[list[Frames]]:
        for clip in frames:
            yield [clip[None]]

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return converted(converter)
