# SPDX-License-Identifier: Apache-2.0
import re

import numpy as np
import pytest

from mcu_ser.aot.compile import compile_model
from mcu_ser.aot.kernels.matmul import MOST_PAIR_STEPS
from mcu_ser.resources import firmware_templates_dir
from tests.tflite_builder import TfliteBuilder

HEADER = firmware_templates_dir() / "runtime" / "kernels" / "matmul_dsp.h"


def _pointwise(*depths):
    """1x1 convolutions after each other, from so many channels each."""
    model = TfliteBuilder()
    inputs = previous = model.tensor((1, 8, 8, depths[0]), scale=1.0)
    for layer, (depth, outputs) in enumerate(zip(depths, (*depths[1:], 4), strict=True), 1):
        w = model.tensor((outputs, 1, 1, depth), scale=1.0, data=np.ones((outputs, 1, 1, depth)))
        y = model.tensor((1, 8, 8, outputs), scale=256.0**layer, zero_point=-128)
        options = {"Padding": 1, "StrideH": 1, "StrideW": 1}
        model.operator("CONV_2D", [previous, w], [y], FusedActivationFunction=1, **options)
        previous = y
    return compile_model(model.build([inputs], [previous]))


def _defined(model):
    return [int(n) for n in re.findall(r"#define AOT_PAIR_STEPS (\d+)", model.sources["aot_model.c"])]


@pytest.mark.parametrize(
    ("depths", "steps"),
    [((8,), 4), ((32, 8), 16), ((8, 20, 12), 10), ((64, 160), 32), ((66,), 24), ((160, 8), 24)],
)
def test_the_chain_is_as_long_as_the_deepest_layer_needs(depths, steps):
    model = _pointwise(*depths)
    assert {layer.kernel for layer in model.layers} == {"aot_rows_matmul"}
    assert _defined(model) == [steps]
    source = model.sources["aot_model.c"]
    assert source.index("AOT_PAIR_STEPS") < source.index("#include"), "before the header that reads it"


def test_a_model_without_a_chain_defines_none():
    model = TfliteBuilder()
    x = model.tensor((1, 16), scale=1.0)
    y = model.tensor((1, 16), scale=1.0)
    model.operator("RELU", [x], [y])
    assert _defined(compile_model(model.build([x], [y]))) == []


def test_the_greatest_length_is_that_of_the_header():
    assert re.findall(r"#define AOT_PAIR_STEPS (\d+)", HEADER.read_text()) == [str(MOST_PAIR_STEPS)]
