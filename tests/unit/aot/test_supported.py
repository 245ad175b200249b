# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable

import numpy as np
import pytest

from mcu_ser.aot.compile import compile_model
from mcu_ser.aot.supported import RULES, operator_table
from mcu_ser.errors import ModelError
from tests.tflite_builder import TfliteBuilder

# What a layer is built from unless a case says otherwise: shapes, types, quantisation, options.
STRIDES = {"StrideH": 1, "StrideW": 1}


def _layer(opcode, *, x=None, y=None, constants=(), options=None, inputs=None, outputs=None):
    """A model of one layer; `x` and `y` are changes to the tensors of input and output."""
    model = TfliteBuilder()
    input_ = model.tensor(**{"shape": (1, 4), "scale": 1.0, "name": "in", **(x or {})})
    extra = [model.tensor(**constant) for constant in constants]
    output = model.tensor(**{"shape": (1, 4), "scale": 1.0, "name": "out", **(y or {})})
    operands = [input_, *extra] if inputs is None else inputs
    model.operator(opcode, operands, [output] if outputs is None else outputs, **(options or {}))
    return model.build([input_], [output])


def _weights(shape, data=None, **changes):
    return {"shape": shape, "scale": 0.5, "data": np.ones(shape) if data is None else data, **changes}


def _bias(count, **changes):
    return {"shape": (count,), "dtype": "INT32", "scale": 0.5, "data": np.ones(count), **changes}


def _conv(opcode="CONV_2D", **changes):
    shape = (2, 1, 1, 2) if opcode == "CONV_2D" else (1, 1, 1, 2)
    options = STRIDES | ({} if opcode == "CONV_2D" else {"DepthMultiplier": 1})
    return _layer(
        opcode,
        x={"shape": (1, 3, 3, 2), **changes.get("x", {})},
        y={"shape": (1, 3, 3, 2), **changes.get("y", {})},
        constants=changes.get("constants", [_weights(shape), _bias(2)]),
        options=options | changes.get("options", {}),
        inputs=changes.get("inputs"),
    )


def _matrix(**changes):
    return _layer(
        "FULLY_CONNECTED",
        x=changes.get("x"),
        y={"shape": (1, 3), **changes.get("y", {})},
        constants=changes.get("constants", [_weights((3, 4)), _bias(3)]),
        options=changes.get("options"),
        inputs=changes.get("inputs"),
    )


def _pool(opcode="MAX_POOL_2D", **changes):
    options = STRIDES | {"FilterHeight": 1, "FilterWidth": 1} | changes.get("options", {})
    shape = {"shape": (1, 2, 2, 3)}
    return _layer(opcode, x=shape | changes.get("x", {}), y=shape | changes.get("y", {}), options=options)


def _add(**changes):
    second = {"shape": (1, 4), "scale": 1.0, "data": np.ones(4), **changes.get("second", {})}
    return _layer(
        "ADD",
        x=changes.get("x"),
        y=changes.get("y"),
        constants=[second],
        options=changes.get("options"),
        inputs=changes.get("inputs"),
    )


def _mean(axes=(1,), **changes):
    data = {"shape": (len(axes),), "dtype": "INT32", "data": axes, **changes.get("axes", {})}
    return _layer("MEAN", x=changes.get("x"), y={"shape": (1, 1), **changes.get("y", {})}, constants=[data])


def _pad(paddings=((0, 0), (1, 2)), opcode="PAD", value=None, **changes):
    counts = np.asarray(paddings)
    constants = [{"shape": counts.shape, "dtype": "INT32", "data": counts, **changes.get("counts", {})}]
    if value is not None:
        constants.append({"shape": (1,), "scale": 1.0, "data": [7], **value})
    return _layer(
        opcode,
        x=changes.get("x"),
        y={"shape": (1, 7), **changes.get("y", {})},
        constants=constants,
        inputs=changes.get("inputs"),
    )


def _softmax(**changes):
    fixed = {"scale": 1 / 256, "zero_point": -128}
    options = {"Beta": 1.0} | changes.get("options", {})
    return _layer("SOFTMAX", x=changes.get("x"), y=fixed | changes.get("y", {}), options=options)


