# SPDX-License-Identifier: Apache-2.0
"""Sparse kernels, whenever a layer may have one: in a build they are taken only where they pay."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.aot.kernels import sparse
from tests.c.test_layers import check_a_program, whole_programs
from tests.random_sparse import SPARSE, whatever_is_sparse


@pytest.fixture(autouse=True, scope="module")
def _always_sparse():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sparse, "better", whatever_is_sparse)
        yield


@pytest.mark.parametrize("kind", sorted(SPARSE))
@whole_programs
@given(data=st.data())
def test_sparse_layer_gives_the_bytes_of_the_oracle(kind, data):
    check_a_program(data, SPARSE[kind])
