# SPDX-License-Identifier: Apache-2.0
"""Models of one layer with weights, or of a pool, for `measured_shapes`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tests.tflite_builder import TfliteBuilder

SAME, VALID = 0, 1
RELU = 1


def weighted(
    opcode: str,
    shapes: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]],
    axis: int,
    *,
    relu: bool = True,
    clamp: bool = False,
    least: bool = False,
    kept: float = 1.0,
    block: int = 4,
    **options: Any,
) -> bytes:
    """A layer with weights as converters make it; without `relu` sums of both signs reach the output.

    With `clamp` it ends with a ReLU6 whose upper end lies within int8, with `least` it has the weight -128,
    which only the plain kernels take. `kept` is the share of blocks of `block` inputs that are not zero.
    """
    rng = np.random.default_rng(0)
    model = TfliteBuilder()
    input_, weights, output = shapes
    channels = weights[axis]
    scales = (0.004 * 2.0 ** rng.uniform(-1, 0, channels)).astype(np.float32).tolist()
    values = rng.integers(-127, 128, weights, np.int8)
    if least:
        values[0], values[1] = -1, -128
    if kept < 1:
        stays = np.random.default_rng(1).random((*weights[:-1], weights[-1] // block)) < kept
        values *= np.repeat(stays, block, axis=-1)
    x = model.tensor(input_, scale=0.05, zero_point=-3)
    w = model.tensor(weights, scale=scales, axis=axis, data=values)
    bias_scales = (np.float32(0.05) * np.asarray(scales, np.float32)).tolist()
    bias = rng.integers(-500, 500, channels, np.int32)
    b = model.tensor((channels,), "INT32", scale=bias_scales, data=bias)
    y = model.tensor(output, scale=0.1, zero_point=-128 if relu else 5)
    fused = 3 if clamp else RELU * relu
    operands = [x, w, b]
    if opcode == "TRANSPOSE_CONV":
        operands = [model.tensor((4,), "INT32", data=output), w, x, b]
    model.operator(opcode, operands, [y], FusedActivationFunction=fused, **options)
    return model.build([x], [y])


def output_size(size: int, window: int, stride: int, padding: int) -> int:
    return -(-size // stride) if padding == SAME else (size - window) // stride + 1


def _conv(
    image: tuple[int, int, int],
    window: tuple[int, int],
    outputs: int,
    *,
    stride: int = 1,
    padding: int = SAME,
    dilation: int = 1,
    **style: Any,
) -> bytes:
    extent = [(size - 1) * dilation + 1 for size in window]
    output = [output_size(image[i], extent[i], stride, padding) for i in (0, 1)]
    shapes = (1, *image), (outputs, *window, image[2]), (1, *output, outputs)
    options = {"Padding": padding, "StrideH": stride, "StrideW": stride}
    options |= {"DilationHFactor": dilation, "DilationWFactor": dilation}
    return weighted("CONV_2D", shapes, 0, **style, **options)


def depthwise(
    image: tuple[int, int, int],
    window: tuple[int, int] = (3, 3),
    *,
    stride: int = 1,
    padding: int = SAME,
    multiplier: int = 1,
    **style: bool,
) -> bytes:
    outputs = image[2] * multiplier
    output = [output_size(image[i], window[i], stride, padding) for i in (0, 1)]
    shapes = (1, *image), (1, *window, outputs), (1, *output, outputs)
    options = {"Padding": padding, "StrideH": stride, "StrideW": stride, "DepthMultiplier": multiplier}
    return weighted("DEPTHWISE_CONV_2D", shapes, 3, **style, **options)


def _dense(inputs: int, outputs: int, rows: int = 1, **style: Any) -> bytes:
    shapes = (1, rows, inputs), (outputs, inputs), (1, rows, outputs)
    return weighted("FULLY_CONNECTED", shapes, 0, KeepNumDims=True, **style)


def _pool(
    opcode: str, image: tuple[int, int, int], window: tuple[int, int], stride: int, padding: int
) -> bytes:
    model = TfliteBuilder()
    output = [output_size(image[i], window[i], stride, padding) for i in (0, 1)]
    x = model.tensor((1, *image), scale=0.1, zero_point=-128)
    y = model.tensor((1, *output, image[2]), scale=0.1, zero_point=-128)
    options = {"Padding": padding, "StrideH": stride, "StrideW": stride}
    model.operator(opcode, [x], [y], FilterHeight=window[0], FilterWidth=window[1], **options)
    return model.build([x], [y])


def _pointwise() -> Iterator[bytes]:
    for size, inputs, outputs, style in (
        ((5, 5), 64, 64, {}),
        ((4, 6), 16, 32, {"relu": False}),
        ((4, 4), 128, 16, {}),
        ((6, 6), 8, 16, {}),
        ((3, 5), 24, 6, {"relu": False}),
        ((8, 8), 20, 12, {"clamp": True}),
        ((5, 4), 7, 8, {}),
        ((4, 5), 10, 9, {"relu": False}),
        ((6, 6), 4, 8, {}),
        ((3, 3), 192, 32, {"relu": False}),
        ((2, 2), 160, 40, {}),
    ):
        yield _conv((*size, inputs), (1, 1), outputs, **style)
    yield _dense(64, 32, rows=6)


def _windows() -> Iterator[bytes]:
    for image, window, outputs, options in (
        ((8, 8, 16), (3, 3), 16, {}),
        ((12, 9, 8), (3, 3), 8, {"relu": False}),
        ((9, 9, 4), (3, 3), 12, {"stride": 2}),
        ((12, 12, 4), (5, 5), 8, {"padding": VALID}),
        ((10, 10, 32), (3, 3), 4, {"padding": VALID}),
        ((16, 8, 1), (10, 4), 16, {"stride": 2}),
        ((14, 14, 1), (4, 4), 32, {"clamp": True}),
        ((20, 10, 1), (3, 3), 16, {}),
        ((16, 16, 3), (3, 3), 16, {}),
        ((12, 12, 3), (3, 3), 16, {"stride": 2, "relu": False}),
        ((12, 12, 3), (5, 5), 24, {"padding": VALID}),
        ((10, 12, 6), (3, 3), 6, {}),
        ((10, 8, 6), (3, 3), 12, {"stride": 2}),
        ((10, 10, 2), (3, 3), 8, {"padding": VALID}),
        ((7, 7, 12), (2, 2), 10, {"padding": VALID, "relu": False}),
        ((8, 8, 32), (1, 1), 16, {"stride": 2}),
        ((9, 7, 20), (1, 3), 8, {}),
        ((7, 9, 16), (3, 1), 8, {}),
        ((8, 8, 8), (3, 3), 8, {}),
        ((8, 8, 16), (3, 3), 16, {"clamp": True}),
        ((6, 14, 24), (3, 3), 8, {"padding": VALID}),
        ((16, 6, 4), (3, 5), 8, {"relu": False}),
        ((10, 10, 12), (5, 3), 4, {}),
        ((5, 12, 16), (3, 3), 20, {"stride": 2}),
        ((7, 7, 32), (3, 3), 8, {}),
        ((49, 10, 1), (10, 4), 16, {"stride": 2, "relu": False}),
        ((10, 10, 8), (3, 3), 8, {"dilation": 2}),
        ((12, 12, 3), (3, 3), 6, {"dilation": 2, "padding": VALID}),
        ((6, 6, 4), (3, 3), 5, {"dilation": 2, "padding": VALID}),
        ((9, 9, 4), (3, 3), 5, {"least": True, "relu": False}),
        ((6, 6, 20), (1, 1), 12, {"least": True}),
        ((10, 8, 3), (5, 5), 16, {"least": True, "stride": 2}),
        ((8, 8, 16), (3, 3), 4, {"least": True, "padding": VALID}),
    ):
        yield _conv(image, window, outputs, **options)


def winograd_shapes() -> tuple[bytes, ...]:
    """Convolutions that Winograd's algorithm may take."""
    return tuple(
        _conv(image, (3, 3), outputs, **options)
        for image, outputs, options in (
            ((32, 32, 16), 16, {}),
            ((32, 32, 16), 16, {"relu": False}),
            ((16, 16, 32), 32, {}),
            ((8, 8, 64), 64, {"relu": False}),
            ((8, 8, 64), 16, {}),
            ((11, 10, 8), 12, {"relu": False}),
            ((16, 8, 20), 8, {"padding": VALID}),
            ((12, 12, 8), 24, {"clamp": True}),
            ((4, 30, 16), 32, {}),
            ((24, 4, 16), 16, {}),
            ((6, 9, 4), 6, {}),
            ((5, 30, 8), 2, {"relu": False}),
        )
    )


