# SPDX-License-Identifier: Apache-2.0
"""As `random_layers`, for layers of 16-bit activations."""

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.random_layers import (
    ACTIVATIONS,
    RELU,
    VALID,
    Drawer,
    LayerModel,
    layer_strategy,
    random_shape,
    windowed,
)

# Sizes of usual activations and weights.
_ACTIVATION, _WEIGHT = 19_000, 74


def _scale(d: Drawer) -> float:
    return float(np.float32(2.0 ** d.draw(st.floats(-19, -9))))


def _int16(d: Drawer, shape: tuple[int, ...], scale: float | None = None) -> int:
    return d.model.tensor(shape, "INT16", scale=scale or _scale(d))


def _fused(d: Drawer) -> int:
    return d.draw(st.one_of(st.sampled_from([RELU, 0]), ACTIVATIONS))


def _weighted(
    d: Drawer,
    opcode: str,
    shapes: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]],
    axis: int,
    **options: Any,
) -> bytes:
    input_shape, weight_shape, output_shape = shapes
    input_scale, weight_scale = _scale(d), d.scale()
    channels = weight_shape[axis]
    taps = int(np.prod(weight_shape)) // channels
    scales = [weight_scale]
    if d.draw(st.booleans()):
        scales = (weight_scale * 2.0 ** d.rng.uniform(-3, 1, channels)).astype(np.float32).tolist()
        if d.draw(st.booleans()):
            # A channel that pruning has left dead: its multiplier becomes 0.
            scales[d.integer(0, channels - 1)] = 1e-18
    x = _int16(d, input_shape, input_scale)
    w = d.model.tensor(weight_shape, scale=scales, axis=axis, data=d.weights(weight_shape))
    operands = [x, w]
    least = 0.0
    if opcode == "DEPTHWISE_CONV_2D" or d.draw(st.booleans()):
        # Biases also beyond int32, which must not leave it when they are rescaled.
        reach = d.draw(st.sampled_from([10, 100_000, _ACTIVATION * _WEIGHT * taps, 1 << 36]))
        bias = d.rng.integers(-reach, reach + 1, channels)
        bias_scale = (np.float32(input_scale) * np.asarray(scales, np.float32)).tolist()
        operands.append(d.model.tensor((channels,), "INT64", scale=bias_scale, data=bias))
        least = reach * max(bias_scale) / 2.0**30
    elif d.draw(st.booleans()):
        operands.append(-1)
    typical = input_scale * weight_scale * _ACTIVATION * _WEIGHT * taps**0.5
    spread = d.draw(st.sampled_from([1, 1, 1, 1, 1 / 16, 64, 2.0**12]))
    y = _int16(d, output_shape, float(np.float32(max(typical / 12_000 * spread, least))))
    d.model.operator(opcode, operands, [y], FusedActivationFunction=_fused(d), **options)
    return d.model.build([x], [y])


def _conv_2d(d: Drawer) -> bytes:
    image, window, output, options = windowed(d, dilated=True)
    inputs, outputs = d.channels(), d.channels()
    shapes = (1, *image, inputs), (outputs, *window, inputs), (1, *output, outputs)
    return _weighted(d, "CONV_2D", shapes, 0, **options)


def _pointwise(d: Drawer) -> bytes:
    image = d.integer(1, 4), d.integer(1, 4)
    inputs, outputs = d.draw(st.sampled_from([1, 3, 4, 8, 16, 20, 516])), d.integer(1, 12)
    shapes = (1, *image, inputs), (outputs, 1, 1, inputs), (1, *image, outputs)
    return _weighted(d, "CONV_2D", shapes, 0, Padding=VALID, StrideH=1, StrideW=1)


def _depthwise_conv_2d(d: Drawer) -> bytes:
    image, window, output, options = windowed(d, dilated=True)
    inputs, multiplier = d.channels(), d.draw(st.sampled_from([1, 1, 2, 3]))
    outputs = inputs * multiplier
    shapes = (1, *image, inputs), (1, *window, outputs), (1, *output, outputs)
    return _weighted(d, "DEPTHWISE_CONV_2D", shapes, 3, DepthMultiplier=multiplier, **options)


