# SPDX-License-Identifier: Apache-2.0
"""As `layer_shapes`, for operators that move elements, and for products without constant weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tests.layer_shapes import SAME, VALID, weighted
from tests.tflite_builder import TfliteBuilder

Shape = tuple[int, ...]
_LIKE: dict[str, Any] = {"scale": 0.1, "zero_point": -5}


def _moved(
    opcode: str, shape: Shape, output: Shape, numbers: Sequence[Sequence[int]] = (), **options: Any
) -> bytes:
    """An operator between two shapes, with constant operands of integers."""
    model = TfliteBuilder()
    x = model.tensor(shape, **_LIKE)
    constants = [
        model.tensor((len(values),), "INT32", data=values)
        if opcode != "PAD"
        else model.tensor((len(values) // 2, 2), "INT32", data=np.reshape(values, (-1, 2)))
        for values in numbers
    ]
    y = model.tensor(output, **_LIKE)
    model.operator(opcode, [x, *constants], [y], **options)
    return model.build([x], [y])


def _joined(shape: Shape, others: Sequence[Shape], axis: int) -> bytes:
    """CONCATENATION of the input with constants."""
    model = TfliteBuilder()
    x = model.tensor(shape, **_LIKE)
    rng = np.random.default_rng(0)
    constants = [model.tensor(s, data=rng.integers(-128, 128, s), **_LIKE) for s in others]
    output = list(shape)
    output[axis] += sum(s[axis] for s in others)
    y = model.tensor(tuple(output), **_LIKE)
    model.operator("CONCATENATION", [x, *constants], [y], Axis=axis)
    return model.build([x], [y])


def _padded(shape: Shape, *paddings: tuple[int, int]) -> bytes:
    output = tuple(before + size + after for size, (before, after) in zip(shape, paddings, strict=True))
    return _moved("PAD", shape, output, [[count for pair in paddings for count in pair]])


def _strided(shape: Shape, *slices: slice) -> bytes:
    # No end in the file can say "before the first": the masks do.
    whole = (1 << len(shape)) - 1
    output = np.empty(shape, np.int8)[slices].shape
    steps = [one.step or 1 for one in slices]
    zeros = [0] * len(shape)
    return _moved(
        "STRIDED_SLICE",
        shape,
        output,
        [zeros, zeros, steps],
        BeginMask=whole,
        EndMask=whole,
        ShrinkAxisMask=0,
    )


def _copies() -> Iterator[bytes]:
    yield _joined((1, 8, 8, 16), [(1, 8, 8, 8)], 3)
    yield _joined((1, 25, 5, 4), [(1, 25, 5, 4), (1, 25, 5, 12)], 3)
    yield _joined((1, 10, 6, 3), [(1, 10, 6, 5)], 3)
    yield _joined((1, 100), [(1, 28)], 1)
    yield _joined((1, 6, 80), [(1, 6, 100)], 2)
    for shape, output, begins in (
        ((1, 16, 16, 8), (1, 10, 10, 8), (0, 3, 3, 0)),
        ((1, 16, 16, 8), (1, 10, 10, 4), (0, 3, 3, 4)),
        ((1, 49, 10, 1), (1, 40, 10, 1), (0, 4, 0, 0)),
        ((1, 12, 200), (1, 12, 150), (0, 0, 25)),
        ((1, 12, 12, 3), (1, 9, 9, 3), (0, 1, 1, 0)),
        ((1, 40, 9), (1, 40, 6), (0, 0, 2)),
    ):
        yield _moved("SLICE", shape, output, [begins, output])
    every, second, back = slice(None), slice(None, None, 2), slice(None, None, -1)
    yield _strided((1, 20, 20, 3), every, second, second, every)
    yield _strided((1, 16, 16, 16), every, second, second, every)
    yield _strided((1, 40, 16), every, back, every)
    yield _strided((1, 300), every, second)
    yield _strided((1, 12, 30), every, every, back)
    for shape, order in (
        ((1, 49, 10, 2), (0, 2, 1, 3)),
        ((1, 8, 8, 16), (0, 3, 1, 2)),
        ((1, 20, 30), (0, 2, 1)),
        ((1, 60, 5), (0, 2, 1)),
        ((1, 4, 6, 8), (0, 3, 2, 1)),
        ((1, 10, 4, 16), (0, 2, 1, 3)),
    ):
        yield _moved("TRANSPOSE", shape, tuple(shape[axis] for axis in order), [order])


def _resized() -> Iterator[bytes]:
    for shape, size in (
        ((1, 5, 5, 16), (10, 10)),
        ((1, 4, 4, 3), (8, 8)),
        ((1, 6, 6, 96), (12, 6)),
        ((1, 5, 5, 16), (7, 7)),
        ((1, 9, 4, 3), (13, 9)),
        ((1, 6, 6, 64), (8, 8)),
        ((1, 10, 10, 1), (15, 15)),
        ((1, 4, 4, 100), (5, 6)),
        ((1, 7, 5, 8), (10, 11)),
        ((1, 3, 3, 131), (4, 5)),
    ):
        yield _moved("RESIZE_NEAREST_NEIGHBOR", shape, (1, *size, shape[3]), [size])


def _pads() -> Iterator[bytes]:
    for shape, *paddings in (
        ((1, 8, 8, 16), (0, 0), (1, 1), (1, 1), (0, 0)),
        ((1, 16, 16, 3), (0, 0), (0, 1), (0, 1), (0, 0)),
        ((1, 49, 10, 1), (0, 0), (4, 5), (1, 1), (0, 0)),
        ((1, 100), (0, 0), (0, 28)),
        ((1, 4, 6, 8), (0, 0), (0, 0), (0, 0), (4, 4)),
        ((1, 30, 20), (0, 0), (2, 0), (0, 0)),
        ((1, 20, 90), (0, 0), (0, 0), (10, 20)),
        ((1, 6, 5, 40), (0, 0), (1, 1), (1, 1), (0, 0)),
        ((1, 25, 5, 64), (0, 0), (1, 1), (1, 1), (0, 0)),
        ((1, 12, 12, 2), (0, 0), (2, 2), (2, 2), (0, 0)),
        ((1, 3, 4, 5), (0, 0), (1, 2), (2, 1), (1, 3)),
    ):
        yield _padded(shape, *paddings)


def _transposed_convolutions() -> Iterator[bytes]:
    for image, window, outputs, stride, options in (
        ((5, 5, 8), (3, 3), 8, 2, {}),
        ((6, 6, 16), (2, 2), 8, 2, {"relu": False}),
        ((4, 4, 12), (4, 4), 6, 2, {}),
        ((8, 8, 4), (3, 3), 4, 1, {"relu": False}),
        ((3, 7, 20), (3, 5), 5, 3, {}),
        ((10, 1, 16), (5, 1), 16, 2, {"relu": False}),
        ((6, 6, 3), (2, 2), 9, 2, {}),
        ((4, 4, 32), (3, 3), 2, 2, {}),
        ((1, 2, 3), (2, 2), 4, 2, {}),
    ):
        output = tuple(size * stride for size in image[:2])
        shapes = (1, *image), (outputs, *window, image[2]), (1, *output, outputs)
        yield weighted("TRANSPOSE_CONV", shapes, 0, Padding=SAME, StrideH=stride, StrideW=stride, **options)
    shapes = (1, 5, 5, 8), (8, 3, 3, 8), (1, 11, 11, 8)
    yield weighted("TRANSPOSE_CONV", shapes, 0, Padding=VALID, StrideH=2, StrideW=2)


def _matrix_products() -> Iterator[bytes]:
    for stack, (rows, depth, columns), swapped in (
        ((1,), (20, 16, 20), (False, True)),
        ((1,), (20, 20, 16), (False, False)),
        ((1, 4), (12, 8, 12), (False, True)),
        ((1,), (9, 40, 7), (False, False)),
        ((1,), (6, 30, 13), (True, False)),
        ((1, 2), (5, 64, 4), (True, True)),
        ((1,), (1, 64, 32), (False, False)),
        ((1,), (16, 3, 16), (False, True)),
        ((1,), (7, 24, 3), (False, True)),
    ):
        first, second = (rows, depth), (depth, columns)
        model = TfliteBuilder()
        x = model.tensor((*stack, *(first[::-1] if swapped[0] else first)), scale=0.05, zero_point=-3)
        other = (*stack, *(second[::-1] if swapped[1] else second))
        values = np.random.default_rng(0).integers(-128, 128, other)
        z = model.tensor(other, scale=0.02, zero_point=4, data=values)
        y = model.tensor((*stack, rows, columns), scale=0.3, zero_point=1)
        model.operator("BATCH_MATMUL", [x, z], [y], AdjX=swapped[0], AdjY=swapped[1])
        yield model.build([x], [y])


def _norms() -> Iterator[bytes]:
    for shape in ((1, 64), (1, 16, 16), (1, 600), (1, 8, 8, 8), (1, 40, 3), (1, 5, 128)):
        model = TfliteBuilder()
        x = model.tensor(shape, **_LIKE)
        y = model.tensor(shape, scale=1 / 128, zero_point=0)
        model.operator("L2_NORMALIZATION", [x], [y])
        yield model.build([x], [y])


def move_shapes() -> tuple[bytes, ...]:
    """All models."""
    families = (_copies, _resized, _pads, _transposed_convolutions, _matrix_products, _norms)
    return tuple(file for family in families for file in family())