VALID = {
    "ADD": _add(),
    "AVERAGE_POOL_2D": _pool("AVERAGE_POOL_2D"),
    "CONV_2D": _conv(),
    "DEPTHWISE_CONV_2D": _conv("DEPTHWISE_CONV_2D"),
    "FULLY_CONNECTED": _matrix(),
    "MAX_POOL_2D": _pool(),
    "MEAN": _mean(),
    "PAD": _pad(),
    "PADV2": _pad(opcode="PADV2", value={}),
    "RELU": _layer("RELU"),
    "RELU6": _layer("RELU6"),
    "RESHAPE": _layer("RESHAPE", y={"shape": (1, 2, 2)}),
    "SOFTMAX": _softmax(),
}

# One model per way to break a rule, and the whole reason that the user reads.
BROKEN = {
    "two inputs for one": (
        _layer("RELU", inputs=[0, 0]),
        "its operands must be those that TensorFlow Lite defines, with one output (2 inputs, 1 outputs)",
    ),
    "an absent input": (
        _layer("RELU", inputs=[-1]),
        "its operands must be those that TensorFlow Lite defines, with one output (a tensor is not given)",
    ),
    "an absent bias of a depthwise convolution": (
        _conv("DEPTHWISE_CONV_2D", inputs=[0, 1, -1]),
        "its operands must be those that TensorFlow Lite defines, with one output (a tensor is not given)",
    ),
    "an absent pad value": (
        _pad(inputs=[0, 1, -1]),
        "its operands must be those that TensorFlow Lite defines, with one output (a tensor is not given)",
    ),
    "16-bit data": (
        _add(second={"dtype": "INT16", "name": "wide"}),
        "input and output must be INT8 (wide is INT16)",
    ),
    "a constant input": (
        _add(inputs=[1, 1]),
        "at least one input must be computed from the model's input (it is constant)",
    ),
    "16-bit weights": (
        _matrix(constants=[_weights((3, 4), dtype="INT16", name="w")]),
        "weights must be INT8; biases, axes and paddings INT32 (w is INT16)",
    ),
    "a 64-bit bias": (
        _conv(constants=[_weights((2, 1, 1, 2)), _bias(2, dtype="INT64", name="b")]),
        "weights must be INT8; biases, axes and paddings INT32 (b is INT64)",
    ),
    "computed weights": (
        _layer("FULLY_CONNECTED", y={"shape": (1, 1)}, inputs=[0, 0]),
        "weights, biases, axes, paddings and pad values must be constants (in is computed)",
    ),
    "data without quantisation": (
        _layer("RELU", y={"scale": None}),
        "input and output must each have one scale above 0 and one zero point of -128 .. 127 (out has none)",
    ),
    "data with a scale of 0": (
        _layer("RELU", y={"scale": 0.0}),
        "input and output must each have one scale above 0 and one zero point of -128 .. 127 "
        "(out has scale 0, zero point 0)",
    ),
    "data with a scale that is no number": (
        _layer("RELU", y={"scale": float("nan")}),
        "input and output must each have one scale above 0 and one zero point of -128 .. 127 "
        "(out has scale nan, zero point 0)",
    ),
    "data with a zero point outside of int8": (
        _layer("RELU", y={"zero_point": 128}),
        "input and output must each have one scale above 0 and one zero point of -128 .. 127 "
        "(out has scale 1, zero point 128)",
    ),
    "data with several scales": (
        _layer("RELU", y={"scale": [1.0, 2.0]}),
        "input and output must each have one scale above 0 and one zero point of -128 .. 127 "
        "(out has 2 scales)",
    ),
    "weights without quantisation": (
        _matrix(constants=[_weights((3, 4), scale=None)]),
        "weights must be quantised with zero point 0 and one scale, or one scale per output channel "
        "(no quantisation)",
    ),
    "asymmetric weights": (
        _matrix(constants=[_weights((3, 4), zero_point=1)]),
        "weights must be quantised with zero point 0 and one scale, or one scale per output channel "
        "(a zero point is not 0)",
    ),
    "weights with a negative scale": (
        _matrix(constants=[_weights((3, 4), scale=-1.0)]),
        "weights must be quantised with zero point 0 and one scale, or one scale per output channel "
        "(a scale is negative or not finite)",
    ),
    "weights scaled along another dimension": (
        _matrix(constants=[_weights((3, 4), scale=[1.0] * 4, axis=1)]),
        "weights must be quantised with zero point 0 and one scale, or one scale per output channel "
        "(4 scales along dimension 1 of 3x4)",
    ),
    "weights of too few dimensions": (
        _conv("DEPTHWISE_CONV_2D", constants=[_weights((2,))]),
        "weights must be quantised with zero point 0 and one scale, or one scale per output channel "
        "(weights have shape 2)",
    ),
    "a batch of two images": (
        _pool(x={"shape": (2, 1, 1, 3)}),
        "input and output must be 1 x height x width x channels (in is 2x1x1x3)",
    ),
    "a stride of 0": (
        _conv(options={"StrideH": 0}),
        "window, strides and dilations must be at least 1 (they are (1, 1, 0, 1, 1, 1))",
    ),
    "a pool of 0": (
        _pool(options={"FilterWidth": 0}),
        "window, strides and dilations must be at least 1 (they are (1, 0, 1, 1, 1, 1))",
    ),
    "an output of another height": (
        _conv(y={"shape": (1, 2, 3, 2)}),
        "height and width of the output must be those that padding and stride give "
        "(they are (2, 3) and should be (3, 3))",
    ),
    "a window larger than the image": (
        _pool(options={"Padding": 1, "FilterHeight": 5}),
        "height and width of the output must be those that padding and stride give "
        "(they are (2, 2) and should be (-2, 2))",
    ),
    "a pool that changes channels": (
        _pool(y={"shape": (1, 2, 2, 4)}),
        "input and output must have the same number of channels (3 and 4)",
    ),
    "a pool that changes the scale": (
        _pool(y={"scale": 0.5}),
        "input and output must have the same scale and zero point (scales 1 and 0.5)",
    ),
    "a pool that changes the zero point": (
        _pool("AVERAGE_POOL_2D", y={"zero_point": 1}),
        "input and output must have the same scale and zero point (zero points 0 and 1)",
    ),
    "a grouped convolution": (
        _conv(constants=[_weights((2, 1, 1, 1))]),
        "weights must be output channels x height x width x input channels (no groups) "
        "(weights (2, 1, 1, 1) between 1x3x3x2 and 1x3x3x2)",
    ),
    "a wrong depth multiplier": (
        _conv("DEPTHWISE_CONV_2D", options={"DepthMultiplier": 2}),
        "weights must be 1 x height x width x (input channels * depth multiplier) "
        "(weights (1, 1, 1, 2), 1x3x3x2 to 1x3x3x2)",
    ),
    "a matrix for another input": (
        _matrix(constants=[_weights((3, 3))]),
        "weights must be output depth x input depth, and divide input and output into equally many rows "
        "(weights (3, 3) on 1x4)",
    ),
    "a matrix for another output": (
        _matrix(constants=[_weights((3, 2))]),
        "weights must be output depth x input depth, and divide input and output into equally many rows "
        "(weights (3, 2), 1x4 to 1x3)",
    ),
    "shuffled weights": (
        _matrix(options={"WeightsFormat": 1}),
        "weights must be output depth x input depth, and divide input and output into equally many rows "
        "(weights format 1)",
    ),
    "too few biases": (
        _conv(constants=[_weights((2, 1, 1, 2)), _bias(1)]),
        "there must be one bias per output channel, or none (1 biases for 2 channels)",
    ),
    "a bias of another scale": (
        _matrix(constants=[_weights((3, 4)), _bias(3, scale=0.6)]),
        "the bias scale must be input scale * weight scale, to 2 % of the output scale (0.6 instead of 0.5)",
    ),
    "a bias without scale": (
        _matrix(constants=[_weights((3, 4)), _bias(3, scale=None)]),
        "the bias scale must be input scale * weight scale, to 2 % of the output scale (0 instead of 0.5)",
    ),
    "a fused tanh": (
        _add(options={"FusedActivationFunction": 4}),
        "the fused activation must be none, RELU, RELU6 or RELU_N1_TO_1, with bounds in int32 (TANH)",
    ),
    "a bound that no integer holds": (
        _pool(x={"scale": 1e-9}, y={"scale": 1e-9}, options={"FusedActivationFunction": 3}),
        "the fused activation must be none, RELU, RELU6 or RELU_N1_TO_1, with bounds in int32 (scale 1e-09)",
    ),
    "a bound that no float holds": (
        _add(
            y={"scale": 2.0**-126},
            x={"scale": 2.0**-126},
            second={"scale": 2.0**-126},
            options={"FusedActivationFunction": 2},
        ),
        "the fused activation must be none, RELU, RELU6 or RELU_N1_TO_1, with bounds in int32 "
        "(scale 1.17549e-38)",
    ),
    "a bias that overflows": (
        _conv(constants=[_weights((2, 1, 1, 2)), _bias(2, data=[0, 2**31 - 200])]),
        "no int8 input may overflow an int32 accumulator or its rescaling "
        "(channel 1 reaches 2147483192 .. 2147483702 with shift 0)",
    ),
    "a rescaling that overflows": (
        _matrix(y={"scale": 2.0**-25}, constants=[_weights((3, 4))]),
        "no int8 input may overflow an int32 accumulator or its rescaling "
        "(channel 0 reaches -512 .. 508 with shift 25)",
    ),
    "an addition that does not broadcast": (
        _add(second={"shape": (3,), "data": np.ones(3)}),
        "the inputs must have the output's shape, or dimensions of 1 where they are broadcast "
        "((1, 4) + (3,) to (1, 4))",
    ),
    "an addition of too many dimensions": (
        _add(second={"shape": (1, 1, 4)}),
        "the inputs must have the output's shape, or dimensions of 1 where they are broadcast "
        "((1, 4) + (1, 1, 4) to (1, 4))",
    ),
    "an addition of too many loops": (
        _add(
            x={"shape": (1, 2, 2, 2, 2, 2)},
            second={"shape": (2, 1, 2, 1, 2), "data": np.ones(8)},
            y={"shape": (1, 2, 2, 2, 2, 2)},
        ),
        "broadcasting must not need more than 4 nested loops (it needs 5)",
    ),
    "an addition that scales up": (
        _add(y={"scale": 2.0**-20}),
        "the output scale must be above 2^-19 of the larger input scale (output scale 9.53674e-07)",
    ),
    "an axis beyond the input": (
        _mean(axes=(2,)),
        "the axes must be dimensions of the input (axis 2 of 2 dimensions)",
    ),
    "a mean of too many runs": (
        _mean(axes=(1, 3, 5), x={"shape": (1, 2, 2, 2, 2, 2)}, y={"shape": (1, 4)}),
        "kept and reduced dimensions must alternate at most 5 times, and the output must hold the kept ones "
        "(6 times)",
    ),
    "a mean for another output": (
        _mean(y={"shape": (1, 2)}),
        "kept and reduced dimensions must alternate at most 5 times, and the output must hold the kept ones "
        "(output 1x2 for 1 elements)",
    ),
    "a mean whose sum overflows": (
        _mean(x={"shape": (1, 1 << 24)}),
        "no int8 input may overflow the int32 sum or its rescaling (16777216 elements)",
    ),
    "a mean whose rescaling overflows": (
        _mean(y={"scale": 2.0**-26}),
        "no int8 input may overflow the int32 sum or its rescaling (shift 25)",
    ),
    "paddings for another rank": (
        _pad(paddings=((1, 2),)),
        "paddings must be two counts of at least 0 per dimension and give the output's shape "
        "(2 counts for 1x4)",
    ),
    "a negative padding": (
        _pad(paddings=((0, 0), (4, -1))),
        "paddings must be two counts of at least 0 per dimension and give the output's shape "
        "(a count is negative)",
    ),
    "paddings for another output": (
        _pad(paddings=((0, 0), (1, 1))),
        "paddings must be two counts of at least 0 per dimension and give the output's shape "
        "(they give (1, 6), the output is (1, 7))",
    ),
    "a padding of six dimensions": (
        _pad(
            paddings=((0, 0),) * 5 + ((1, 2),),
            x={"shape": (1, 1, 1, 1, 1, 4)},
            y={"shape": (1, 1, 1, 1, 1, 7)},
        ),
        "at most 4 of at most 5 dimensions may be padded (6 dimensions, 1 loops)",
    ),
    "a pad value of another scale": (
        _pad(opcode="PADV2", value={"scale": 0.5}),
        "the pad value must be one element, quantised like the output (scale 0.5 and 1)",
    ),
    "two pad values": (
        _pad(opcode="PADV2", value={"shape": (2,), "data": [1, 2]}),
        "the pad value must be one element, quantised like the output (2)",
    ),
    "a reshape that loses elements": (
        _layer("RESHAPE", y={"shape": (1, 3)}),
        "input and output must have equally many elements (1x4 to 1x3)",
    ),
    "a relu that scales up beyond int32": (
        _layer("RELU", y={"scale": 2.0**-30}),
        "no int8 input may overflow the rescaling (input scale 1, output scale 9.31323e-10)",
    ),
    "a relu6 whose 6 no integer holds": (
        _layer("RELU6", x={"scale": 1e-9}),
        "6 divided by the input scale must be in int32 (scale 1e-09)",
    ),
    "a relu of another shape": (
        _layer("RELU", y={"shape": (1, 2, 2)}),
        "input and output must have the same shape (1x4 to 1x2x2)",
    ),
    "a softmax of another output": (
        _softmax(y={"zero_point": 0}),
        "the output must have scale 1/256 and zero point -128 (scale 0.00390625, zero point 0)",
    ),
    "a softmax of a tiny scale": (
        _softmax(x={"scale": 2.0**-27}),
        "beta * input scale must be above 2^-26 (it is 0.5 * 2^-26)",
    ),
    "a softmax of many classes": (
        _softmax(x={"shape": (1, 512)}, y={"shape": (1, 512)}),
        "the last dimension must be at most 511 (it is 512)",
    ),
}