_SPARSE_WINDOWS: tuple[tuple[tuple[int, int, int], tuple[int, int], int, dict[str, Any]], ...] = (
    ((8, 8, 16), (3, 3), 16, {}),
    ((12, 9, 8), (3, 3), 8, {"relu": False}),
    ((9, 9, 4), (3, 3), 12, {"stride": 2}),
    ((12, 12, 4), (5, 5), 8, {"padding": VALID}),
    ((10, 10, 32), (3, 3), 8, {"padding": VALID, "relu": False}),
    ((10, 10, 12), (3, 3), 24, {"clamp": True}),
    ((7, 7, 32), (3, 3), 16, {}),
    ((16, 20, 24), (3, 3), 24, {}),
    ((16, 10, 24), (3, 3), 20, {"stride": 2}),
    ((8, 8, 32), (1, 1), 16, {"stride": 2}),
)


def sparse_shapes() -> Iterator[bytes]:
    for image, outputs, options in (
        ((5, 5, 64), 64, {}),
        ((25, 5, 64), 32, {"relu": False}),
        ((4, 4, 128), 16, {"relu": False, "kept": 0.5}),
        ((4, 5, 200), 20, {"kept": 0.5}),
        ((8, 8, 20), 12, {"clamp": True}),
    ):
        yield _conv(image, (1, 1), outputs, **{"kept": 0.25, **options})
    for image, window, outputs, options in _SPARSE_WINDOWS:
        yield _conv(image, window, outputs, **{"kept": 0.3, **options})
    for inputs, outputs, style in (
        (96, 64, {}),
        (272, 32, {"relu": False}),
        (640, 40, {}),
        (64, 28, {"clamp": True}),
        (128, 20, {"relu": False}),
    ):
        yield _dense(inputs, outputs, **{"kept": 0.25, **style})


