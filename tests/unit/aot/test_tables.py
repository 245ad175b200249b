# SPDX-License-Identifier: Apache-2.0
"""Functions of one int8 value, as tables, against the oracle: every one of the 256 inputs of each model."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tflite_micro import runtime

from mcu_ser.aot.kernels.table import values
from mcu_ser.aot.supported import check_supported
from mcu_ser.aot.tflite_reader import read_model
from tests.plain_layers import layer

EVERY_INPUT = np.arange(-128, 128, dtype=np.int8).reshape(1, 256)
ZERO_POINTS = st.one_of(st.sampled_from([-128, 0, 127]), st.integers(-128, 127))


def scales(least, greatest):
    """Scales as converters make them, and over the whole range of exponents that the rules accept."""
    exponents = st.one_of(st.floats(max(-9, least), min(2, greatest)), st.floats(least, greatest))
    return exponents.map(lambda exponent: float(np.float32(2.0**exponent)))


def model_of(opcode, x, y, **options):
    """A model of one layer with 256 elements; `x` and `y` are scale and zero point."""
    ends = [{"shape": (1, 256), "scale": scale, "zero_point": zero_point} for scale, zero_point in (x, y)]
    return layer(opcode, x=ends[0], y=ends[1], options=options)


def of_oracle(file):
    oracle = runtime.Interpreter.from_bytes(file, arena_size=1 << 16)
    oracle.set_input(EVERY_INPUT, 0)
    oracle.invoke()
    return oracle.get_output(0).ravel().tolist()


def of_table(file):
    graph = read_model(file, "m.tflite")
    check_supported(graph)
    return values(graph, graph.operators[0]).tolist()


@pytest.mark.parametrize(("opcode", "output"), [("LOGISTIC", (1 / 256, -128)), ("TANH", (1 / 128, 0))])
@given(scale=scales(-28, 34.9), zero_point=ZERO_POINTS)
def test_a_curve_is_that_of_the_oracle(opcode, output, scale, zero_point):
    file = model_of(opcode, (scale, zero_point), output)
    assert of_table(file) == of_oracle(file)


@given(scale=scales(-30, 24.5), gain=scales(-6.9, 40), zero_points=st.tuples(ZERO_POINTS, ZERO_POINTS))
def test_a_hard_swish_is_that_of_the_oracle(scale, gain, zero_points):
    output = float(np.float32(scale * gain))
    file = model_of("HARD_SWISH", (scale, zero_points[0]), (output, zero_points[1]))
    assert of_table(file) == of_oracle(file)


def test_a_hard_swish_of_far_smaller_outputs_never_ends_at_its_zero_point():
    # The oracle's mask for the last shift has 16 bits: from 16 places on it rounds all but to 1 and -1.
    file = model_of("HARD_SWISH", (2.0**-10, 0), (2.0**3, 5))
    assert set(of_oracle(file)) == {4, 6}
    assert of_table(file) == of_oracle(file)


ZERO_POINT_PAIRS = st.tuples(ZERO_POINTS, ZERO_POINTS)
ALPHAS = st.one_of(st.sampled_from([0.0, 0.01, 0.2, 1.0, 1.5, -0.25]), st.floats(-8, 8, width=32))


@given(scale=scales(-12, 6), gain=scales(-20, 36), zero_points=ZERO_POINT_PAIRS, alpha=ALPHAS)
def test_a_leaky_relu_is_that_of_the_oracle(scale, gain, zero_points, alpha):
    output = float(np.float32(scale * gain))
    file = model_of("LEAKY_RELU", (scale, zero_points[0]), (output, zero_points[1]), Alpha=alpha)
    assert of_table(file) == of_oracle(file)


@given(scale=scales(-12, 6), gain=scales(-22, 40), zero_points=ZERO_POINT_PAIRS)
def test_a_requantisation_is_that_of_the_oracle(scale, gain, zero_points):
    output = float(np.float32(scale * gain))
    file = model_of("QUANTIZE", (scale, zero_points[0]), (output, zero_points[1]))
    assert of_table(file) == of_oracle(file)


# Found by search: dividing these scales in binary32, or multiplying by alpha in it, gives another byte.
LAST_BITS = {
    "LEAKY_RELU": model_of(
        "LEAKY_RELU",
        (0.012028348632156849, 78),
        (0.005365767050534487, 0),
        Alpha=0.7157468795776367,
    ),
    "HARD_SWISH": model_of("HARD_SWISH", (0.013381831347942352, 12), (0.0004228601756040007, 12)),
}


@pytest.mark.parametrize("opcode", LAST_BITS)
def test_scales_are_divided_in_binary64(opcode):
    assert of_table(LAST_BITS[opcode]) == of_oracle(LAST_BITS[opcode])
