# SPDX-License-Identifier: Apache-2.0
"""The front end beside TensorFlow's micro frontend, where a tree of TFLite-Micro has the source of that."""

import numpy as np
import pytest

from mcu_ser.features.front_end import FrontEnd
from mcu_ser.features.log_mel import log_mel_rows
from mcu_ser.features.normalization import Normalization
from mcu_ser.recipe import FeaturesRecipe
from tests.cortex_m4_front_end import run_on_cortex_m4
from tests.cortex_m4_microfrontend import run_microfrontend, why_not

pytestmark = [pytest.mark.emulator, pytest.mark.skipif(why_not() is not None, reason=f"{why_not()}")]

SPEC = FeaturesRecipe(frames=48)


def test_costs_a_third_of_the_micro_frontend_per_frame(tmp_path) -> None:
    pcm = np.random.default_rng(1).normal(0, 3000, 8192).clip(-32768, 32767).astype(np.int16)
    theirs = run_microfrontend(SPEC, pcm, tmp_path)
    # What was counted is the same log-mel frame, as 64 steps per neper of magnitude and up to a constant. Its
    # triangles are over mel, ours over Hz: 4 steps apart, measured, in the lowest band.
    steps = 32 * log_mel_rows(pcm, SPEC)[-1]
    assert np.ptp(theirs.last - steps) < 6
    normalization = Normalization(np.zeros(SPEC.mels, np.float32), np.ones(SPEC.mels, np.float32))
    ours = run_on_cortex_m4(FrontEnd.folded(SPEC, normalization, 0.02, 0), pcm, tmp_path)
    assert theirs.most_without_reduction < theirs.most_per_frame
    assert 3 * ours.most_per_hop < theirs.most_without_reduction