def unstructured_shapes() -> Iterator[bytes]:
    for image, outputs, options in (
        ((5, 5, 64), 64, {}),
        ((25, 5, 64), 32, {"relu": False}),
        ((4, 4, 128), 16, {"relu": False, "kept": 0.4}),
        ((4, 5, 200), 20, {}),
        ((8, 8, 20), 12, {"clamp": True}),
        ((3, 3, 96), 40, {"kept": 0.1}),
        ((16, 8, 32), 8, {}),
    ):
        yield _conv(image, (1, 1), outputs, **{"kept": 0.25, "block": 1, **options})
    for image, window, outputs, options in _SPARSE_WINDOWS:
        yield _conv(image, window, outputs, **{"kept": 0.25, "block": 1, **options})


def depthwise_shapes() -> Iterator[bytes]:
    for image, options in (
        ((25, 5, 16), {}),
        ((8, 8, 8), {}),
        ((8, 8, 8), {"relu": False}),
        ((12, 12, 16), {}),
        ((12, 13, 8), {"relu": False}),
        ((16, 16, 4), {"padding": VALID}),
        ((20, 4, 12), {"padding": VALID, "relu": False}),
        ((6, 6, 32), {"clamp": True}),
        ((3, 3, 64), {}),
        ((24, 24, 8), {}),
        ((40, 3, 8), {"relu": False}),
        ((7, 20, 8), {}),
        ((30, 30, 4), {}),
    ):
        yield depthwise(image, **options)
    for image, window, options in (
        ((12, 12, 8), (3, 3), {"stride": 2}),
        ((9, 9, 16), (3, 3), {"stride": 2, "relu": False}),
        ((10, 10, 4), (5, 5), {}),
        ((25, 5, 8), (5, 3), {"stride": 2}),
        ((8, 8, 6), (3, 3), {}),
        ((8, 8, 3), (3, 3), {"multiplier": 4}),
        ((16, 16, 1), (3, 3), {"multiplier": 8, "padding": VALID}),
        ((6, 6, 12), (2, 2), {"padding": VALID}),
        ((8, 1, 16), (8, 1), {"padding": VALID}),
        ((20, 20, 2), (3, 3), {"padding": VALID}),
        ((16, 8, 24), (3, 3), {"stride": 2}),
        ((13, 13, 32), (3, 3), {"stride": 2, "relu": False}),
        ((11, 11, 8), (3, 3), {"stride": 2, "padding": VALID}),
        ((12, 12, 4), (5, 5), {"stride": 2, "padding": VALID}),
        ((8, 8, 12), (5, 5), {}),
        ((9, 6, 8), (3, 5), {"padding": VALID}),
        ((10, 4, 16), (4, 2), {}),
        ((7, 7, 5), (3, 3), {"padding": VALID}),
        ((6, 9, 2), (3, 3), {"multiplier": 3}),
        ((12, 1, 8), (5, 1), {}),
        ((10, 8, 48), (3, 3), {"stride": 2}),
        ((9, 7, 64), (3, 3), {"stride": 2, "relu": False}),
        ((12, 5, 32), (1, 5), {"padding": VALID}),
        ((8, 6, 24), (3, 3), {"stride": 2, "clamp": True}),
        ((7, 9, 20), (2, 3), {"clamp": True}),
    ):
        yield depthwise(image, window, **options)


