# SPDX-License-Identifier: Apache-2.0
"""Firmware that hears with a test's engine, noise to say to it, and the map of a stream."""

import numpy as np

from mcu_ser.features.clip import fitted
from mcu_ser.features.integer_log_mel import level_rows, without_clip_mean
from tests.hearing_model import SPEC, front_end_of
from tests.native_firmware import TestModel

FRONT_END = front_end_of()
MAP_BYTES = SPEC.frames * SPEC.mels
HEARING = TestModel(input_bytes=MAP_BYTES, output_bytes=100, front_end=FRONT_END)
NOISE = np.random.default_rng(3).integers(-9000, 9000, 20000).astype(np.int16)
OBEYS = ("ENGINE_ALWAYS_OBEYS",)  # any map is an input


def of_stream(pcm):
    """The map of a stream after `pcm`: that of its newest rows."""
    rows = level_rows(pcm, SPEC)[-SPEC.frames :]
    return FRONT_END.quantized(without_clip_mean(fitted(rows, SPEC.frames), SPEC)).tobytes()
