# SPDX-License-Identifier: Apache-2.0
"""Convolutions by strips of windows, whenever a layer may have it: in a build only where it pays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.c.test_layers import check_a_program, whole_programs
from tests.random_narrow import NARROW, narrow_wherever_exact


@pytest.fixture(autouse=True, scope="module", params=[64, 1024])
def _always_narrow(request):
    with narrow_wherever_exact(request.param):
        yield


@whole_programs
@given(data=st.data())
def test_a_convolution_by_strips_gives_the_bytes_of_the_oracle(data):
    check_a_program(data, NARROW)