def _dense_shapes() -> Iterator[bytes]:
    for inputs, outputs, style in (
        (64, 12, {}),
        (64, 10, {"relu": False}),
        (128, 128, {}),
        (40, 16, {"relu": False}),
        (8, 32, {}),
        (200, 7, {}),
        (130, 24, {"clamp": True}),
        (33, 20, {"relu": False}),
        (640, 16, {}),
        (256, 32, {"relu": False}),
        (72, 64, {}),
        (20, 1, {"relu": False}),
        (64, 12, {"least": True}),
        (30, 5, {"least": True, "relu": False}),
        (7, 16, {"least": True}),
        (128, 30, {"least": True}),
    ):
        yield _dense(inputs, outputs, **style)


def _pools() -> Iterator[bytes]:
    for opcode in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
        for image, window, stride, padding in (
            ((25, 5, 16), (25, 5), 1, VALID),
            ((8, 8, 32), (8, 8), 1, VALID),
            ((8, 8, 8), (2, 2), 2, VALID),
            ((9, 9, 4), (3, 3), 2, SAME),
            ((8, 8, 6), (2, 2), 2, VALID),
            ((6, 10, 3), (3, 3), 1, SAME),
            ((12, 4, 12), (4, 4), 4, VALID),
            ((12, 4, 7), (4, 4), 4, VALID),
            ((10, 6, 20), (2, 6), 2, VALID),
            ((9, 9, 5), (3, 3), 3, VALID),
            ((11, 7, 10), (3, 3), 2, VALID),
            ((12, 5, 6), (2, 2), 1, SAME),
            ((2, 2, 3), (2, 2), 1, VALID),
            ((3, 3, 2), (3, 3), 1, VALID),
        ):
            yield _pool(opcode, image, window, stride, padding)


def weighted_shapes() -> tuple[bytes, ...]:
    """Layers with weights, and pools."""
    families: tuple[Callable[[], Iterator[bytes]], ...] = (
        _pointwise,
        _windows,
        sparse_shapes,
        unstructured_shapes,
        depthwise_shapes,
        _dense_shapes,
        _pools,
    )
    return tuple(file for family in families for file in family())