def _fully_connected(d: Drawer) -> bytes:
    rows, outputs = d.draw(st.sampled_from([1, 1, 3])), d.integer(1, 12)
    # Above 508 products a sum of some weights leaves int32.
    inputs = d.draw(st.one_of(st.integers(1, 40), st.sampled_from([64, 508, 511, 512, 1100])))
    shapes = (1, rows, inputs), (outputs, inputs), (1, rows, outputs)
    return _weighted(d, "FULLY_CONNECTED", shapes, 0, KeepNumDims=True)


def _add(d: Drawer) -> bytes:
    shape = random_shape(d, 2, 4)
    first, second = _scale(d), _scale(d)
    x = _int16(d, shape, first)
    kind = d.draw(st.sampled_from(["itself", "constant", "broadcast"]))
    z = x
    if kind != "itself":
        other = tuple(1 if kind == "broadcast" and d.draw(st.booleans()) else size for size in shape)
        values = d.rng.integers(-(1 << 15), 1 << 15, other)
        z = d.model.tensor(other, "INT16", scale=second, data=values)
    spread = d.draw(st.sampled_from([1, 1, 2, 100, 0.3, 0.01]))
    y = _int16(d, shape, float(np.float32(max(first, second) * spread)))
    d.model.operator(
        "ADD", [x, z] if d.draw(st.booleans()) else [z, x], [y], FusedActivationFunction=_fused(d)
    )
    return d.model.build([x], [y])


def _mean(d: Drawer) -> bytes:
    shape = random_shape(d, 2, 4)
    axes = d.draw(st.lists(st.integers(-len(shape), len(shape) - 1), min_size=1, max_size=len(shape)))
    reduced = {axis % len(shape) for axis in axes}
    output = tuple(1 if i in reduced else size for i, size in enumerate(shape))
    scale = _scale(d)
    x = _int16(d, shape, scale)
    axis = d.model.tensor((len(axes),), "INT32", data=axes)
    y = _int16(d, output, d.draw(st.sampled_from([scale, scale / 3, scale * 5])))
    d.model.operator("MEAN", [x, axis], [y], KeepDims=True)
    return d.model.build([x], [y])


def _pool(opcode: str) -> Callable[[Drawer], bytes]:
    def pool(d: Drawer) -> bytes:
        image, window, output, options = windowed(d, dilated=False)
        channels, scale = d.channels(), _scale(d)
        x = _int16(d, (1, *image, channels), scale)
        y = _int16(d, (1, *output, channels), scale)
        size: dict[str, Any] = {"FilterHeight": window[0], "FilterWidth": window[1]}
        d.model.operator(opcode, [x], [y], FusedActivationFunction=_fused(d), **options, **size)
        return d.model.build([x], [y])

    return pool


def _reshape(d: Drawer) -> bytes:
    shape, scale = random_shape(d, 2, 4), _scale(d)
    flat = (1, int(np.prod(shape)))
    x, y = _int16(d, shape, scale), _int16(d, flat, scale)
    d.model.operator("RESHAPE", [x, d.model.tensor((2,), "INT32", data=flat)], [y])
    return d.model.build([x], [y])


def _softmax(d: Drawer) -> bytes:
    shape = (1, d.draw(st.sampled_from([1, 4])), d.integer(1, 40))
    x = _int16(d, shape, float(np.float32(2.0 ** d.draw(st.floats(-24, -6)))))
    y = _int16(d, shape, 1 / 32768)
    d.model.operator("SOFTMAX", [x], [y], Beta=d.draw(st.sampled_from([1.0, 1.0, 0.5, 3.0])))
    return d.model.build([x], [y])


INT16: dict[str, SearchStrategy[LayerModel]] = {
    "ADD": layer_strategy(_add),
    "AVERAGE_POOL_2D": layer_strategy(_pool("AVERAGE_POOL_2D")),
    "CONV_2D": layer_strategy(_conv_2d),
    "CONV_2D 1x1": layer_strategy(_pointwise),
    "DEPTHWISE_CONV_2D": layer_strategy(_depthwise_conv_2d),
    "FULLY_CONNECTED": layer_strategy(_fully_connected),
    "MAX_POOL_2D": layer_strategy(_pool("MAX_POOL_2D")),
    "MEAN": layer_strategy(_mean),
    "RESHAPE": layer_strategy(_reshape),
    "SOFTMAX": layer_strategy(_softmax),
}
