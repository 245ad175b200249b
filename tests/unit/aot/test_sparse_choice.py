# SPDX-License-Identifier: Apache-2.0
"""Scratch of sparse layers: more than is little for the layer only where the arena has room for it anyway."""

import numpy as np
import pytest

from mcu_ser.aot.arena import lower_bound
from mcu_ser.aot.compile import compile_model
from mcu_ser.aot.lifetimes import find_buffers
from tests.tflite_builder import TfliteBuilder

POOL = 4


def _model(*, pooled, zeros=0.75):
    """A convolution whose widened windows take 4.6 KB, behind an input that takes 32 KB or none."""
    rng = np.random.default_rng(0)
    weights = rng.integers(1, 100, (16, 3, 3, 32), np.int8)
    weights[rng.random(weights.shape) < zeros] = 0
    model = TfliteBuilder()
    y = x = model.tensor((1, 8 * POOL, 8 * POOL, 32) if pooled else (1, 8, 8, 32), scale=1.0)
    if pooled:
        y = model.tensor((1, 8, 8, 32), scale=1.0)
        size = {"FilterHeight": POOL, "FilterWidth": POOL, "StrideH": POOL, "StrideW": POOL}
        model.operator("AVERAGE_POOL_2D", [x], [y], Padding=1, **size)
    z = model.tensor((1, 8, 8, 16), scale=2.0**14, zero_point=-128)
    w = model.tensor(weights.shape, scale=1.0, data=weights)
    model.operator("CONV_2D", [y, w], [z], Padding=0, StrideH=1, StrideW=1, FusedActivationFunction=1)
    return model.build([x], [z])


@pytest.mark.parametrize("zeros", [0.7, 0.75])
def test_room_that_the_arena_has_anyway_is_used(zeros):
    model = compile_model(_model(pooled=True, zeros=zeros))
    layer = model.layers[-1]
    assert layer.kernel == "aot_conv_2d_unstructured"
    assert layer.scratch_bytes > 4096
    assert layer.sparse_choice.taken
    assert model.arena_bytes <= lower_bound(find_buffers(model.graph, {}))


@pytest.mark.parametrize("model", [_model(pooled=False, zeros=0.7), _model(pooled=True, zeros=0.1)])
def test_without_room_or_zeros_nothing_changes(model):
    layer = compile_model(model).layers[-1]
    assert layer.kernel in {"aot_conv_2d_walk", "aot_conv_2d_matmul"}
    assert layer.scratch_bytes <= 4096
