# SPDX-License-Identifier: Apache-2.0
"""As `random_layers`, for TRANSPOSE_CONV and BATCH_MATMUL."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.random_layers import SAME, VALID, ZERO_POINTS, Drawer, LayerModel, layer_strategy


def _transpose_conv(d: Drawer) -> bytes:
    padding = d.draw(st.sampled_from([SAME, VALID]))
    image, window, stride = [], [], []
    for _ in range(2):
        window.append(d.integer(1, 5))
        stride.append(d.integer(1, 4))
        image.append(d.integer(1, 6))
    # What the strides of the transposed convolution leave over may be part of the output.
    if padding == SAME:
        output = [i * s - d.integer(0, s - 1) for i, s in zip(image, stride, strict=True)]
    else:
        sizes = zip(image, window, stride, strict=True)
        output = [(i - 1) * s + w + d.integer(0, s - 1) for i, w, s in sizes]
    inputs, outputs = d.channels(), d.channels()
    shapes = (1, *image, inputs), (outputs, *window, inputs), (1, *output, outputs)
    return d.weighted("TRANSPOSE_CONV", shapes, 0, Padding=padding, StrideH=stride[0], StrideW=stride[1])


def _stack(d: Drawer, output: list[int], rank: int) -> tuple[int, ...]:
    """Dimensions of an operand before its matrices: some broadcast, some left out at the front."""
    sizes = [1 if d.draw(st.sampled_from([False, False, True])) else size for size in output]
    return tuple(sizes[len(sizes) - rank :]) if rank else ()


def _batch_matmul(d: Drawer) -> bytes:
    rows, depth, columns = d.integer(1, 9), d.draw(st.sampled_from([1, 3, 4, 8, 17, 40])), d.integer(1, 9)
    # One operand has all dimensions of the output, the batch of 1 among them.
    output = [1, *d.draw(st.lists(st.integers(1, 3), max_size=2))]
    ranks = [len(output), d.integer(0, len(output))]
    if d.draw(st.booleans()):
        ranks.reverse()
    stacks = [_stack(d, output, rank) for rank in ranks]
    whole = np.broadcast_shapes(*stacks)
    swapped = d.draw(st.booleans()), d.draw(st.booleans())
    sizes = [(rows, depth), (depth, columns)]
    shapes = [
        stack + (pair[::-1] if swap else pair)
        for stack, pair, swap in zip(stacks, sizes, swapped, strict=True)
    ]
    return _product_of(d, shapes, (*whole, rows, columns), depth, swapped)


def _product_of(
    d: Drawer,
    shapes: list[tuple[int, ...]],
    output: tuple[int, ...],
    depth: int,
    swapped: tuple[bool, bool],
) -> bytes:
    scales = d.scale(), d.scale()
    # The model's input needs a batch of 1; the other operand is a constant, or computed from the input.
    place = d.draw(st.sampled_from([i for i, shape in enumerate(shapes) if shape[0] == 1]))
    x = d.model.tensor(shapes[place], scale=scales[place], zero_point=d.draw(ZERO_POINTS))
    other = 1 - place
    like: dict[str, Any] = {"scale": scales[other], "zero_point": d.draw(ZERO_POINTS)}
    if (
        sorted(shapes[0]) == sorted(shapes[1])
        and np.prod(shapes[0]) == np.prod(shapes[1])
        and d.draw(st.booleans())
    ):
        z = d.model.tensor(shapes[other], **like)
        flat = d.model.tensor((len(shapes[other]),), "INT32", data=shapes[other])
        d.model.operator("RESHAPE", [x, flat], [z])
    else:
        z = d.model.tensor(shapes[other], data=d.weights(shapes[other]), **like)
    y = d.activation(output, d.output_scale(scales[0] * scales[1] * 74 * 74 * depth**0.5))
    operands = [x, z] if place == 0 else [z, x]
    d.model.operator("BATCH_MATMUL", operands, [y], AdjX=swapped[0], AdjY=swapped[1])
    return d.model.build([x], [y])


PRODUCTS: dict[str, SearchStrategy[LayerModel]] = {
    "BATCH_MATMUL": layer_strategy(_batch_matmul),
    "TRANSPOSE_CONV": layer_strategy(_transpose_conv),
}
