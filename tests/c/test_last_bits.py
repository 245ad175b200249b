# SPDX-License-Identifier: Apache-2.0
"""Inputs found by search at which a slightly different arithmetic would give another byte."""

import numpy as np
import pytest
from tflite_micro import runtime

from mcu_ser.aot.compile import compile_model
from tests.native_models import NativeModels
from tests.plain_lstm import lstm
from tests.tflite_builder import TfliteBuilder


def _relu(input_scale, output_scale, difference):
    model = TfliteBuilder()
    x = model.tensor((1, 1), scale=input_scale, zero_point=-128)
    y = model.tensor((1, 1), scale=output_scale, zero_point=-128)
    model.operator("RELU", [x], [y])
    return model.build([x], [y]), np.full((1, 1), difference - 128)


def _relu6_bound():
    # 6 / 2.4000000953674316 is 2.5 in binary32 and less in binary64.
    model = TfliteBuilder()
    x = model.tensor((1, 1), scale=1.0)
    w = model.tensor((1, 1), scale=1.0, data=[[127]])
    y = model.tensor((1, 1), scale=2.4000000953674316)
    model.operator("FULLY_CONNECTED", [x, w], [y], FusedActivationFunction=3)
    return model.build([x], [y]), np.full((1, 1), 127)


def _mean(input_scale, output_scale, total):
    model = TfliteBuilder()
    x = model.tensor((1, 7, 7, 1), scale=input_scale, zero_point=-128)
    axes = model.tensor((2,), "INT32", data=[1, 2])
    y = model.tensor((1, 1), scale=output_scale, zero_point=-128)
    model.operator("MEAN", [x, axes], [y])
    values = np.full(49, total // 49)
    values[: total % 49] += 1
    return model.build([x], [y]), values.reshape(1, 7, 7, 1) - 128


def _fully_connected(input_scale, weight_scale, output_scale, accumulator):
    model = TfliteBuilder()
    x = model.tensor((1, 1), scale=input_scale)
    w = model.tensor((1, 1), scale=weight_scale, data=[[0]])
    bias_scale = float(np.float32(input_scale) * np.float32(weight_scale))
    b = model.tensor((1,), "INT32", scale=bias_scale, data=[accumulator])
    y = model.tensor((1, 1), scale=output_scale)
    model.operator("FULLY_CONNECTED", [x, w, b], [y])
    return model.build([x], [y]), np.zeros((1, 1))


def _convolution(input_scale, weight_scale, output_scale, accumulator):
    model = TfliteBuilder()
    x = model.tensor((1, 1, 1, 1), scale=input_scale)
    w = model.tensor((1, 1, 1, 1), scale=weight_scale, data=[0])
    b = model.tensor((1,), "INT32", scale=input_scale * weight_scale, data=[accumulator])
    y = model.tensor((1, 1, 1, 1), scale=output_scale)
    model.operator("CONV_2D", [x, w, b], [y], StrideH=1, StrideW=1, DilationHFactor=1, DilationWFactor=1)
    return model.build([x], [y]), np.zeros((1, 1, 1, 1))


def _batch_matmul(input_scale, weight_scale, output_scale):
    # 403,678 as a sum of products.
    first, second = [127] * 26 + [72], [127] * 25 + [3, 1]
    model = TfliteBuilder()
    x = model.tensor((1, 27), scale=input_scale)
    w = model.tensor((27, 1), scale=weight_scale, data=second)
    y = model.tensor((1, 1), scale=output_scale)
    model.operator("BATCH_MATMUL", [x, w], [y])
    return model.build([x], [y]), np.reshape(first, (1, 27))


def _lstm(input_scale, weight_scale, recurrent_scale, bias):
    """Two steps of one cell, whose cell gate adds the bias and, at the second, nearly as much below zero.

    The first output is the greatest; the gate's argument is 40 steps of Q3.12 at the second, and so is the
    output. Sums of the other gates are so large that the cell keeps nothing and takes everything.
    """
    one = {"shape": (1, 1), "data": [[0]]}
    changes = {place: {**one, "scale": weight_scale} for place in range(1, 5)}
    changes |= {place: {**one, "scale": recurrent_scale} for place in range(5, 9)}
    changes[7] = {"shape": (1, 1), "scale": recurrent_scale, "data": [[-127]]}
    biases = zip(range(12, 16), (1 << 24, -(1 << 24), bias, 0), strict=True)
    changes |= {place: {"shape": (1,), "data": [value]} for place, value in biases}
    changes[0] = {"shape": (1, 2, 1), "scale": input_scale, "zero_point": 0}
    fine = {"scale": 2.0**-13, "zero_point": 0}
    changes |= {18: {"shape": (1, 1), **fine}, 19: {"shape": (1, 1), "scale": 2.0**-15}}
    return lstm(changes, y={"shape": (1, 2, 1), **fine}), np.zeros((1, 2, 1))


def _average(values):
    model = TfliteBuilder()
    x = model.tensor((1, 1, len(values), 1), scale=1.0)
    y = model.tensor((1, 1, 1, 1), scale=1.0)
    model.operator(
        "AVERAGE_POOL_2D", [x], [y], Padding=1, StrideH=1, StrideW=1, FilterHeight=1, FilterWidth=len(values)
    )
    return model.build([x], [y]), np.reshape(values, (1, 1, -1, 1))


def _rescale_tie(accumulator):
    # The multiplier is exactly 1/2.
    model = TfliteBuilder()
    x = model.tensor((1, 1), scale=1.0)
    w = model.tensor((1, 1), scale=1.0, data=[[1]])
    y = model.tensor((1, 1), scale=2.0)
    model.operator("FULLY_CONNECTED", [x, w], [y])
    return model.build([x], [y]), np.full((1, 1), accumulator)


# What the other arithmetic would give is in the comment.
CASES = {
    "relu divides its scales in binary64": (_relu(0.6435664892196655, 0.8564192056655884, 171), 1),  # 0
    "an activation bound is divided in binary32": (_relu6_bound(), 3),  # 2
    "mean truncates its multiplier": (_mean(0.7733826041221619, 0.9654335975646973, 9633), 29),  # 30
    "fully connected multiplies its scales in binary64": (
        _fully_connected(0.03921948000788689, 0.02844259887933731, 13.855545997619629, 403678),
        32,  # 33
    ),
    "a matrix product multiplies its scales in binary64": (
        _batch_matmul(0.03921948000788689, 0.02844259887933731, 13.855545997619629),
        32,  # 33
    ),
    "a convolution multiplies its scales in binary64": (
        _convolution(0.03921948000788689, 0.02844259887933731, 13.855545997619629, 403678),
        32,  # 33
    ),
    "an LSTM multiplies its scales in binary64": (
        _lstm(0.06732655316591263, 0.003428080352023244, 3.6219232082366943, 30939),
        40,  # 41
    ),
    "an LSTM multiplies its scales in binary64, the other way": (
        _lstm(0.013687617145478725, 0.0011487486772239208, 3.5937752723693848, 450631),
        42,  # 41
    ),
    "average rounds ties away from zero": (_average([-1, 0]), -1),  # 0
    "average rounds positive ties away from zero": (_average([1, 0]), 1),  # 0
    # SRDHM(-3, 2^30) rounds -1.5 to -1, then nothing is left to shift.
    "the doubling product rounds ties upwards": (_rescale_tie(-3), -1),  # -2
    "the doubling product rounds positive ties upwards": (_rescale_tie(3), 2),  # 1
}


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    models = [compile_model(file, name) for name, ((file, _), _) in CASES.items()]
    program = NativeModels(models, tmp_path_factory.mktemp("last_bits"))
    samples = [sample.astype(np.int8) for (_, sample), _ in CASES.values()]
    results = program.run(list(enumerate(samples)))
    return {name: int(result[-1]) for name, result in zip(CASES, results, strict=True)}


@pytest.mark.parametrize("name", CASES)
def test_the_byte_is_that_of_the_oracle(name, outputs):
    (file, sample), expected = CASES[name]
    oracle = runtime.Interpreter.from_bytes(file, arena_size=1 << 16)
    oracle.set_input(sample.astype(np.int8), 0)
    oracle.invoke()
    assert int(oracle.get_output(0).ravel()[-1]) == expected
    assert outputs[name] == expected


def _every_pair(opcode, first_scale, second_scale, output_scale, zero_points):
    """ADD or another operator of every int8 and every int8."""
    model = TfliteBuilder()
    x = model.tensor((1, 256, 1), scale=first_scale, zero_point=zero_points[0])
    everything = np.arange(-128, 128)
    other = model.tensor((256,), scale=second_scale, zero_point=zero_points[1], data=everything)
    y = model.tensor((1, 256, 256), scale=output_scale, zero_point=zero_points[2])
    model.operator(opcode, [x, other], [y])
    return model.build([x], [y])


def _every_value(opcode, input_scale, output_scale, zero_points):
    """RELU or RELU6 of every int8."""
    model = TfliteBuilder()
    x = model.tensor((1, 256), scale=input_scale, zero_point=zero_points[0])
    y = model.tensor((1, 256), scale=output_scale, zero_point=zero_points[1])
    model.operator(opcode, [x], [y])
    return model.build([x], [y])


def _every_difference(input_scale, beta):
    """SOFTMAX of 127 against every int8, three at a time."""
    model = TfliteBuilder()
    x = model.tensor((1, 256, 3), scale=input_scale)
    y = model.tensor((1, 256, 3), scale=1 / 256, zero_point=-128)
    model.operator("SOFTMAX", [x], [y], Beta=beta)
    return model.build([x], [y])


def _exhaustive():
    rng = np.random.default_rng(6)
    line = np.arange(-128, 128, dtype=np.int8)
    for _ in range(12):
        scales = rng.uniform(0.001, 1, 3).tolist()
        zero_points = rng.integers(-128, 128, 3).tolist()
        for opcode in ("ADD", "SUB", "MUL", "PRELU"):
            yield _every_pair(opcode, *scales, zero_points), line
        yield _every_value("RELU", *scales[:2], zero_points[:2]), line
        yield _every_value("RELU6", *scales[:2], zero_points[:2]), line
        others = rng.integers(-128, 128, 256)
        trios = np.stack([np.full(256, 127), line, others], axis=1).astype(np.int8)
        yield _every_difference(scales[0], scales[1] * 2), trios


def test_every_input_of_small_layers_gives_the_bytes_of_the_oracle(tmp_path):
    cases = list(_exhaustive())
    models = [compile_model(file) for file, _ in cases]
    results = NativeModels(models, tmp_path).run([(i, sample) for i, (_, sample) in enumerate(cases)])
    for model, (file, sample), result in zip(models, cases, results, strict=True):
        oracle = runtime.Interpreter.from_bytes(file, arena_size=1 << 20)
        oracle.set_input(sample.reshape(model.input.shape), 0)
        oracle.invoke()
        assert result.tolist() == oracle.get_output(0).ravel().tolist(), model.sources["aot_model.c"]
