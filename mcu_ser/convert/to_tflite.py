# SPDX-License-Identifier: Apache-2.0
"""Turns a trained quantisation-aware model into a .tflite with int8 input and output and batch size 1."""

from __future__ import annotations

import warnings
from typing import Any

from mcu_ser.train.nsl_import import convert_variables_to_constants_v2, native_stderr_closed, tf


def to_tflite(model: Any) -> bytes:
    """The .tflite of a quantisation-aware model; batch normalisation is folded into the convolutions.

    Args:
        model: What `compress.qat.quantization_aware` returned, trained.
    """
    return converted(int8_converter(model))


def int8_converter(model: Any) -> Any:
    """A converter of a model to int8 input and output, of a batch of one.

    A batch of one, because with an open batch dimension the file would say -1, and code for a fixed memory
    plan would have to guess. The converter gets one function whose weights are constants: given the Keras
    model, it would trace, save and load every layer of it first, which takes ten times as long and ends in
    the same constants.
    """
    forward = tf.function(
        lambda log_mel: model(log_mel, training=False),
        input_signature=[tf.TensorSpec((1, *model.input_shape[1:]), tf.float32, name="log_mel")],
        autograph=False,
    )
    constant = convert_variables_to_constants_v2(forward.get_concrete_function())
    converter = tf.lite.TFLiteConverter.from_concrete_functions([constant], tf.Module())
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    return converter


def converted(converter: Any) -> bytes:
    """What a converter comes to, without its remarks."""
    with warnings.catch_warnings(), native_stderr_closed():
        # Ranges come from the fake-quantisation nodes of the model, not from input statistics.
        warnings.filterwarnings("ignore", message="Statistics for quantized inputs", category=UserWarning)
        content: bytes = converter.convert()
    return content
