# SPDX-License-Identifier: Apache-2.0
"""Models whose C once was wrong, as a native program under sanitizers."""

import numpy as np
import pytest

from mcu_ser.aot.compile import compile_model
from mcu_ser.aot.optimization import Optimization
from mcu_ser.convert.oracle import Oracle
from tests.native_firmware import host_compilers
from tests.native_models import NativeModels
from tests.tflite_builder import TfliteBuilder

VALID = 1


def _same_bytes(file: bytes, directory, optimization=Optimization.SPEED):
    model = compile_model(file, optimization=optimization)
    draws = np.random.default_rng(2)
    samples = draws.integers(-128, 128, (5, *model.input.shape[1:]), dtype=np.int8)
    expected = Oracle(file).run(samples).ravel()
    for compiler in host_compilers():
        program = NativeModels([model], directory, compiler=compiler)
        answers = program.run([(0, sample) for sample in samples])
        assert np.array_equal(np.stack(answers).ravel(), expected), compiler
    return model


def _conv(model, shape, weights, x, **scales):
    w = model.tensor(weights.shape, scale=[0.01] * len(weights), axis=0, data=weights)
    product = (np.float32(0.05) * np.full(len(weights), 0.01, np.float32)).tolist()
    b = model.tensor((len(weights),), "INT32", scale=product, data=np.arange(len(weights)) * 300 - 900)
    y = model.tensor(shape, **scales)
    model.operator("CONV_2D", [x, w, b], [y], Padding=VALID, StrideH=1, StrideW=1)
    return y


@pytest.mark.parametrize("shape", [(1, 8), (8, 1), (4, 2)])
def test_channels_that_a_mean_moves_to_another_dimension_are_kept(shape, tmp_path):
    model, draws = TfliteBuilder(), np.random.default_rng(1)
    x = model.tensor((1, 4, 4, 2), scale=0.05)
    weights = draws.integers(-127, 128, (8, 1, 1, 2))
    weights[4:] = 0
    y = _conv(model, (1, 4, 4, 8), weights, x, scale=0.05)
    mean = model.tensor(shape, scale=0.05)
    model.operator("MEAN", [y, model.tensor((2,), "INT32", data=[1, 2])], [mean])
    ends = []
    for _ in range(3):
        w = model.tensor((4, 8), scale=0.01, data=draws.integers(-127, 128, (4, 8)))
        ends.append(model.tensor((1, 4), scale=0.05))
        model.operator("FULLY_CONNECTED", [mean, w], [ends[-1]])
    whole = model.tensor((1, 12), scale=0.05)
    model.operator("CONCATENATION", ends, [whole], Axis=1)
    _same_bytes(model.build([x], [whole]), tmp_path)


def test_a_build_for_size_has_room_for_the_window_of_a_sparse_layer(tmp_path):
    model, draws = TfliteBuilder(), np.random.default_rng(1)
    # The pool is there so that the arena has room for the windows' scratch.
    x = model.tensor((1, 8, 2000, 4), scale=0.05)
    pooled = model.tensor((1, 1, 2000, 4), scale=0.05)
    window = {"FilterHeight": 8, "FilterWidth": 1, "StrideH": 8, "StrideW": 1, "Padding": VALID}
    model.operator("MAX_POOL_2D", [x], [pooled], **window)
    weights = draws.integers(-20, 21, (16, 1, 200, 4))
    weights[draws.random((16, 1, 200)) < 0.8] = 0
    y = _conv(model, (1, 1, 1801, 16), weights, pooled, scale=0.5)
    built = _same_bytes(model.build([x], [y]), tmp_path, Optimization.SIZE)
    assert built.layers[1].kernel == "aot_conv_2d_sparse"


def test_twice_the_sum_of_a_channel_of_one_output_may_leave_int32(tmp_path):
    model = TfliteBuilder()
    x = model.tensor((1, 8), scale=0.05)
    w = model.tensor((4, 8), scale=1e-6, data=np.zeros((4, 8)))
    b = model.tensor((4,), "INT32", scale=float(np.float32(0.05) * np.float32(1e-6)), data=[1 << 30, 0, 1, 2])
    y = model.tensor((1, 4), scale=0.1)
    model.operator("FULLY_CONNECTED", [x, w, b], [y])
    built = _same_bytes(model.build([x], [y]), tmp_path, Optimization.SIZE)
    assert built.layers[0].kernel == "aot_compact"
