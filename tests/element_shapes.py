# SPDX-License-Identifier: Apache-2.0
"""As `layer_shapes`, for operators on elements, and for reductions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.layer_shapes import RELU
from tests.tflite_builder import TfliteBuilder


def _pair(
    opcode: str,
    first: tuple[int, ...],
    second: tuple[int, ...],
    *,
    zero_point: int = -128,
    scale: float = 0.07,
    **options: Any,
) -> bytes:
    """`zero_point` is that of the output, `scale` that of the second input."""
    model = TfliteBuilder()
    output = tuple(np.broadcast_shapes(first, second))
    x = model.tensor(first, scale=0.1, zero_point=-128)
    scale, offset = (0.1, -128) if opcode in {"MINIMUM", "MAXIMUM"} else (scale, 3)
    constant = np.random.default_rng(0).integers(-128, 128, second)
    z = model.tensor(second, scale=scale, zero_point=offset, data=constant)
    y = model.tensor(output, scale=0.1, zero_point=zero_point)
    model.operator(opcode, [x, z], [y], **options)
    return model.build([x], [y])


def _single(
    opcode: str, shape: tuple[int, ...], output: tuple[float, int] = (0.11, -128), **options: Any
) -> bytes:
    model = TfliteBuilder()
    x = model.tensor(shape, scale=0.1, zero_point=-5)
    y = model.tensor(shape, scale=output[0], zero_point=output[1])
    model.operator(opcode, [x], [y], **options)
    return model.build([x], [y])


def _reduction(opcode: str, shape: tuple[int, ...], axes: tuple[int, ...]) -> bytes:
    model = TfliteBuilder()
    x = model.tensor(shape, scale=0.1, zero_point=-128)
    axis = model.tensor((len(axes),), "INT32", data=axes)
    kept = tuple(1 if i in axes else size for i, size in enumerate(shape))
    y = model.tensor(kept, scale=0.1, zero_point=-128)
    model.operator(opcode, [x, axis], [y], KeepDims=True)
    return model.build([x], [y])


def _largest(shape: tuple[int, ...], axis: int) -> bytes:
    model = TfliteBuilder()
    x = model.tensor(shape, scale=0.1, zero_point=-128)
    place = model.tensor((1,), "INT32", data=[axis])
    y = model.tensor((*shape[:axis], *shape[axis + 1 :]), "INT32")
    model.operator("ARG_MAX", [x, place], [y], OutputType=2)
    return model.build([x], [y])


def element_shapes() -> Iterator[bytes]:
    """All models."""
    for shape in ((1, 8, 8, 16), (1, 100), (1, 5, 5, 64), (1, 12)):
        for opcode in ("ADD", "MUL", "MINIMUM"):
            yield _pair(opcode, shape, shape)
            yield _pair(opcode, shape, shape[-1:])
        yield _pair("SUB", shape, shape)
        yield _pair("ADD", shape, shape, zero_point=5)
        # Its many ties need roundings of their own.
        yield _pair("ADD", shape, shape, scale=0.05)
        yield _pair("ADD", shape, shape, scale=0.05, zero_point=5)
        yield _pair("ADD", shape, shape, FusedActivationFunction=3)
        yield _pair("ADD", shape, shape, FusedActivationFunction=RELU)
        yield _pair("PRELU", shape, shape[-1:])
        yield _pair("PRELU", shape, shape)
        yield _single("RELU", shape)
        yield _single("RELU6", shape, (0.1, -5))
        yield _single("LOGISTIC", shape, (1 / 256, -128))
    # What SOFTMAX takes depends on its inputs: of many rows nearly the mean. Great factors leave out more.
    for shape in ((1, 64, 12), (1, 100, 4), (1, 16, 100), (1, 200, 2), (1, 40, 30)):
        for beta in (0.1, 1.0, 5.0):
            yield _single("SOFTMAX", shape, (1 / 256, -128), Beta=beta)
    for opcode in ("MEAN", "REDUCE_MAX"):
        for shape, axes in (
            ((1, 25, 5, 16), (1, 2)),
            ((1, 8, 8, 32), (1, 2)),
            ((1, 8, 8, 8), (3,)),
            ((1, 10, 6, 4), (2,)),
            ((1, 7, 7, 12), (1, 2)),
            ((1, 20, 30), (1,)),
            ((1, 6, 5), (1,)),
            ((1, 2, 2, 4), (1, 2)),
        ):
            yield _reduction(opcode, shape, axes)
    for shape, axis in (
        ((1, 12), 1),
        ((1, 8, 8, 6), 3),
        ((1, 30, 20), 1),
        ((1, 100), 1),
        ((1, 25, 5, 16), 2),
    ):
        yield _largest(shape, axis)
