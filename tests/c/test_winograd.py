# SPDX-License-Identifier: Apache-2.0
"""Winograd's algorithm, whenever a layer may have it: in a build it is taken only where it pays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.c.test_layers import check_a_program, whole_programs
from tests.random_winograd import WINOGRAD, winograd_wherever_exact


@pytest.fixture(autouse=True, scope="module")
def _always_winograd():
    with winograd_wherever_exact():
        yield


@whole_programs
@given(data=st.data())
def test_a_convolution_by_winograd_gives_the_bytes_of_the_oracle(data):
    check_a_program(data, WINOGRAD)
