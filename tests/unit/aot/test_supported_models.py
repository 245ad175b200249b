# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from mcu_ser.aot.compile import compile_model
from mcu_ser.aot.supported import RULES
from mcu_ser.errors import ModelError
from tests.plain_layers import layer
from tests.tflite_builder import TfliteBuilder


def _refusal(file) -> str:
    with pytest.raises(ModelError) as caught:
        compile_model(file, "m.tflite")
    return str(caught.value)


def test_all_unsupported_layers_are_named_at_once():
    model = TfliteBuilder()
    x, a, b, y = (model.tensor((1, 4), scale=1.0, name=name) for name in ("x", "first", "b;fused", "last"))
    model.operator("LSTM", [x], [a])
    model.operator("RELU", [a], [b])
    model.operator("SOFTMAX", [b], [y], Beta=1.0)
    text = _refusal(model.build([x], [y]))
    assert text.splitlines() == [
        "m.tflite: has 2 layers that the engine does not support:",
        "  layer 0, LSTM (first): the engine has no such operator; it has " + ", ".join(sorted(RULES)),
        "  layer 2, SOFTMAX (last): the output must have scale 1/256 and zero point -128 "
        "(scale 1, zero point 0)",
    ]


def test_a_float_model_is_told_what_to_do():
    model = TfliteBuilder()
    x, y = model.tensor((1, 4), "FLOAT32", name="in"), model.tensor((1, 4), "FLOAT32")
    model.operator("RELU", [x], [y])
    assert _refusal(model.build([x], [y])) == (
        "m.tflite: is a float model (input in is FLOAT32); the engine runs int8 models; "
        "try: full-integer quantisation with int8 input and output when converting to .tflite"
    )


@pytest.mark.parametrize("kind", ["input", "output"])
def test_a_float_interface_of_an_int8_model_is_told_what_to_do(kind):
    model = TfliteBuilder()
    x = model.tensor((1, 4), "FLOAT32" if kind == "input" else "INT8", scale=1.0, name="t")
    y = model.tensor((1, 4), "INT8" if kind == "input" else "FLOAT32", scale=1.0, name="t")
    model.operator("QUANTIZE", [x], [y])
    assert _refusal(model.build([x], [y])) == (
        f"m.tflite: {kind} t is FLOAT32, not INT8 or INT16; "
        f"try: inference_{kind}_type int8 when converting to .tflite"
    )


def test_indices_of_64_bits_are_told_what_to_do():
    model = TfliteBuilder()
    x, y = model.tensor((1, 4), scale=1.0), model.tensor((1,), "INT64", name="class")
    model.operator("ARG_MAX", [x, model.tensor((1,), "INT32", data=[1])], [y], OutputType=4)
    assert _refusal(model.build([x], [y])) == (
        "m.tflite: output class is INT64, not INT32; try: an argmax whose output_type is int32"
    )


@pytest.mark.parametrize(
    ("inputs", "outputs", "problem"),
    [
        ((0, 1), (2,), "has 2 inputs, limit 1 input"),
        ((0,), (2, 2), "has 2 outputs, limit 1 output"),
        ((), (2,), "has 0 inputs, limit 1 input"),
    ],
)
def test_one_input_and_one_output(inputs, outputs, problem):
    model = TfliteBuilder()
    for _ in range(2):
        model.tensor((1, 4), scale=1.0, data=None if inputs else np.ones(4))
    y = model.tensor((1, 4), scale=1.0)
    model.operator("RELU", [0], [y])
    assert _refusal(model.build(inputs, outputs)) == f"m.tflite: {problem}"


def test_a_batch_is_refused():
    file = layer("RELU", x={"shape": (2, 4)}, y={"shape": (2, 4)})
    assert _refusal(file) == (
        "m.tflite: input in has batch size 2, limit 1; try: converting the model with batch size 1"
    )


@pytest.mark.parametrize("rank", [0, 7])
def test_the_interface_has_one_to_six_dimensions(rank):
    shape = {"shape": (1,) * rank}
    assert _refusal(layer("RESHAPE", x={"shape": (1,)}, y=shape)) == (
        f"m.tflite: output out has {rank} dimensions, limit 1 .. 6"
    )


def test_the_interface_is_quantised():
    file = layer("RESHAPE", y={"scale": None})
    assert _refusal(file) == "m.tflite: output out has no per-tensor quantisation"
    file = layer("RESHAPE", y={"scale": -1.0})
    assert _refusal(file) == "m.tflite: output out has scale -1 and zero point 0"


def test_an_output_that_is_constant_is_refused():
    model = TfliteBuilder()
    x = model.tensor((1, 4), scale=1.0)
    y = model.tensor((1, 4), scale=1.0, data=np.ones(4), name="fixed")
    assert _refusal(model.build([x], [y])) == "m.tflite: output fixed is a constant"
