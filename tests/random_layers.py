# SPDX-License-Identifier: Apache-2.0
"""Hypothesis strategies that draw models of one random layer, at least one strategy per operator.

Sizes, windows, paddings, strides, scales, zero points and activations are drawn; weights come from a drawn
seed. Scales are chosen so that most outputs lie inside the int8 range, and now and then far from it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from tests.tflite_builder import TfliteBuilder

ZERO_POINTS = st.one_of(st.sampled_from([-128, -1, 0, 127]), st.integers(-128, 127))
EXPONENTS = st.floats(-9, 1)
ACTIVATIONS = st.sampled_from([0, 1, 2, 3])
RELU = 1
SAME, VALID = 0, 1


@dataclass(frozen=True)
class LayerModel:
    """A .tflite file of one layer; its repr is short, because hypothesis prints what it drew."""

    file: bytes

    def __repr__(self) -> str:
        return f"LayerModel({len(self.file)} bytes)"


class Drawer:
    """What every layer draws, on top of a hypothesis `draw`."""

    def __init__(self, draw: DrawFn) -> None:
        self.draw = draw
        self.rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        self.model = TfliteBuilder()

    def integer(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def scale(self) -> float:
        return float(np.float32(2.0 ** self.draw(EXPONENTS)))

    def channels(self) -> int:
        """A number of channels; kernels differ by whether it is a multiple of 4."""
        return self.draw(st.one_of(st.integers(1, 9), st.sampled_from([4, 8, 12, 16])))

    def activation(
        self, shape: tuple[int, ...], scale: float | None = None, zero_point: int | None = None
    ) -> int:
        """A tensor of activations with drawn quantisation."""
        if zero_point is None:
            zero_point = self.draw(ZERO_POINTS)
        return self.model.tensor(shape, scale=scale or self.scale(), zero_point=zero_point)

    def fused(self) -> tuple[int, int]:
        """A fused activation and the zero point of its output, most of them as converters make them."""
        kind = self.draw(st.sampled_from(["relu", "none", "any"]))
        if kind == "relu":
            return RELU, -128
        return 0 if kind == "none" else self.draw(ACTIVATIONS), self.draw(ZERO_POINTS)

    def output_scale(self, typical: float) -> float:
        """A scale at which values of a typical size fill the int8 range, a little, or not at all."""
        spread = self.draw(st.sampled_from([1, 1, 1, 1, 1 / 16, 64, 2.0**12, 2.0**20]))
        return float(np.float32(typical / 40 * spread))

    def weights(self, shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.int8]]:
        kind = self.draw(st.sampled_from(["any", "usual", "usual", "usual", "sparse", "least", "greatest"]))
        # Converters do not use -128, and some kernels rely on that.
        values = self.rng.integers(-127 if kind == "usual" else -128, 128, shape)
        if kind == "sparse":
            values *= self.rng.random(shape) < 0.2
        elif kind in {"least", "greatest"}:
            values = np.full(shape, -128 if kind == "least" else 127)
        return values.astype(np.int8)

    def input(self, shape: tuple[int, ...], **quantisation: Any) -> tuple[int, int]:
        """The model's input, and what the layer reads: here the same."""
        x = self.model.tensor(shape, **quantisation)
        return x, x

    def weighted(
        self,
        opcode: str,
        shapes: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]],
        axis: int,
        **options: Any,
    ) -> bytes:
        """A model of one layer with weights; `shapes` are those of input, weights and output."""
        input_shape, weight_shape, output_shape = shapes
        input_scale, weight_scale = self.scale(), self.scale()
        channels = weight_shape[axis]
        taps = int(np.prod(weight_shape)) // channels
        typical = input_scale * weight_scale * 74 * 74 * taps**0.5
        per_channel = self.draw(st.booleans())
        scales = [weight_scale]
        if per_channel:
            scales = (weight_scale * 2.0 ** self.rng.uniform(-3, 1, channels)).astype(np.float32).tolist()
            if self.draw(st.booleans()):
                # A channel that pruning has left dead: its multiplier becomes 0.
                scales[self.integer(0, channels - 1)] = 1e-14
        entrance, x = self.input(input_shape, scale=input_scale, zero_point=self.draw(ZERO_POINTS))
        w = self.model.tensor(weight_shape, scale=scales, axis=axis, data=self.weights(weight_shape))
        operands = [x, w]
        if opcode == "TRANSPOSE_CONV":
            shape = self.model.tensor((4,), "INT32", data=output_shape)
            operands = [shape, w, x]
        if self.draw(st.booleans()):
            reach = self.draw(st.sampled_from([10, 1000, 74 * 74 * taps]))
            bias = self.rng.integers(-reach, reach + 1, channels)
            bias_scale = (np.float32(input_scale) * np.asarray(scales, np.float32)).tolist()
            operands.append(self.model.tensor((channels,), "INT32", scale=bias_scale, data=bias))
        elif opcode != "DEPTHWISE_CONV_2D" and self.draw(st.booleans()):
            operands.append(-1)
        fused, zero_point = self.fused()
        y = self.activation(output_shape, self.output_scale(typical), zero_point)
        self.model.operator(opcode, operands, [y], FusedActivationFunction=fused, **options)
        return self.model.build([entrance], [y])


