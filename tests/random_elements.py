# SPDX-License-Identifier: Apache-2.0
"""As `random_layers`, for operators that compute each element from those at its place."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.random_layers import (
    EXPONENTS,
    ZERO_POINTS,
    Drawer,
    LayerModel,
    layer_strategy,
    random_shape,
)


def _add(d: Drawer, opcode: str = "ADD") -> bytes:
    shape = random_shape(d, 1, 5)
    computed = d.activation(shape)
    kind = d.draw(st.sampled_from(["same", "same", "constant", "itself", "reshaped"]))
    other = computed
    if kind == "same":
        other = d.activation(shape)
        d.model.operator("RELU", [computed], [other])
    elif kind == "constant":
        # Dropped leading dimensions and dimensions of 1 broadcast.
        kept = d.draw(st.integers(0, len(shape)))
        small = tuple(size if d.draw(st.booleans()) else 1 for size in shape[kept:])
        data = d.rng.integers(-128, 128, small)
        other = d.model.tensor(small, scale=d.scale(), zero_point=d.draw(ZERO_POINTS), data=data)
    elif kind == "reshaped":
        other = d.activation((1, *shape))
        d.model.operator("RESHAPE", [computed], [other])
    inputs = [computed, other] if d.draw(st.booleans()) else [other, computed]
    out_shape = (1, *shape) if kind == "reshaped" else shape
    fused, zero_point = d.fused()
    y = d.activation(out_shape, d.output_scale(40 * d.scale()), zero_point)
    d.model.operator(opcode, inputs, [y], FusedActivationFunction=fused)
    return d.model.build([computed], [y])


def _second(d: Drawer, first: int, shape: tuple[int, ...], **quantized: Any) -> tuple[int, tuple[int, ...]]:
    """Another operand for a tensor of this shape, and the shape of both together."""
    kind = d.draw(st.sampled_from(["same", "constant", "itself", "reshaped"]))
    quantized = quantized or {"scale": d.scale(), "zero_point": d.draw(ZERO_POINTS)}
    if kind == "same":
        other = d.model.tensor(shape, **quantized)
        d.model.operator("RELU", [first], [other])
        return other, shape
    if kind == "constant":
        # Dropped leading dimensions and dimensions of 1 broadcast.
        small = tuple(s if d.draw(st.booleans()) else 1 for s in shape[d.integer(0, len(shape)) :])
        return d.model.tensor(small, data=d.rng.integers(-128, 128, small), **quantized), shape
    if kind == "reshaped":
        other = d.model.tensor((1, *shape), **quantized)
        d.model.operator("RESHAPE", [first], [other])
        return other, (1, *shape)
    return first, shape


def _mul(d: Drawer) -> bytes:
    shape = random_shape(d, 1, 5)
    x = d.activation(shape)
    other, out_shape = _second(d, x, shape)
    fused, zero_point = d.fused()
    y = d.activation(out_shape, d.output_scale(40 * d.scale()), zero_point)
    operands = [x, other] if d.draw(st.booleans()) else [other, x]
    d.model.operator("MUL", operands, [y], FusedActivationFunction=fused)
    return d.model.build([x], [y])


def _prelu(d: Drawer) -> bytes:
    shape = random_shape(d, 1, 5)
    scale = d.scale()
    x = d.activation(shape, scale)
    alpha, out_shape = _second(d, x, shape)
    y = d.activation(out_shape, float(np.float32(scale * 2.0 ** d.draw(st.floats(-9, 3)))))
    d.model.operator("PRELU", [x, alpha], [y])
    return d.model.build([x], [y])


def _lesser_or_greater(opcode: str) -> Callable[[Drawer], bytes]:
    def layer(d: Drawer) -> bytes:
        shape = random_shape(d, 1, 5)
        scale, zero_point = d.scale(), d.draw(ZERO_POINTS)
        x = d.activation(shape, scale, zero_point)
        other, out_shape = _second(d, x, shape, scale=scale, zero_point=zero_point)
        y = d.activation(out_shape, scale, zero_point)
        d.model.operator(opcode, [x, other] if d.draw(st.booleans()) else [other, x], [y])
        return d.model.build([x], [y])

    return layer


def _relu(opcode: str) -> Callable[[Drawer], bytes]:
    def relu(d: Drawer) -> bytes:
        shape, scale = random_shape(d, 2, 4), d.scale()
        x = d.activation(shape, scale)
        y = d.activation(shape, d.draw(st.sampled_from([scale, scale / 7, scale * 3, scale / 300])))
        d.model.operator(opcode, [x], [y])
        return d.model.build([x], [y])

    return relu


def _curve(opcode: str, scale: float, zero_point: int) -> Callable[[Drawer], bytes]:
    def curve(d: Drawer) -> bytes:
        shape = random_shape(d, 1, 4)
        exponent = d.draw(st.one_of(EXPONENTS, st.floats(-28, 34)))
        x = d.activation(shape, float(np.float32(2.0**exponent)))
        y = d.model.tensor(shape, scale=scale, zero_point=zero_point)
        d.model.operator(opcode, [x], [y])
        return d.model.build([x], [y])

    return curve


def _hard_swish(d: Drawer) -> bytes:
    shape, scale = random_shape(d, 1, 4), d.scale()
    x = d.activation(shape, scale)
    y = d.activation(shape, float(np.float32(scale * 2.0 ** d.draw(st.floats(-6.9, 20)))))
    d.model.operator("HARD_SWISH", [x], [y])
    return d.model.build([x], [y])


def _rescaling(opcode: str, **options: Any) -> Callable[[Drawer], bytes]:
    def rescaling(d: Drawer) -> bytes:
        shape, scale = random_shape(d, 1, 4), d.scale()
        x = d.activation(shape, scale)
        y = d.activation(shape, float(np.float32(scale * 2.0 ** d.draw(st.floats(-20, 20)))))
        d.model.operator(opcode, [x], [y], **options)
        return d.model.build([x], [y])

    return rescaling


ELEMENTS: dict[str, SearchStrategy[LayerModel]] = {
    "ADD": layer_strategy(_add),
    "HARD_SWISH": layer_strategy(_hard_swish),
    "LEAKY_RELU": layer_strategy(_rescaling("LEAKY_RELU", Alpha=0.1)),
    "LOGISTIC": layer_strategy(_curve("LOGISTIC", 1 / 256, -128)),
    "MAXIMUM": layer_strategy(_lesser_or_greater("MAXIMUM")),
    "MINIMUM": layer_strategy(_lesser_or_greater("MINIMUM")),
    "MUL": layer_strategy(_mul),
    "PRELU": layer_strategy(_prelu),
    "QUANTIZE": layer_strategy(_rescaling("QUANTIZE")),
    "RELU": layer_strategy(_relu("RELU")),
    "RELU6": layer_strategy(_relu("RELU6")),
    "SUB": layer_strategy(partial(_add, opcode="SUB")),
    "TANH": layer_strategy(_curve("TANH", 1 / 128, 0)),
}
