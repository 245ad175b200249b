# SPDX-License-Identifier: Apache-2.0
"""PADs that become borders of convolutions, as native programs under sanitizers."""

from contextlib import nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.aot.optimization import Optimization
from tests.c.test_layers import check_a_program, whole_programs
from tests.random_narrow import narrow_wherever_exact
from tests.random_pads import PADDED

FORMS = {
    "as chosen": (nullcontext, {}),
    "by strips": (narrow_wherever_exact, {}),
    "by Winograd's algorithm": (nullcontext, {"winograd_bytes": 1 << 20}),
    "for size": (nullcontext, {"optimization": Optimization.SIZE}),
}


@pytest.mark.parametrize("form", sorted(FORMS))
@whole_programs
@given(data=st.data())
def test_a_convolution_with_the_border_of_a_pad_gives_the_bytes_of_the_oracle(form, data):
    context, options = FORMS[form]
    with context():
        check_a_program(data, PADDED, **options)
