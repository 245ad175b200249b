# SPDX-License-Identifier: Apache-2.0
"""PADs that become borders of convolutions on the emulated Cortex-M4, in assembly and in C."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.emulator.test_cortex_m4_models import BUILDS, check_a_program, needs_qemu, whole_programs
from tests.random_pads import PADDED

pytestmark = pytest.mark.emulator

MODELS = 30


@needs_qemu
@whole_programs
@pytest.mark.parametrize("build", sorted(BUILDS))
@given(models=st.lists(PADDED, min_size=MODELS, max_size=MODELS))
def test_borders_give_the_bytes_of_the_oracle_on_a_cortex_m4(build, models, tmp_path_factory):
    check_a_program([model.file for model in models], build, tmp_path_factory.mktemp("pads"))