def _refusal(file) -> str:
    with pytest.raises(ModelError) as caught:
        compile_model(file, "m.tflite")
    return str(caught.value)


@pytest.mark.parametrize("opcode", sorted(RULES))
def test_a_plain_layer_is_supported(opcode):
    assert compile_model(VALID[opcode]).layers[-1].operator == opcode


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_a_broken_rule_is_the_error(name):
    file, reason = BROKEN[name]
    text = _refusal(file)
    assert text.startswith("m.tflite: has 1 layer that the engine does not support:\n  layer 0, ")
    assert text.endswith(f" (out): {reason}")


def test_every_rule_is_broken_by_a_case():
    reasons = [reason for _, reason in BROKEN.values()]
    rules: dict[str, Callable] = {rule.__name__: rule for chain in RULES.values() for rule in chain}
    for name, rule in rules.items():
        text = rule.__doc__.strip().rstrip(".")
        assert any(reason.startswith(text[0].lower() + text[1:]) for reason in reasons), name


def test_all_unsupported_layers_are_named_at_once():
    model = TfliteBuilder()
    x, a, b, y = (model.tensor((1, 4), scale=1.0, name=name) for name in ("x", "first", "b;fused", "last"))
    model.operator("TANH", [x], [a])
    model.operator("RELU", [a], [b])
    model.operator("SOFTMAX", [b], [y], Beta=1.0)
    text = _refusal(model.build([x], [y]))
    assert text.splitlines() == [
        "m.tflite: has 2 layers that the engine does not support:",
        "  layer 0, TANH (first): the engine has no such operator; it has " + ", ".join(sorted(RULES)),
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
        f"m.tflite: {kind} t is FLOAT32, not INT8; try: inference_{kind}_type int8 when converting to .tflite"
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
    file = _layer("RELU", x={"shape": (2, 4)}, y={"shape": (2, 4)})
    assert _refusal(file) == (
        "m.tflite: input in has batch size 2, limit 1; try: converting the model with batch size 1"
    )


@pytest.mark.parametrize("rank", [0, 7])
def test_the_interface_has_one_to_six_dimensions(rank):
    shape = {"shape": (1,) * rank}
    assert _refusal(_layer("RESHAPE", x={"shape": (1,)}, y=shape)) == (
        f"m.tflite: output out has {rank} dimensions, limit 1 .. 6"
    )


def test_the_interface_is_quantised():
    file = _layer("RESHAPE", y={"scale": None})
    assert _refusal(file) == "m.tflite: output out has no per-tensor quantisation"
    file = _layer("RESHAPE", y={"scale": -1.0})
    assert _refusal(file) == "m.tflite: output out has scale -1 and zero point 0"


def test_an_output_that_is_constant_is_refused():
    model = TfliteBuilder()
    x = model.tensor((1, 4), scale=1.0)
    y = model.tensor((1, 4), scale=1.0, data=np.ones(4), name="fixed")
    assert _refusal(model.build([x], [y])) == "m.tflite: output fixed is a constant"


def test_the_operator_table_has_every_operator_and_rule():
    table = operator_table()
    assert [line.split(" | ")[0] for line in table.splitlines()[2:]] == [
        *(f"| {opcode}" for opcode in sorted(RULES)),
        "| all",
    ]
    for chain in RULES.values():
        for rule in chain:
            text = rule.__doc__.strip().rstrip(".")
            assert text[0].lower() + text[1:] in table
