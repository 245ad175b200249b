# SPDX-License-Identifier: Apache-2.0
"""The front end beside TensorFlow's micro frontend, where a tree of TFLite-Micro has the source of that."""

import numpy as np
import pytest

from mcu_ser.features.front_end import FrontEnd
from mcu_ser.features.integer_log_mel import level_map, log_power
from mcu_ser.features.log_mel import log_mel
from mcu_ser.features.normalization import Normalization
from mcu_ser.recipe import FeaturesRecipe
from tests.cortex_m4_front_end import run_on_cortex_m4
from tests.cortex_m4_microfrontend import exact_microfrontend, run_microfrontend, why_not

pytestmark = [pytest.mark.emulator, pytest.mark.skipif(why_not() is not None, reason=f"{why_not()}")]

SPEC = FeaturesRecipe(frames=48)


def test_costs_a_third_of_the_micro_frontend_per_frame_and_is_closer_to_float64(tmp_path) -> None:
    pcm = np.random.default_rng(1).normal(0, 3000, 8192).clip(-32768, 32767).astype(np.int16)
    theirs = run_microfrontend(SPEC, pcm, tmp_path)
    # What was counted is a log-mel frame: that of its definition. Where noise leaves a narrow band least,
    # they are 2.5 of the steps apart that the frame comes in.
    error = theirs.log_power - exact_microfrontend(SPEC, pcm)
    error -= np.median(error)
    assert np.abs(error).max() < 3 / 32
    own = SPEC.model_copy(update={"clip_mean": "keep"})
    own_error = log_power(level_map(pcm, own), own) - log_mel(pcm, own)
    assert np.abs(own_error).max() < np.abs(error).max() / 10
    normalization = Normalization(np.zeros(SPEC.mels, np.float32), np.ones(SPEC.mels, np.float32))
    ours = run_on_cortex_m4(FrontEnd.folded(SPEC, normalization, 0.02, 0), pcm, tmp_path)
    assert theirs.most_without_reduction < theirs.most_per_frame
    assert 3 * ours.most_per_hop < theirs.most_without_reduction
