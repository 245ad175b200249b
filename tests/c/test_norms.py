# SPDX-License-Identifier: Apache-2.0
"""L2_NORMALIZATION of every size that its sum of squares can have, up to the last bit of int32."""

import numpy as np
import pytest

from mcu_ser.aot.compile import compile_model
from mcu_ser.convert.oracle import Oracle
from tests.native_models import NativeModels
from tests.tflite_builder import TfliteBuilder

# Squares of 255 add up to 2^29 with 8257 of them; 33025 are the most that int32 holds.
DEPTHS = (1, 2, 3, 8256, 8257, 33025)


def norm(depth, zero_point):
    model = TfliteBuilder()
    x = model.tensor((1, depth), scale=0.1, zero_point=zero_point)
    y = model.tensor((1, depth), scale=1 / 128)
    model.operator("L2_NORMALIZATION", [x], [y])
    return model.build([x], [y])


@pytest.mark.parametrize("zero_point", [-128, 0, 127])
def test_sums_of_squares_of_every_size(zero_point, tmp_path):
    files = [norm(depth, zero_point) for depth in DEPTHS]
    rng = np.random.default_rng(0)
    samples = []
    for depth in DEPTHS:
        levels = [np.full(depth, value) for value in (-128, -1, 0, 1, 2, 127)]
        one = np.full(depth, zero_point)
        one[0] = zero_point - 1 if zero_point > 0 else zero_point + 1
        noise = [np.clip(rng.normal(zero_point, 2.0**i, depth), -128, 127) for i in range(-1, 7)]
        samples.append(np.array([*levels, np.full(depth, zero_point), one, *noise]).astype(np.int8))
    native = NativeModels([compile_model(file) for file in files], tmp_path)
    outputs = iter(native.run([(i, row) for i, rows in enumerate(samples) for row in rows]))
    for file, rows in zip(files, samples, strict=True):
        for expected in Oracle(file).run(rows):
            assert next(outputs).tolist() == expected.tolist()


def test_every_sum_of_two_squares(tmp_path):
    file = norm(2, 0)
    values = np.array([(a, b) for a in range(-128, 128) for b in range(-128, 128, 3)], np.int8)
    outputs = NativeModels([compile_model(file)], tmp_path).run([(0, row) for row in values])
    assert np.array(outputs).tolist() == Oracle(file).run(values).tolist()
