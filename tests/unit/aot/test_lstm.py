# SPDX-License-Identifier: Apache-2.0
import math
import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.aot.kernels.lstm import call
from mcu_ser.aot.lstm import SUM_LIMIT, gate_rescale
from mcu_ser.aot.requantize import quantize_multiplier, scale
from mcu_ser.aot.tflite_reader import read_model
from mcu_ser.resources import firmware_templates_dir
from tests.lstm_model import lstm_layer
from tests.plain_lstm import lstm

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


def _is_paired(file):
    graph = read_model(file)
    return dict(call(graph, graph.operators[0]).description.members)["paired"]


def test_weights_of_two_cells_are_paired_where_that_is_exact():
    assert _is_paired(lstm_layer(2, 8, 8))
    # A weight of -128 beside one below 0 leaves int16.
    assert not _is_paired(lstm_layer(2, 8, 8, least=True))


def test_weights_are_not_paired_where_a_sum_leaves_24_bits():
    def of_depth(inputs):
        weights = {"shape": (2, inputs), "data": np.full((2, inputs), 127)}
        changes = {place: weights for place in range(1, 5)}
        return lstm({0: {"shape": (1, 3, inputs), "zero_point": -128}} | changes)

    # 259 * 127 * 255 is less than 2^23, and 260 times that is more.
    assert _is_paired(of_depth(259))
    assert not _is_paired(of_depth(260))
