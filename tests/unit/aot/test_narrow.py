# SPDX-License-Identifier: Apache-2.0
import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mcu_ser.aot import cost, narrow_choice
from mcu_ser.aot.compile import compile_model
from mcu_ser.aot.kernels.conv_2d import call_narrow
from mcu_ser.aot.kernels.conv_2d_narrow import MOST_STEPS, window_words
from mcu_ser.aot.kernels.kernel_call import Name, Struct
from mcu_ser.aot.optimization import Optimization
from mcu_ser.aot.tflite_reader import read_model
from mcu_ser.resources import firmware_templates_dir
from tests.random_narrow import NARROW
from tests.tflite_builder import TfliteBuilder

HEADER = firmware_templates_dir() / "runtime" / "kernels" / "conv_2d_narrow_dsp.h"
NARROW_KERNEL = "aot_conv_2d_narrow"
# Instead of strips.
COPIED_KERNEL = "aot_conv_2d_copied"


@given(height=st.integers(1, 11), run=st.integers(1, 30))
def test_every_input_of_a_window_is_in_one_word(height, run):
    words = list(window_words(height, run))
    counts = Counter(place for word in words for place in word if place is not None)
    assert counts == Counter(range(height * run))
    # At most the last word has room left, beside those of rows of two more than a multiple of four.
    assert len(words) == -(-height * run // 2)


def test_a_window_of_3x3_takes_five_words():
    # Of each row 0 and 2, and 1 with that of the next row.
    assert list(window_words(3, 3)) == [(0, 2), (3, 5), (1, 4), (6, 8), (7, None)]


def _model(
    image=(48, 20, 1),
    outputs=8,
    *,
    window=(3, 3),
    stride=1,
    dilation=1,
    weight=1,
    weight_scales=(1.0,),
    output_scale=64.0,
    zero_point=-128,
):
    model = TfliteBuilder()
    size = [-(-side // stride) for side in image[:2]]
    x = model.tensor((1, *image), scale=1.0)
    w = model.tensor(
        (outputs, *window, image[2]),
        scale=list(weight_scales),
        axis=0,
        data=np.full((outputs, *window, image[2]), weight),
    )
    y = model.tensor((1, *size, outputs), scale=output_scale, zero_point=zero_point)
    options = {"Padding": 0, "StrideH": stride, "StrideW": stride}
    options |= {"DilationHFactor": dilation, "DilationWFactor": dilation}
    relu = 1 if zero_point == -128 else 0
    model.operator("CONV_2D", [x, w], [y], FusedActivationFunction=relu, **options)
    return model.build([x], [y])


def _call(**options):
    graph = read_model(_model(**options))
    return call_narrow(graph, graph.operators[0], 1024)


def _member(call, name):
    value = dict(call.description.members)[name]
    assert not isinstance(value, Struct)
    return value.text if isinstance(value, Name) else value


def test_a_convolution_of_a_spectrogram_may_go_by_strips():
    call = _call()
    assert call.kernel == NARROW_KERNEL
    assert call.narrow_steps == _member(call, "words") == 5
    assert _member(call, "finish").startswith("AOT_FINISH_NARROW_SHIFTED")


def test_without_a_relu_sums_of_both_signs_are_rounded_apart():
    assert _member(_call(zero_point=3), "finish") == "AOT_FINISH_NARROW_SIGNED"


@pytest.mark.parametrize(
    "options",
    [
        {"dilation": 2},
        {"outputs": 6},
        {"image": (48, 20, 4)},
        {"window": (1, 1)},
        # A window of 33 words.
        {"window": (6, 11)},
    ],
)
def test_what_the_kernel_cannot_do_is_left_to_others(options):
    assert _call(**options) is None


def test_shifts_that_do_not_fit_the_weights_are_left_to_the_other_way():
    # Scales of two channels lie so far apart that no common right shift leaves 2 to 8 bits for both.
    finishes = [
        _member(_call(window=(7, 7), weight=127, weight_scales=(1.0, least) * 4), "finish")
        for least in (2.0**-6, 2.0**-9)
    ]
    assert finishes == ["AOT_FINISH_NARROW_SHIFTED(12)", "AOT_FINISH_NARROW_SIGNED"]


def test_a_strip_and_a_band_take_the_scratch_that_they_are_given():
    graph = read_model(_model(image=(40, 33, 1), window=(5, 5)))
    large, small, none = (call_narrow(graph, graph.operators[0], size) for size in (1024, 256, 1))
    # An odd number of windows in a row: bands of two rows have pairs only.
    assert [_member(call, "band") % 2 for call in (large, small, none)] == [0, 0, 0]
    assert [_member(call, "strip") for call in (large, small, none)] == [9, 2, 1]
    assert large.scratch_bytes > small.scratch_bytes > none.scratch_bytes


def test_a_build_for_speed_takes_it_where_it_is_faster():
    layer = compile_model(_model()).layers[0]
    assert layer.kernel == NARROW_KERNEL
    assert compile_model(_model(), optimization=Optimization.SIZE).layers[0].kernel != NARROW_KERNEL


def test_the_arena_hardly_grows_for_it():
    small = compile_model(_model(image=(8, 8, 1)))
    assert small.layers[0].kernel == COPIED_KERNEL
    assert compile_model(_model(image=(24, 20, 1))).layers[0].kernel == NARROW_KERNEL


def test_what_is_predicted_to_be_slower_is_not_taken(monkeypatch):
    monkeypatch.setattr(
        narrow_choice,
        "predicted_instructions",
        lambda call: 2 if call.kernel == NARROW_KERNEL else 1,
    )
    assert compile_model(_model()).layers[0].kernel == COPIED_KERNEL
    monkeypatch.setattr(narrow_choice, "predicted_instructions", lambda call: None)
    assert compile_model(_model()).layers[0].kernel == COPIED_KERNEL


def test_the_chain_is_as_long_as_the_layer_needs():
    source = compile_model(_model(window=(5, 5))).sources["aot_model.c"]
    assert re.findall(r"#define AOT_NARROW_STEPS (\d+)", source) == ["13"]
    assert source.index("AOT_NARROW_STEPS") < source.index("#include"), "before the header that reads it"
    assert re.findall(r"#define AOT_NARROW_STEPS (\d+)", HEADER.read_text()) == [str(MOST_STEPS)]


def test_its_assembly_is_priced_by_its_source():
    text = HEADER.read_text()
    step = re.search(r"#define AOT_NARROW_STEP  .*?\n\n", text, re.DOTALL)
    assert cost.ASSEMBLY[NARROW_KERNEL]["step"] == step[0].count("\\n\\t")


def test_the_random_layers_reach_both_ways_and_all_ends_of_rows():
    reached = set()

    @settings(
        max_examples=100,
        derandomize=True,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
        deadline=None,
    )
    @given(NARROW)
    def draw(layer):
        graph = read_model(layer.file)
        call = call_narrow(graph, graph.operators[0], 256)
        if call is not None:
            window = dict(dict(call.description.members)["window"].members)
            run = window["width"] * graph.tensors[graph.inputs[0]].shape[3]
            reached.add((_member(call, "finish").split("(")[0], run % 4))

    draw()
    ways = ("AOT_FINISH_NARROW_SHIFTED", "AOT_FINISH_NARROW_SIGNED")
    assert reached == {(way, rest) for way in ways for rest in range(4)}
