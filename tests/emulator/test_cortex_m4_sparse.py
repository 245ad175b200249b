# SPDX-License-Identifier: Apache-2.0
"""Sparse kernels on the emulated Cortex-M4, in assembly and in C, whenever a layer may have one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.aot.kernels import sparse
from tests.emulator.test_cortex_m4_models import BUILDS, check_a_program, needs_qemu, whole_programs
from tests.random_sparse import EVERY_COUNT, SPARSE, whatever_is_sparse

pytestmark = pytest.mark.emulator

MODELS_PER_KIND = 20


@pytest.fixture(autouse=True, scope="module")
def _always_sparse():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sparse, "better", whatever_is_sparse)
        yield


@needs_qemu
@whole_programs
@pytest.mark.parametrize("build", sorted(BUILDS))
@given(data=st.data())
def test_sparse_layers_give_the_bytes_of_the_oracle_on_a_cortex_m4(build, data, tmp_path_factory):
    lists = [
        data.draw(st.lists(strategy, min_size=MODELS_PER_KIND, max_size=MODELS_PER_KIND))
        for strategy in SPARSE.values()
    ]
    files = [model.file for models in lists for model in models]
    check_a_program(files, build, tmp_path_factory.mktemp("sparse"))


@needs_qemu
@pytest.mark.parametrize("build", sorted(BUILDS))
def test_every_step_of_a_chain_is_entered_and_gives_the_bytes_of_the_oracle(build, tmp_path):
    check_a_program(list(EVERY_COUNT.values()), build, tmp_path)