def windowed(
    d: Drawer, *, dilated: bool
) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int], dict[str, int]]:
    """Image, window and output sizes of a drawn window that fits, and its options."""
    padding = d.draw(st.sampled_from([SAME, VALID]))
    window = (d.integer(1, 5), d.integer(1, 5))
    stride = (d.integer(1, 3), d.integer(1, 3))
    dilation = (d.integer(1, 3), d.integer(1, 3)) if dilated and d.draw(st.booleans()) else (1, 1)
    extent = [(window[i] - 1) * dilation[i] + 1 for i in (0, 1)]
    least = extent if padding == VALID else [1, 1]
    image = (d.integer(least[0], least[0] + 7), d.integer(least[1], least[1] + 7))
    if padding == SAME:
        output = [-(-image[i] // stride[i]) for i in (0, 1)]
    else:
        output = [(image[i] - extent[i]) // stride[i] + 1 for i in (0, 1)]
    options = {"Padding": padding, "StrideH": stride[0], "StrideW": stride[1]}
    if dilated:
        options |= {"DilationHFactor": dilation[0], "DilationWFactor": dilation[1]}
    return image, window, (output[0], output[1]), options


def layer_strategy(
    function: Callable[[Drawer], bytes], drawer: Callable[[DrawFn], Drawer] | None = None
) -> SearchStrategy[LayerModel]:
    """Models of `function`, which draws from a `Drawer` or from what `drawer` makes in its place."""

    @st.composite
    def strategy(draw: DrawFn) -> LayerModel:
        return LayerModel(function((drawer or Drawer)(draw)))

    return strategy()


def _conv_2d(d: Drawer) -> bytes:
    image, window, output, options = windowed(d, dilated=True)
    inputs, outputs = d.channels(), d.channels()
    shapes = (1, *image, inputs), (outputs, *window, inputs), (1, *output, outputs)
    return d.weighted("CONV_2D", shapes, 0, **options)


def _depthwise_conv_2d(d: Drawer) -> bytes:
    image, window, output, options = windowed(d, dilated=True)
    inputs, multiplier = d.channels(), d.draw(st.sampled_from([1, 1, 2, 3]))
    outputs = inputs * multiplier
    shapes = (1, *image, inputs), (1, *window, outputs), (1, *output, outputs)
    return d.weighted("DEPTHWISE_CONV_2D", shapes, 3, DepthMultiplier=multiplier, **options)


def _conv_1x1(d: Drawer) -> bytes:
    image = d.integer(1, 5), d.integer(1, 5)
    inputs, outputs = d.draw(st.sampled_from([1, 3, 4, 8, 12, 16, 20, 64, 68, 72, 136])), d.integer(1, 20)
    shapes = (1, *image, inputs), (outputs, 1, 1, inputs), (1, *image, outputs)
    return d.weighted("CONV_2D", shapes, 0, Padding=VALID, StrideH=1, StrideW=1)


def _walking_conv(d: Drawer) -> bytes:
    # Windows higher than their stride on pixels of whole words; odd widths only where they are large.
    padding, stride = d.draw(st.sampled_from([SAME, SAME, VALID])), (d.integer(1, 2), d.integer(1, 2))
    window = d.integer(stride[0] + 1, 4), d.integer(1, 4)
    output = d.integer(2, 12), d.draw(st.sampled_from([2, 4, 6, 10, 33, 35]))
    inputs, outputs = (
        d.draw(st.sampled_from([4, 4, 8, 12, 16, 20])),
        d.draw(st.sampled_from([1, 3, 4, 8, 10])),
    )
    image = tuple(output[i] * stride[i] for i in (0, 1))
    if padding == VALID:
        image = tuple((output[i] - 1) * stride[i] + window[i] for i in (0, 1))
    shapes = (1, *image, inputs), (outputs, *window, inputs), (1, *output, outputs)
    return d.weighted("CONV_2D", shapes, 0, Padding=padding, StrideH=stride[0], StrideW=stride[1])


def _first_conv(d: Drawer) -> bytes:
    # Few channels, and an output so large beside them that the input is copied with its border.
    image, window = (d.integer(4, 12), d.integer(4, 12)), (d.integer(2, 5), d.integer(2, 5))
    stride, inputs, outputs = d.integer(1, 2), d.integer(1, 3), d.draw(st.sampled_from([8, 12, 15]))
    output = tuple(-(-size // stride) for size in image)
    shapes = (1, *image, inputs), (outputs, *window, inputs), (1, *output, outputs)
    return d.weighted("CONV_2D", shapes, 0, Padding=SAME, StrideH=stride, StrideW=stride)


def _depthwise_3x3(d: Drawer) -> bytes:
    padding = d.draw(st.sampled_from([SAME, SAME, VALID]))
    least = 1 if padding == SAME else 3
    # Rows of several tiles; images so high that they are computed in bands.
    image = d.integer(least, d.draw(st.sampled_from([8, 8, 40]))), d.integer(least, 16)
    output = image if padding == SAME else (image[0] - 2, image[1] - 2)
    channels = d.draw(st.sampled_from([4, 4, 8]))
    shapes = (1, *image, channels), (1, 3, 3, channels), (1, *output, channels)
    options = {"Padding": padding, "StrideH": 1, "StrideW": 1}
    return d.weighted("DEPTHWISE_CONV_2D", shapes, 3, DepthMultiplier=1, **options)


def _depthwise_windows(d: Drawer) -> bytes:
    # Around the most taps that go two at a time, 26, and more channels than one group.
    window = d.draw(st.sampled_from([(2, 13), (26, 1), (3, 9), (1, 25), (3, 3), (1, 2), (2, 1)]))
    stride, image = d.integer(1, 3), tuple(size + d.integer(0, 6) for size in window)
    padding, channels = d.draw(st.sampled_from([SAME, VALID])), d.draw(st.sampled_from([4, 20, 36]))
    output = [-(-size // stride) for size in image]
    if padding == VALID:
        output = [(image[i] - window[i]) // stride + 1 for i in (0, 1)]
    shapes = (1, *image, channels), (1, *window, channels), (1, *output, channels)
    options = {"Padding": padding, "StrideH": stride, "StrideW": stride}
    return d.weighted("DEPTHWISE_CONV_2D", shapes, 3, DepthMultiplier=1, **options)


def _fully_connected(d: Drawer) -> bytes:
    rows, outputs = d.draw(st.sampled_from([1, 1, 3])), d.integer(1, 20)
    inputs = d.draw(st.one_of(st.integers(1, 40), st.sampled_from([64, 72, 130, 200])))
    shapes = (1, rows, inputs), (outputs, inputs), (1, rows, outputs)
    return d.weighted("FULLY_CONNECTED", shapes, 0, KeepNumDims=True)


def _pool(opcode: str) -> Callable[[Drawer], bytes]:
    def pool(d: Drawer) -> bytes:
        image, window, output, options = windowed(d, dilated=False)
        channels, scale, zero_point = d.channels(), d.scale(), d.draw(ZERO_POINTS)
        x = d.model.tensor((1, *image, channels), scale=scale, zero_point=zero_point)
        y = d.model.tensor((1, *output, channels), scale=scale, zero_point=zero_point)
        options |= {"FilterHeight": window[0], "FilterWidth": window[1]}
        d.model.operator(opcode, [x], [y], FusedActivationFunction=d.draw(ACTIVATIONS), **options)
        return d.model.build([x], [y])

    return pool


def random_shape(d: Drawer, low: int, high: int) -> tuple[int, ...]:
    return (1, *d.draw(st.lists(st.integers(1, 6), min_size=low - 1, max_size=high - 1)))


def _mean(d: Drawer) -> bytes:
    shape = random_shape(d, 2, 4)
    axes = d.draw(st.lists(st.integers(-len(shape), len(shape) - 1), min_size=1, max_size=len(shape)))
    reduced = {axis % len(shape) for axis in axes}
    keep = d.draw(st.booleans())
    kept = tuple(1 if i in reduced else size for i, size in enumerate(shape))
    output = kept if keep else tuple(size for i, size in enumerate(shape) if i not in reduced) or (1,)
    scale = d.scale()
    x = d.activation(shape, scale)
    axis = d.model.tensor((len(axes),), "INT32", data=axes)
    y = d.activation((1, *output), d.draw(st.sampled_from([scale, scale / 3, scale * 5])))
    d.model.operator("MEAN", [x, axis], [y], KeepDims=keep)
    return d.model.build([x], [y])


def _pad(d: Drawer) -> bytes:
    shape = random_shape(d, 2, 4)
    paddings = [(0, 0)] + [(d.integer(0, 3), d.integer(0, 3)) for _ in shape[1:]]
    output = tuple(size + sum(pair) for size, pair in zip(shape, paddings, strict=True))
    scale, zero_point = d.scale(), d.draw(ZERO_POINTS)
    x = d.model.tensor(shape, scale=scale, zero_point=zero_point)
    operands = [x, d.model.tensor((len(shape), 2), "INT32", data=paddings)]
    explicit = d.draw(st.booleans())
    if explicit:
        value = d.integer(-128, 127)
        operands.append(d.model.tensor((1,), scale=scale, zero_point=zero_point, data=[value]))
    y = d.model.tensor(output, scale=scale, zero_point=zero_point)
    d.model.operator("PADV2" if explicit else "PAD", operands, [y])
    return d.model.build([x], [y])


def _reshape(d: Drawer) -> bytes:
    shape, scale, zero_point = random_shape(d, 2, 4), d.scale(), d.draw(ZERO_POINTS)
    flat = (1, int(np.prod(shape)))
    x = d.model.tensor(shape, scale=scale, zero_point=zero_point)
    y = d.model.tensor(flat, scale=scale, zero_point=zero_point)
    target = d.model.tensor((2,), "INT32", data=flat)
    d.model.operator("RESHAPE", [x, target], [y])
    return d.model.build([x], [y])


def _softmax(d: Drawer) -> bytes:
    rows, depth = d.draw(st.sampled_from([1, 1, 4])), d.integer(1, 40)
    x = d.activation((1, rows, depth), float(np.float32(2.0 ** d.draw(st.floats(-18, 6)))))
    y = d.model.tensor((1, rows, depth), scale=1 / 256, zero_point=-128)
    d.model.operator("SOFTMAX", [x], [y], Beta=d.draw(st.sampled_from([1.0, 1.0, 0.5, 3.0])))
    return d.model.build([x], [y])


LAYERS: dict[str, SearchStrategy[LayerModel]] = {
    "AVERAGE_POOL_2D": layer_strategy(_pool("AVERAGE_POOL_2D")),
    "CONV_2D": layer_strategy(_conv_2d),
    "CONV_2D 1x1": layer_strategy(_conv_1x1),
    "CONV_2D first": layer_strategy(_first_conv),
    "CONV_2D walking": layer_strategy(_walking_conv),
    "DEPTHWISE_CONV_2D": layer_strategy(_depthwise_conv_2d),
    "DEPTHWISE_CONV_2D 3x3": layer_strategy(_depthwise_3x3),
    "DEPTHWISE_CONV_2D windows": layer_strategy(_depthwise_windows),
    "FULLY_CONNECTED": layer_strategy(_fully_connected),
    "MAX_POOL_2D": layer_strategy(_pool("MAX_POOL_2D")),
    "MEAN": layer_strategy(_mean),
    "PAD": layer_strategy(_pad),
    "RESHAPE": layer_strategy(_reshape),
    "SOFTMAX": layer_strategy(_softmax),
}
