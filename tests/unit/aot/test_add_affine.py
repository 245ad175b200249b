# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcu_ser.aot.kernels.add import all_outputs
from mcu_ser.aot.kernels.add_affine import INPUTS, find_affine, scaled
from mcu_ser.aot.requantize import INT32_MAX, INT32_MIN, Multiplier, scale
from mcu_ser.aot.tflite_reader import read_model
from tests.tflite_builder import TfliteBuilder


@given(
    st.lists(st.integers(-(2**29), 2**29), min_size=1, max_size=20),
    st.integers(1 << 30, (1 << 31) - 1),
    st.integers(-20, 1),
)
def test_values_are_scaled_as_the_specification_scales_each(values, mantissa, shift):
    multiplier = Multiplier(mantissa, shift)
    assert scaled(np.array(values), multiplier).tolist() == [scale(x, multiplier) for x in values]


def test_ties_are_scaled_away_from_zero():
    half = Multiplier(1 << 30, 0)
    assert scaled(np.array([-6, -2, 2, 6]), Multiplier(1 << 30, -1)).tolist() == [-2, -1, 1, 2]
    assert scaled(np.array([-3, 3]), half).tolist() == [-1, 2]


def _add(scales, zero_points, *, activation=0, opcode="ADD"):
    model = TfliteBuilder()
    a, b, y = (model.tensor((1, 4), scale=s, zero_point=z) for s, z in zip(scales, zero_points, strict=True))
    model.operator(opcode, [a, b], [y], FusedActivationFunction=activation)
    graph = read_model(model.build([a, b], [y]))
    return graph, graph.operators[0]


SCALES = st.floats(2.0**-6, 2.0**-3).map(lambda x: float(np.float32(x)))
ZERO_POINTS = st.sampled_from([-128, -3, 0, 127])


@settings(max_examples=25, deadline=None)
@given(st.tuples(SCALES, SCALES, SCALES), st.tuples(ZERO_POINTS, ZERO_POINTS, ZERO_POINTS), st.data())
def test_what_is_found_gives_every_output_and_stays_in_int32(scales, zero_points, data):
    opcode, sign = data.draw(st.sampled_from([("ADD", 1), ("SUB", -1)]))
    outputs = all_outputs(*_add(scales, zero_points, opcode=opcode))
    found = find_affine(outputs, (scales[0] / scales[2], sign * scales[1] / scales[2]), -128, 127)
    if found is None:
        return
    sums = INPUTS[:, None] * found.first_factor + INPUTS[None, :] * found.second_factor + found.constant
    assert sums.min() >= INT32_MIN
    assert sums.max() <= INT32_MAX
    assert np.array_equal(np.clip(sums >> found.shift, -128, 127), outputs)


def test_usual_scales_have_constants():
    outputs = all_outputs(*_add((0.0213177, 0.0554391, 0.0268119), (-128, 4, -128)))
    assert find_affine(outputs, (0.0213177 / 0.0268119, 0.0554391 / 0.0268119), -128, 127) is not None


@pytest.mark.parametrize("changed", [(7, 9), (255, 0), (128, 128)])
def test_one_output_that_no_constants_give_is_found(changed):
    outputs = all_outputs(*_add((0.0213177, 0.0554391, 0.0868273), (-128, 4, -20))).copy()
    factors = 0.0213177 / 0.0868273, 0.0554391 / 0.0868273
    assert find_affine(outputs, factors, -128, 127) is not None
    outputs[changed] += 2
    assert find_affine(outputs, factors, -128, 127) is None


def test_ties_on_both_sides_of_zero_have_none():
    # Halves are rounded away from zero, which no single rounding does.
    outputs = all_outputs(*_add((1.0, 1.0, 2.0), (0, 0, 0)))
    assert find_affine(outputs, (0.5, 0.5), -128, 127) is None
