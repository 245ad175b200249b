# SPDX-License-Identifier: Apache-2.0
"""Every rule on the kind of fault that it is for, and on what it must not take for one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mcu_ser.aot.tflite_reader import read_model
from mcu_ser.verify.causes import CAUSES, Evidence, evidence_of, likely_cause
from tests.layered_model import DEPTHWISE, FIRST, MIDDLE, layered_model
from tests.tflite_builder import TfliteBuilder

SHAPE = (1, 6, 5, 8)
BORDER = np.ones(SHAPE[1:3], bool)
BORDER[1:-1, 1:-1] = False


def right(spread=60, seed=0):
    return np.random.default_rng(seed).integers(-spread, spread, SHAPE).astype(np.int16)


def cause(expected, device, **facts):
    device = np.clip(device, -128, 127)
    assert (expected != device).any()
    return likely_cause(Evidence(expected.astype(np.int16), device.astype(np.int16), **facts)).name


@pytest.mark.parametrize("offset", [-40, -2, -1, 1, 3, 25])
def test_a_shift_of_everything_is_a_zero_point(offset):
    assert cause(right(), right() + offset) == "zero point"


def test_a_shift_that_rounding_makes_uneven_is_a_zero_point():
    uneven = np.random.default_rng(1).integers(0, 2, SHAPE)
    assert cause(right(), right() + 5 + uneven) == "zero point"


def test_values_that_the_end_of_the_range_cut_off_do_not_hide_a_shift():
    assert cause(right(spread=128), right(spread=128) + 30) == "zero point"


def test_shifted_channels_are_biases():
    offset = np.array([0, 0, 7, 0, -12, 0, 0, 40])
    assert cause(right(), right() + offset) == "bias"


def test_too_few_values_show_no_shift():
    expected = np.arange(8, dtype=np.int16).reshape(1, 8) * 10 - 40
    device = expected.copy()
    device[0, 3] += 20
    assert cause(expected, device) == "channels"


def test_ones_here_and_there_are_rounding():
    rng = np.random.default_rng(2)
    assert cause(right(), right() + rng.integers(-1, 2, SHAPE)) == "rounding"
    assert cause(right(), right() + (rng.random(SHAPE) < 0.1)) == "rounding"


def test_wrong_borders_are_padding():
    device = right()
    rng = np.random.default_rng(3)
    device[:, BORDER] += rng.integers(-20, 20, device[:, BORDER].shape).astype(np.int16)
    assert cause(right(), device, border=BORDER) == "padding"
    device[0, 2, 2, 4] += 9
    assert cause(right(), device, border=BORDER) != "padding"


def test_a_layer_that_is_all_border_shows_nothing_of_its_padding():
    rng = np.random.default_rng(4)
    device = right() + rng.integers(-20, 20, SHAPE)
    assert cause(right(), device, border=np.ones(SHAPE[1:3], bool)) == "unknown"


@pytest.mark.parametrize("factor", [0.5, 0.75, 1.5, 2.0, -1.0])
def test_a_factor_is_a_multiplier(factor):
    scaled = np.round((right() - 7) * factor) + 7
    assert cause(right(), scaled, zero_point=7) == "multiplier"


def test_a_factor_of_one_channel_is_its_multiplier():
    device = right().astype(float)
    device[..., 3] = np.round(device[..., 3] * 1.6)
    assert cause(right(), device) == "multiplier"


def test_a_factor_behind_a_relu_is_a_multiplier():
    expected = np.maximum(right() * 2, -128 + 40) - 40
    device = np.round((expected + 128) * 0.5) - 128
    assert cause(expected, device, low=-128, zero_point=-128) == "multiplier"


def test_a_first_layer_that_is_wrong_nearly_everywhere_is_stale():
    other = right(seed=9)
    assert cause(right(), other, computes_first=True) == "stale"
    assert cause(right(), other) == "unknown"


def test_a_wrong_weight_spoils_one_channel_of_the_first_layer():
    device = right()
    device[..., 5] += np.random.default_rng(5).integers(-30, 30, SHAPE[:3]).astype(np.int16)
    assert cause(right(), device, computes_first=True) == "channels"


@pytest.mark.parametrize("end", [-128, 127])
def test_values_at_the_end_of_the_range_are_an_overflow(end):
    device = right()
    device[np.random.default_rng(6).random(SHAPE) < 0.3] = end
    assert cause(right(), device) == "overflow"


def test_values_that_wrapped_around_are_an_overflow():
    expected = right(spread=128)
    device = np.where(np.abs(expected) > 90, expected - np.sign(expected) * 200, expected)
    assert cause(expected, device) == "overflow"


def test_nothing_known_is_said_so():
    assert cause(right(), right() + np.random.default_rng(7).integers(-30, 30, SHAPE)) == "unknown"


def test_every_cause_has_a_name_of_its_own_and_the_last_takes_everything():
    assert len({cause.name for cause in CAUSES}) == len(CAUSES)
    assert CAUSES[-1].name == "unknown"


@given(
    arrays.arrays(
        np.int8, arrays.array_shapes(max_dims=4, max_side=5), elements=st.integers(-128, 127)
    ).flatmap(lambda a: st.tuples(st.just(a), arrays.arrays(np.int8, a.shape))),
    st.booleans(),
)
def test_there_is_a_cause_for_every_difference(tensors, computes_first):
    expected, device = (tensor.astype(np.int16) for tensor in tensors)
    if (expected == device).all():
        return
    border = np.ones(expected.shape[1:3], bool) if expected.ndim == 4 else None
    likely_cause(Evidence(expected, device, border=border, computes_first=computes_first))


def evidence(model, index):
    graph = read_model(model)
    operator = graph.operators[index]
    zeros = np.zeros(graph.results(operator)[0].shape, np.int8)
    return evidence_of(graph, operator, zeros, zeros)


def test_the_evidence_is_that_of_the_layer():
    first, depthwise, middle = (evidence(layered_model(), i) for i in (FIRST, DEPTHWISE, MIDDLE))
    assert [e.computes_first for e in (first, depthwise, middle)] == [True, False, False]
    # A window of 3 x 3 reaches one beyond the image, one of 1 x 1 does not.
    ring = np.ones((8, 8), bool)
    ring[1:-1, 1:-1] = False
    assert (first.border == ring).all()
    assert (depthwise.border == ring).all()
    assert not middle.border.any()
    assert (first.low, first.high, first.zero_point) == (-128, 127, -128)
    assert (middle.low, middle.high, middle.zero_point) == (-128, 127, -10)
    assert evidence(layered_model(), 5).border is None


def test_a_padded_image_has_its_padding_as_border_and_a_relu_its_least_value():
    model = TfliteBuilder()
    x = model.tensor((1, 2, 3, 1), scale=0.5, zero_point=4)
    rectified = model.tensor((1, 2, 3, 1), scale=0.5, zero_point=4)
    padded = model.tensor((1, 4, 5, 1), scale=0.5, zero_point=4)
    paddings = model.tensor((4, 2), "INT32", data=[[0, 0], [1, 1], [0, 2], [0, 0]])
    model.operator("RELU6", [x], [rectified])
    model.operator("PAD", [rectified, paddings], [padded])
    content = model.build([x], [padded])
    relu, pad = evidence(content, 0), evidence(content, 1)
    assert (relu.low, relu.high) == (4, 16)
    inside = np.zeros((4, 5), bool)
    inside[1:3, :3] = True
    assert (pad.border == ~inside).all()


def test_indices_have_limits_and_no_scale():
    model = TfliteBuilder()
    x, y = model.tensor((1, 3, 300), scale=0.1), model.tensor((1, 3), "INT32")
    model.operator("ARG_MAX", [x, model.tensor((), "INT32", data=[2])], [y])
    graph = read_model(model.build([x], [y]))
    expected, device = np.array([[299, 0, 0]], np.int32), np.array([[299, -(2**31), 0]], np.int32)
    found = evidence_of(graph, graph.operators[0], expected, device)
    assert (found.low, found.high, found.zero_point) == (-(2**31), 2**31 - 1, 0)
    assert found.difference.tolist() == [[0, -(2**31), 0]]
    assert likely_cause(found).name == "channels"


def test_what_is_only_moved_may_have_no_scale():
    model = TfliteBuilder()
    x, y = model.tensor((1, 4), scale=0.1), model.tensor((4,))
    model.operator("SQUEEZE", [x], [y])
    found = evidence(model.build([x], [y]), 0)
    assert (found.low, found.high, found.zero_point) == (-128, 127, 0)
