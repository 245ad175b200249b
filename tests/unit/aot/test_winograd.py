# SPDX-License-Identifier: Apache-2.0
import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mcu_ser.aot.compile import compile_model
from mcu_ser.aot.kernels.conv_2d import call_winograd
from mcu_ser.aot.kernels.conv_2d_winograd import transformed_weights
from mcu_ser.aot.tflite_reader import read_model
from tests.layer_shapes import winograd_shapes
from tests.random_winograd import WINOGRAD
from tests.tflite_builder import TfliteBuilder

# B' and A' of F(2x2, 3x3).
INPUTS = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
OUTPUTS = np.array([[1, 1, 1, 0], [0, 1, -1, -1]])
INT8 = st.one_of(st.sampled_from([-128, 127]), st.integers(-128, 127))


@given(st.lists(INT8, min_size=9, max_size=9), st.lists(INT8, min_size=16, max_size=16))
def test_four_times_the_sums_come_from_integers_that_fit(weights, inputs):
    g, d = np.reshape(weights, (1, 3, 3, 1)), np.reshape(inputs, (4, 4))
    u = transformed_weights(g).reshape(4, 4)
    v = INPUTS @ d @ INPUTS.T
    assert np.abs(u).max() <= 9 * 128
    assert np.abs(v).max() <= 4 * 128
    sums = [[int((d[y : y + 3, x : x + 3] * g[0, :, :, 0]).sum()) for x in (0, 1)] for y in (0, 1)]
    assert (OUTPUTS @ (u * v) @ OUTPUTS.T).tolist() == (4 * np.array(sums)).tolist()


def _conv(
    image=(8, 8, 8),
    outputs=4,
    *,
    window=(3, 3),
    stride=1,
    dilation=1,
    bias=0,
    output_scale=64.0,
    activation=1,
    padding=0,
):
    model = TfliteBuilder()
    size = [-(-side // stride) if padding == 0 else side - 2 for side in image[:2]]
    x = model.tensor((1, *image), scale=1.0)
    w = model.tensor((outputs, *window, image[2]), scale=1.0, data=np.ones((outputs, *window, image[2])))
    b = model.tensor((outputs,), "INT32", scale=1.0, data=[bias] * outputs)
    y = model.tensor((1, *size, outputs), scale=output_scale, zero_point=-128)
    options = {"Padding": padding, "StrideH": stride, "StrideW": stride}
    options |= {"DilationHFactor": dilation, "DilationWFactor": dilation}
    model.operator("CONV_2D", [x, w, b], [y], FusedActivationFunction=activation, **options)
    graph = read_model(model.build([x], [y]))
    return call_winograd(graph, graph.operators[0])


def test_a_window_of_3x3_and_stride_1_may_be_computed_by_winograd():
    assert _conv().kernel == "aot_conv_2d_winograd"
    assert _conv(padding=1).macs == 6 * 6 * 4 * 72


@pytest.mark.parametrize(
    "other",
    [
        {"window": (3, 2)},
        {"window": (5, 3)},
        {"stride": 2},
        {"dilation": 2},
        {"outputs": 3},
        {"image": (8, 8, 6)},
        {"image": (8, 8, 68)},
        {"image": (1, 8, 8)},
        {"image": (8, 3, 8)},
        {"output_scale": 0.5},
    ],
)
def test_what_does_not_suit_is_left_to_the_other_kernels(other):
    assert _conv(**other) is None


def test_four_times_the_sum_must_stay_in_int32():
    # 72 weights of 1, inputs of at most 127 from a zero point of 0, and at least -128.
    limit = (1 << 29) - 1 - 72 * 127
    scale = 2.0**22
    assert _conv(bias=limit, output_scale=scale) is not None
    assert _conv(bias=limit + 1, output_scale=scale) is None
    assert _conv(bias=-(1 << 29) + 72 * 128, output_scale=scale) is not None
    assert _conv(bias=-(1 << 29) + 72 * 128 - 1, output_scale=scale) is None


def test_flash_is_spent_only_as_far_as_it_reaches():
    file = winograd_shapes()[0]
    plain, fast = compile_model(file), compile_model(file, winograd_bytes=1 << 20)
    assert plain.layers[0].kernel == "aot_conv_2d_walk"
    assert fast.layers[0].kernel == "aot_conv_2d_winograd"
    more = fast.weight_bytes - plain.weight_bytes
    assert more > 0
    assert compile_model(file, winograd_bytes=more).layers[0].kernel == "aot_conv_2d_winograd"
    assert compile_model(file, winograd_bytes=more - 1).sources == plain.sources


def test_a_layer_that_would_not_become_faster_stays():
    model = TfliteBuilder()
    x = model.tensor((1, 2, 5, 4), scale=1.0)
    w = model.tensor((2, 3, 3, 4), scale=1.0, data=np.ones((2, 3, 3, 4)))
    y = model.tensor((1, 2, 5, 2), scale=64.0, zero_point=-128)
    model.operator("CONV_2D", [x, w], [y], FusedActivationFunction=1, Padding=0, StrideH=1, StrideW=1)
    file = model.build([x], [y])
    assert compile_model(file, winograd_bytes=1 << 20).sources == compile_model(file).sources


def _chain(sizes):
    """Convolutions of 16 to 16 channels, the first of which is on the largest image."""
    model = TfliteBuilder()
    inputs = previous = model.tensor((1, sizes[0], sizes[0], 16), scale=1.0)
    for layer, (before, size) in enumerate(itertools.pairwise(sizes), 1):
        stride = before // size
        w = model.tensor((16, 3, 3, 16), scale=1.0, data=np.ones((16, 3, 3, 16)))
        y = model.tensor((1, size, size, 16), scale=64.0**layer, zero_point=-128)
        options = {"Padding": 0, "StrideH": stride, "StrideW": stride}
        model.operator("CONV_2D", [previous, w], [y], FusedActivationFunction=1, **options)
        previous = y
    return model.build([inputs], [previous])


def _kernels(file, winograd_bytes):
    return [
        layer.kernel.removeprefix("aot_conv_2d_")
        for layer in compile_model(file, "m", winograd_bytes=winograd_bytes).layers
    ]


def test_the_layer_that_saves_most_per_byte_comes_first():
    file = _chain([32, 32, 16, 16])
    one = compile_model(file, winograd_bytes=6000)
    assert one.weight_bytes - compile_model(file).weight_bytes <= 6000
    assert _kernels(file, 6000) == ["winograd", "walk", "walk"]
    assert _kernels(file, 12000) == ["winograd", "walk", "winograd"]


def test_scratch_does_not_make_the_arena_much_larger():
    # A small image of many channels needs more scratch than all tensors together.
    model = TfliteBuilder()
    x = model.tensor((1, 8, 8, 64), scale=1.0)
    w = model.tensor((64, 3, 3, 64), scale=1.0, data=np.ones((64, 3, 3, 64)))
    y = model.tensor((1, 8, 8, 64), scale=2.0**10, zero_point=-128)
    model.operator("CONV_2D", [x, w], [y], FusedActivationFunction=1, Padding=0, StrideH=1, StrideW=1)
    file = model.build([x], [y])
    assert _kernels(file, 1 << 20) == ["walk"]


def test_random_convolutions_reach_both_ways_from_sums_to_int8():
    reached = set()

    @settings(
        max_examples=60,
        derandomize=True,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
        deadline=None,
    )
    @given(WINOGRAD)
    def draw(layer):
        graph = read_model(layer.file)
        call = call_winograd(graph, graph.operators[0])
        if call is not None:
            reached.add(dict(call.description.members)["end_shift"] > 0)

    draw()
    assert reached == {False, True}
