# SPDX-License-Identifier: Apache-2.0
"""Builds for size on the emulated Cortex-M4, in assembly and in C."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.aot.optimization import Optimization
from tests.emulator.test_cortex_m4_models import (
    BUILDS,
    GROUPS,
    MODELS_PER_OPERATOR,
    check_a_program,
    needs_qemu,
    whole_programs,
)

pytestmark = pytest.mark.emulator

FLAGS = {name: tuple("-Os" if flag == "-O2" else flag for flag in flags) for name, flags in BUILDS.items()}


@needs_qemu
@whole_programs
@pytest.mark.parametrize("group", ["layers", "moves and products"])
@pytest.mark.parametrize("build", sorted(BUILDS))
@given(data=st.data())
def test_layers_for_size_give_the_bytes_of_the_oracle_on_a_cortex_m4(
    build, group, data, tmp_path_factory, monkeypatch
):
    monkeypatch.setitem(BUILDS, build, FLAGS[build])
    kinds = GROUPS[group]
    drawn = [
        data.draw(st.lists(kinds[kind], min_size=MODELS_PER_OPERATOR, max_size=MODELS_PER_OPERATOR))
        for kind in sorted(kinds)
    ]
    files = [model.file for models in drawn for model in models]
    directory = tmp_path_factory.mktemp("for_size")
    check_a_program(files, build, directory, optimization=Optimization.SIZE)
