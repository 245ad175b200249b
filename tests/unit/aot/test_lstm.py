# SPDX-License-Identifier: Apache-2.0
import math
import re

from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.aot.lstm import SUM_LIMIT, gate_rescale
from mcu_ser.aot.requantize import quantize_multiplier, scale
from mcu_ser.resources import firmware_templates_dir

CURVES = firmware_templates_dir() / "runtime" / "kernels" / "int16_curves.h"


@st.composite
def sums(draw):
    """A multiplier, and a sum that it takes: any, small, or next to a tie."""
    multiplier = quantize_multiplier(2.0 ** draw(st.floats(-34, 12)) * draw(st.sampled_from([1.0, 0.7])))
    most = (SUM_LIMIT - 1) >> max(multiplier.shift, 0)
    size = draw(st.one_of(st.integers(0, most), st.integers(0, min(most, 100))))
    if multiplier.shift < 0 and draw(st.booleans()):
        size = min(most, draw(st.integers(0, 9)) * 2 ** (-multiplier.shift) + 2 ** (-multiplier.shift - 1))
    return multiplier, draw(st.sampled_from([size, -size]))


@given(sums())
def test_one_product_and_one_shift_are_both_roundings(case):
    multiplier, x = case
    gate = gate_rescale(multiplier)
    shifted = x << gate.left
    scaled = (shifted * gate.multiplier >> 32) + gate.constant + (gate.tie if x < 0 else 0)
    assert all(-(1 << 31) <= number < 1 << 31 for number in (shifted, scaled, gate.constant))
    assert 0 <= gate.right < 32
    assert scaled >> gate.right == scale(x, multiplier)


def test_the_ends_of_what_may_be_summed_are_exact():
    for exponent in range(-31, 20):
        for fraction in (0.5, 0.75, 1 - 2.0**-31):
            multiplier = quantize_multiplier(math.ldexp(fraction, exponent))
            gate = gate_rescale(multiplier)
            end = (SUM_LIMIT - 1) >> max(multiplier.shift, 0)
            for x in (end, end - 1, -end, 1 - end, 0, 1, -1):
                scaled = ((x << gate.left) * gate.multiplier >> 32) + gate.constant
                scaled += gate.tie if x < 0 else 0
                assert scaled >> gate.right == scale(x, multiplier), (multiplier, x)
                assert -(1 << 31) <= scaled < 1 << 31


def test_the_table_of_the_logistic_function_follows_from_its_formula():
    text = CURVES.read_text()
    numbers = re.search(r"aot_logistic_table\[.*\] = {(.*?)};", text, re.DOTALL)[1]
    table = [int(number) for number in numbers.split(",") if number.strip()]

    def exact(place):
        return 65536 / (1 + math.exp(-place / 24))

    def raised(place):
        error = exact(place + 0.5) - (exact(place) + exact(place + 1)) / 2
        return math.floor(exact(place) + error / 2 + 0.5)

    assert table == [raised(place) for place in range(255)] + [65535, 65535]
