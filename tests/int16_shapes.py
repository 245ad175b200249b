# SPDX-License-Identifier: Apache-2.0
"""As `layer_shapes`, for layers of 16-bit activations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.layer_shapes import RELU, SAME, VALID, output_size
from tests.tflite_builder import TfliteBuilder

Shape = tuple[int, ...]
_SCALE = 2.0**-12


def _weighted(
    opcode: str, shapes: tuple[Shape, Shape, Shape], axis: int, *, relu: bool = True, **options: Any
) -> bytes:
    """A layer with weights and biases, one scale per channel."""
    model = TfliteBuilder()
    rng = np.random.default_rng(0)
    input_, weights, output = shapes
    channels = weights[axis]
    scales = (2.0**-9 * rng.uniform(0.5, 2, channels)).astype(np.float32)
    x = model.tensor(input_, "INT16", scale=_SCALE)
    w = model.tensor(weights, scale=scales, axis=axis, data=rng.integers(-127, 128, weights))
    bias = rng.integers(-(1 << 20), 1 << 20, channels)
    b = model.tensor((channels,), "INT64", scale=scales * np.float32(_SCALE), data=bias)
    y = model.tensor(output, "INT16", scale=_SCALE)
    model.operator(opcode, [x, w, b], [y], FusedActivationFunction=RELU * relu, **options)
    return model.build([x], [y])


def _conv(
    image: tuple[int, int, int],
    window: tuple[int, int],
    outputs: int,
    *,
    stride: int = 1,
    padding: int = SAME,
    relu: bool = True,
    dilation: int = 1,
) -> bytes:
    extent = [(size - 1) * dilation + 1 for size in window]
    output = [output_size(image[i], extent[i], stride, padding) for i in (0, 1)]
    shapes = (1, *image), (outputs, *window, image[2]), (1, *output, outputs)
    options = {"Padding": padding, "StrideH": stride, "StrideW": stride}
    options |= {"DilationHFactor": dilation, "DilationWFactor": dilation}
    return _weighted("CONV_2D", shapes, 0, relu=relu, **options)


def _convolutions() -> Iterator[bytes]:
    for image, window, outputs, options in (
        ((5, 5, 64), (1, 1), 64, {}),
        ((4, 6, 16), (1, 1), 32, {"relu": False}),
        ((6, 6, 8), (1, 1), 10, {}),
        ((8, 8, 20), (1, 1), 7, {}),
        ((8, 8, 16), (3, 3), 16, {}),
        ((12, 9, 8), (3, 3), 8, {"relu": False}),
        ((9, 9, 4), (3, 3), 12, {"stride": 2}),
        ((12, 12, 4), (5, 5), 8, {"padding": VALID}),
        ((49, 10, 1), (10, 4), 16, {"stride": 2}),
        ((14, 14, 1), (4, 4), 32, {}),
        ((16, 16, 3), (3, 3), 16, {}),
        ((10, 12, 6), (3, 3), 6, {"relu": False}),
        ((10, 10, 8), (3, 3), 8, {"dilation": 2}),
        ((8, 8, 32), (1, 1), 16, {"stride": 2}),
        ((7, 7, 64), (3, 3), 4, {}),
        ((6, 20, 2), (1, 3), 5, {}),
    ):
        yield _conv(image, window, outputs, **options)


def _depthwise() -> Iterator[bytes]:
    for image, window, multiplier, stride, padding in (
        ((25, 5, 16), (3, 3), 1, 1, SAME),
        ((8, 8, 8), (3, 3), 1, 1, VALID),
        ((12, 12, 8), (3, 3), 1, 2, SAME),
        ((10, 10, 4), (5, 5), 1, 1, SAME),
        ((8, 8, 6), (3, 3), 1, 1, SAME),
        ((8, 8, 3), (3, 3), 4, 1, SAME),
        ((16, 16, 1), (3, 3), 8, 1, VALID),
        ((8, 1, 16), (8, 1), 1, 1, VALID),
        ((6, 6, 7), (2, 2), 1, 1, VALID),
        ((16, 8, 24), (3, 3), 1, 2, SAME),
        ((11, 11, 8), (3, 3), 1, 2, VALID),
        ((12, 12, 4), (5, 5), 1, 2, VALID),
        ((8, 8, 12), (5, 5), 1, 1, SAME),
        ((9, 6, 8), (3, 5), 1, 1, VALID),
        ((10, 4, 16), (4, 2), 1, 1, SAME),
        ((7, 7, 5), (3, 3), 1, 1, VALID),
        ((6, 9, 2), (3, 3), 3, 1, SAME),
        ((12, 1, 8), (5, 1), 1, 1, SAME),
    ):
        outputs = image[2] * multiplier
        output = [output_size(image[i], window[i], stride, padding) for i in (0, 1)]
        shapes = (1, *image), (1, *window, outputs), (1, *output, outputs)
        options = {"Padding": padding, "StrideH": stride, "StrideW": stride}
        yield _weighted("DEPTHWISE_CONV_2D", shapes, 3, DepthMultiplier=multiplier, **options)


def _dense() -> Iterator[bytes]:
    for inputs, outputs, rows in (
        (64, 12, 1),
        (128, 64, 1),
        (40, 16, 1),
        (8, 32, 1),
        (200, 7, 1),
        (640, 16, 1),
        (33, 20, 1),
        (30, 10, 3),
        (64, 32, 6),
    ):
        shapes = (1, rows, inputs), (outputs, inputs), (1, rows, outputs)
        yield _weighted("FULLY_CONNECTED", shapes, 0, KeepNumDims=True)


def _pools() -> Iterator[bytes]:
    for opcode in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
        for image, window, stride, padding in (
            ((25, 5, 16), (25, 5), 1, VALID),
            ((8, 8, 8), (2, 2), 2, VALID),
            ((9, 9, 4), (3, 3), 2, SAME),
            ((12, 4, 7), (4, 4), 4, VALID),
            ((10, 6, 20), (2, 6), 2, VALID),
            ((9, 9, 5), (3, 3), 3, VALID),
            ((12, 5, 6), (2, 2), 1, SAME),
            ((6, 6, 12), (6, 6), 1, VALID),
            ((6, 10, 3), (3, 3), 1, SAME),
            ((12, 4, 12), (2, 2), 2, VALID),
            ((10, 6, 5), (2, 2), 2, VALID),
        ):
            model = TfliteBuilder()
            output = [output_size(image[i], window[i], stride, padding) for i in (0, 1)]
            x = model.tensor((1, *image), "INT16", scale=_SCALE)
            y = model.tensor((1, *output, image[2]), "INT16", scale=_SCALE)
            options = {"Padding": padding, "StrideH": stride, "StrideW": stride}
            model.operator(opcode, [x], [y], FilterHeight=window[0], FilterWidth=window[1], **options)
            yield model.build([x], [y])


def _elements() -> Iterator[bytes]:
    for shape in ((1, 8, 8, 16), (1, 100), (1, 5, 5, 64), (1, 12)):
        for second in (shape, shape[-1:]):
            for scale in (_SCALE, 0.7 * _SCALE):
                model = TfliteBuilder()
                x = model.tensor(shape, "INT16", scale=_SCALE)
                values = np.random.default_rng(0).integers(-(1 << 15), 1 << 15, second)
                z = model.tensor(second, "INT16", scale=scale, data=values)
                y = model.tensor(shape, "INT16", scale=2 * _SCALE)
                model.operator("ADD", [x, z], [y])
                yield model.build([x], [y])
    for shape, axes in (
        ((1, 25, 5, 16), (1, 2)),
        ((1, 8, 8, 32), (1, 2)),
        ((1, 8, 8, 8), (3,)),
        ((1, 10, 6, 4), (2,)),
        ((1, 20, 30), (1,)),
        ((1, 6, 5), (1,)),
        ((1, 2, 2, 4), (1, 2)),
    ):
        model = TfliteBuilder()
        x = model.tensor(shape, "INT16", scale=_SCALE)
        axis = model.tensor((len(axes),), "INT32", data=axes)
        kept = tuple(1 if i in axes else size for i, size in enumerate(shape))
        y = model.tensor(kept, "INT16", scale=_SCALE)
        model.operator("MEAN", [x, axis], [y], KeepDims=True)
        yield model.build([x], [y])
    for shape in ((1, 64, 12), (1, 16, 100), (1, 100, 4), (1, 30, 30)):
        for scale in (2.0**-12, 2.0**-15):
            model = TfliteBuilder()
            x = model.tensor(shape, "INT16", scale=scale)
            y = model.tensor(shape, "INT16", scale=1 / 32768)
            model.operator("SOFTMAX", [x], [y], Beta=1.0)
            yield model.build([x], [y])


def int16_shapes() -> tuple[bytes, ...]:
    """All models."""
    families = (_convolutions, _depthwise, _dense, _pools, _elements)
    return tuple(file for family in families for file in family())
