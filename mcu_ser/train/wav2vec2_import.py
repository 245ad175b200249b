# SPDX-License-Identifier: Apache-2.0
"""The one place that imports `transformers`, told before its import never to ask a network for anything.

    from mcu_ser.train.wav2vec2_import import TFWav2Vec2ForSequenceClassification

`transformers` 4 has TensorFlow classes, which it announces to drop, and says that this model cannot be
trained on a CPU. TensorFlow learnt the missing gradient (of convolutions in groups) since; both remarks are
silenced.
"""

from __future__ import annotations

import os
import warnings

from mcu_ser.errors import ToolMissingError
from mcu_ser.programs import extra_hint
from mcu_ser.train.nsl_import import keras, native_stderr_closed, tf

# Not defaults: nothing is downloaded, whatever the environment says.
os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1")
# Where torch is installed too, importing it takes seconds and threads for nothing.
os.environ.update(USE_TF="1", USE_TORCH="0")

try:
    with native_stderr_closed(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from safetensors import SafetensorError, safe_open
        from safetensors.tensorflow import load_file as load_safetensors
        from transformers import TFWav2Vec2ForSequenceClassification, Wav2Vec2Config
        from transformers.modeling_tf_pytorch_utils import load_pytorch_state_dict_in_tf2_model
        from transformers.utils import logging as transformers_logging
except ImportError as error:
    raise ToolMissingError(
        error.name or "transformers", "is not installed or too new", hint=extra_hint("wav2vec2")
    ) from error

transformers_logging.set_verbosity_error()
transformers_logging.disable_progress_bar()

__all__ = [
    "SafetensorError",
    "TFWav2Vec2ForSequenceClassification",
    "Wav2Vec2Config",
    "keras",
    "load_pytorch_state_dict_in_tf2_model",
    "load_safetensors",
    "safe_open",
    "tf",
]
