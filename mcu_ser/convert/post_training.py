# SPDX-License-Identifier: Apache-2.0
"""Turns a trained float model into an int8 .tflite without further training: the control of QAT.

Ranges of activations are those that the converter sees on representative clips; weights are rounded as they
are. Input, output and every operator are int8, as in the model that goes on to a chip.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcu_ser.convert.to_tflite import converted, int8_converter
from mcu_ser.train.nsl_import import tf

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray


def quantized_post_training(model: Any, representative: NDArray[np.float32]) -> bytes:
    """The .tflite of a float model.

    Args:
        model: Input (frames, mels, 1); pruned or not, without wrappers.
        representative: Normalised clips of the training speakers, float32 (n, frames, mels), n >= 1.
    """
    converter = int8_converter(model)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    # As in quantisation-aware training, so that the two differ by the training alone.
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True

    def clips() -> Iterator[list[NDArray[np.float32]]]:
        for clip in representative:
            yield [clip[None, ..., None]]

    converter.representative_dataset = clips
    return converted(converter)
