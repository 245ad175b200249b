# SPDX-License-Identifier: Apache-2.0
"""FULLY_CONNECTED without scratch, whenever a layer may have it: in a build only where the arena is small."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.aot import scratch_choice
from tests.c.test_layers import check_a_program, whole_programs
from tests.random_without_scratch import WIDE_LAYERS


@pytest.fixture(autouse=True, scope="module")
def _never_scratch():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scratch_choice, "_LITTLE_SCRATCH", 0)
        patch.setattr(scratch_choice, "SPEED_ARENA", 0.0)
        yield


@whole_programs
@given(data=st.data())
def test_layer_without_scratch_gives_the_bytes_of_the_oracle(data):
    check_a_program(data, WIDE_LAYERS)
