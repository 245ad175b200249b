# SPDX-License-Identifier: Apache-2.0
"""What is chosen where code, flash and the arena count: kernels for size, zeros left out, little scratch."""

import numpy as np
import pytest

from mcu_ser.aot import sparse_storage
from mcu_ser.aot.compile import compile_model
from mcu_ser.aot.optimization import Optimization
from tests.tflite_builder import TfliteBuilder

SIZE = Optimization.SIZE


def dense_model(weights, scale=1 / 64):
    """A FULLY_CONNECTED of one row; `weights` is (outputs, inputs)."""
    outputs, inputs = weights.shape
    builder = TfliteBuilder()
    x = builder.tensor((1, inputs), scale=0.5, zero_point=3)
    w = builder.tensor(weights.shape, scale=scale, zero_point=0, data=weights)
    b = builder.tensor((outputs,), "INT32", scale=0.5 * scale, zero_point=0, data=np.arange(outputs))
    y = builder.tensor((1, outputs), scale=1.0, zero_point=-7)
    builder.operator("FULLY_CONNECTED", [x, w, b], [y])
    return builder.build([x], [y])


def weights_of(outputs, inputs, kept=1.0):
    rng = np.random.default_rng(3)
    weights = rng.integers(1, 100, (outputs, inputs))
    blocks = rng.random((outputs, inputs // 4)) < kept
    return weights * np.repeat(blocks, 4, axis=1)


def kernels(file, optimization):
    return [layer.kernel for layer in compile_model(file, optimization=optimization).layers]


def test_a_build_for_size_has_one_kernel_without_scratch():
    file = dense_model(weights_of(32, 64))
    assert kernels(file, Optimization.SPEED) == ["aot_fully_connected_matmul"]
    model = compile_model(file, optimization=SIZE)
    assert [(layer.kernel, layer.scratch_bytes) for layer in model.layers] == [("aot_compact", 0)]


def test_inputs_that_are_no_whole_words_are_gathered_in_scratch():
    (layer,) = compile_model(dense_model(weights_of(8, 20)[:, :18]), optimization=SIZE).layers
    assert (layer.kernel, layer.scratch_bytes) == ("aot_compact_gathered", 20)


def test_what_is_not_exact_in_the_short_form_keeps_its_plain_kernel():
    # Half of the product and more: the signed way has no shift for it.
    assert kernels(dense_model(weights_of(8, 16), scale=2.0), SIZE) == ["aot_fully_connected"]
    # -128 borrows from the weight beside it.
    weights = weights_of(8, 16)
    weights[0, 0], weights[1, 0] = -1, -128
    assert kernels(dense_model(weights), SIZE) == ["aot_fully_connected"]


@pytest.mark.parametrize(("inputs", "kernel"), [(512, "aot_fully_connected_sparse"), (256, "aot_compact")])
def test_zeros_are_not_stored_where_that_saves_more_than_the_code(inputs, kernel, monkeypatch):
    monkeypatch.setattr(sparse_storage, "_SIZE_ARENA", 10.0)
    assert kernels(dense_model(weights_of(16, inputs, 0.25)), SIZE) == [kernel]


def test_zeros_are_stored_where_the_sparse_kernel_needs_too_much_arena():
    assert kernels(dense_model(weights_of(16, 512, 0.25)), SIZE) == ["aot_compact"]


@pytest.mark.parametrize(
    ("inputs", "kernel"),
    [
        (640, "aot_fully_connected_direct"),
        # Little scratch, and an input that is not whole steps.
        (128, "aot_fully_connected_matmul"),
        (636, "aot_fully_connected_matmul"),
    ],
)
def test_inputs_are_not_widened_where_that_would_double_the_arena(inputs, kernel):
    assert kernels(dense_model(weights_of(32, inputs)), Optimization.SPEED) == [kernel]


def test_inputs_are_widened_beside_larger_tensors():
    builder = TfliteBuilder()
    x = builder.tensor((1, 640), scale=0.5, zero_point=3)
    y = x
    for outputs, inputs in ((4000, 640), (640, 4000), (8, 640)):
        w = builder.tensor((outputs, inputs), scale=1 / 64, zero_point=0, data=np.ones((outputs, inputs)))
        b = builder.tensor((outputs,), "INT32", scale=1 / 128, zero_point=0, data=np.zeros(outputs))
        previous, y = y, builder.tensor((1, outputs), scale=0.5, zero_point=3)
        builder.operator("FULLY_CONNECTED", [previous, w, b], [y])
    assert kernels(builder.build([x], [y]), Optimization.SPEED)[2] == "aot_fully_connected_matmul"
