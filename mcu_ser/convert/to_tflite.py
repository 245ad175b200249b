# SPDX-License-Identifier: Apache-2.0
"""Turns a trained quantisation-aware model into a .tflite with int8 input and output and batch size 1."""

from __future__ import annotations

import warnings
from typing import Any

from mcu_ser.train.nsl_import import keras, native_stderr_closed, tf


def to_tflite(model: Any) -> bytes:
    """The .tflite of a quantisation-aware model; batch normalisation is folded into the convolutions.

    Args:
        model: What `compress.qat.quantization_aware` returned, trained.
    """
    shape = (1, *model.input_shape[1:])
    # A fixed batch of one: with an open batch dimension the file would say -1, and code for a fixed memory
    # plan would have to guess.
    fixed = keras.Input(batch_shape=shape, name="log_mel")
    converter = tf.lite.TFLiteConverter.from_keras_model(
        keras.Model(fixed, model(fixed, training=False), name="mcu_ser")
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    with warnings.catch_warnings(), native_stderr_closed():
        # Ranges come from the fake-quantisation nodes of the model, not from input statistics.
        warnings.filterwarnings("ignore", message="Statistics for quantized inputs", category=UserWarning)
        converted: bytes = converter.convert()
    return converted
