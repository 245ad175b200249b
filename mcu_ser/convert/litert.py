# SPDX-License-Identifier: Apache-2.0
"""Turns an int8 .tflite and int8 samples into LiteRT's answers, which are reported beside the oracle's.

LiteRT's default kernels round once in requantisation where TFLite-Micro rounds twice, so answers can differ
by small amounts; they are information, never a verdict.
"""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def litert_outputs(model: bytes, x: NDArray[np.int8]) -> NDArray[Any] | None:
    """Outputs of each sample, or None when TensorFlow, which brings LiteRT, is not installed.

    Args:
        model: Content of a .tflite with one int8 or int16 input and output.
        x: Bytes of the inputs, int8 of shape (n, *input_shape[1:]) or (n, input_bytes).

    Returns:
        Of the output's type, (n, output elements).
    """
    if find_spec("tensorflow") is None:
        return None
    from mcu_ser.train.nsl_import import native_stderr_closed, tf

    with warnings.catch_warnings(), native_stderr_closed():
        # It advises another package for the same interpreter.
        warnings.filterwarnings("ignore", message=".*tf.lite.Interpreter is deprecated", category=UserWarning)
        interpreter = tf.lite.Interpreter(model_content=model)
        interpreter.allocate_tensors()
    entrance, exit_ = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    outputs = np.empty((len(x), int(np.prod(exit_["shape"]))), exit_["dtype"])
    for index, sample in enumerate(x):
        stored = sample.reshape(-1).view(entrance["dtype"])
        # Each sample starts recurrent layers anew, as with the oracle.
        interpreter.reset_all_variables()
        interpreter.set_tensor(entrance["index"], stored.reshape(entrance["shape"]))
        interpreter.invoke()
        outputs[index] = interpreter.get_tensor(exit_["index"]).reshape(-1)
    return outputs
