# SPDX-License-Identifier: Apache-2.0
"""FULLY_CONNECTED without scratch on the emulated Cortex-M4, in assembly and in C."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.aot import scratch_choice
from tests.emulator.test_cortex_m4_models import BUILDS, check_a_program, needs_qemu, whole_programs
from tests.random_without_scratch import WIDE_LAYERS

pytestmark = pytest.mark.emulator

MODELS = 40


@pytest.fixture(autouse=True, scope="module")
def _never_scratch():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scratch_choice, "_LITTLE_SCRATCH", 0)
        patch.setattr(scratch_choice, "SPEED_ARENA", 0.0)
        yield


@needs_qemu
@whole_programs
@pytest.mark.parametrize("build", sorted(BUILDS))
@given(data=st.data())
def test_layers_without_scratch_give_the_bytes_of_the_oracle_on_a_cortex_m4(build, data, tmp_path_factory):
    drawn = data.draw(st.lists(WIDE_LAYERS, min_size=MODELS, max_size=MODELS))
    check_a_program([model.file for model in drawn], build, tmp_path_factory.mktemp("direct"))
