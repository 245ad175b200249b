# SPDX-License-Identifier: Apache-2.0
"""Hypothesis strategies for layers most of whose weights are zero, in blocks of four inputs or anywhere."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from mcu_ser.aot.kernels.kernel_call import KernelCall
from tests.random_layers import SAME, VALID, Drawer, layer_strategy
from tests.tflite_builder import TfliteBuilder


def _blocks_kept(d: Drawer, weights: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.int8]]:
    """The weights with most blocks zero, in some channels all of them or none."""
    outputs, inputs = weights.shape[0], weights.shape[-1]
    share = d.draw(st.sampled_from([0.0, 0.1, 0.25, 0.25, 0.5, 1.0]))
    kept = d.rng.random((*weights.shape[:-1], inputs // 4)) < share
    if outputs > 1 and d.draw(st.booleans()):
        kept[d.integer(0, outputs - 1)] = d.draw(st.booleans())
    return weights * np.repeat(kept, 4, axis=-1).astype(np.int8)


class SparseDrawer(Drawer):
    """Draws weights in blocks."""

    def weights(self, shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.int8]]:
        return _blocks_kept(self, super().weights(shape))


class UnstructuredDrawer(Drawer):
    """Draws weights with zeros anywhere, in some channels nothing else or none."""

    def weights(self, shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.int8]]:
        # With few weights left, many are more inputs apart than a step of the stream.
        share = self.draw(st.sampled_from([0.0, 0.02, 0.05, 0.1, 0.25, 0.25, 0.4]))
        kept = self.rng.random(shape) < share
        if shape[0] > 2 and self.draw(st.booleans()):
            kept[self.integer(0, shape[0] - 1)] = self.draw(st.booleans())
        return super().weights(shape) * kept.astype(np.int8)


def _pointwise(d: Drawer) -> bytes:
    # 68 and more input channels have more blocks than one pass of the chain.
    image = d.draw(st.sampled_from([(1, 4), (2, 2), (1, 5), (3, 3), (4, 5)]))
    inputs, outputs = d.draw(st.sampled_from([4, 8, 16, 60, 64, 68, 128, 136, 200])), d.integer(1, 12)
    shapes = (1, *image, inputs), (outputs, 1, 1, inputs), (1, *image, outputs)
    return d.weighted("CONV_2D", shapes, 0, Padding=VALID, StrideH=1, StrideW=1)


def _eight_rows(d: Drawer) -> bytes:
    # 68 and more input channels may have more weights than one pass of the chain.
    image = d.draw(st.sampled_from([(1, 8), (2, 4), (3, 3), (1, 13), (4, 5)]))
    inputs, outputs = d.draw(st.sampled_from([4, 8, 16, 60, 64, 68, 128, 136, 200, 256])), d.integer(1, 12)
    shapes = (1, *image, inputs), (outputs, 1, 1, inputs), (1, *image, outputs)
    return d.weighted("CONV_2D", shapes, 0, Padding=VALID, StrideH=1, StrideW=1)


def _fully_connected_rows(d: Drawer) -> bytes:
    rows, inputs, outputs = d.integer(8, 11), d.draw(st.sampled_from([4, 20, 64, 160])), d.integer(1, 9)
    shapes = (1, rows, inputs), (outputs, inputs), (1, rows, outputs)
    return d.weighted("FULLY_CONNECTED", shapes, 0, KeepNumDims=True)


def _windows(d: Drawer) -> bytes:
    padding, stride = d.draw(st.sampled_from([SAME, SAME, VALID])), (d.integer(1, 2), d.integer(1, 2))
    window, output = (d.integer(1, 3), d.integer(1, 3)), (d.integer(2, 5), d.integer(2, 5))
    inputs, outputs = d.draw(st.sampled_from([4, 8, 12, 24])), d.integer(1, 9)
    image = tuple(output[i] * stride[i] for i in (0, 1))
    if padding == VALID:
        image = tuple((output[i] - 1) * stride[i] + window[i] for i in (0, 1))
    shapes = (1, *image, inputs), (outputs, *window, inputs), (1, *output, outputs)
    return d.weighted("CONV_2D", shapes, 0, Padding=padding, StrideH=stride[0], StrideW=stride[1])


def _fully_connected(d: Drawer) -> bytes:
    rows, outputs = d.draw(st.sampled_from([1, 1, 5])), d.integer(1, 20)
    inputs = d.draw(st.sampled_from([4, 12, 64, 68, 132, 200, 400]))
    shapes = (1, rows, inputs), (outputs, inputs), (1, rows, outputs)
    return d.weighted("FULLY_CONNECTED", shapes, 0, KeepNumDims=True)


SPARSE = {
    "CONV_2D, sparse windows": layer_strategy(_windows, SparseDrawer),
    "CONV_2D, sparse rows": layer_strategy(_pointwise, SparseDrawer),
    "FULLY_CONNECTED, sparse": layer_strategy(_fully_connected, SparseDrawer),
    "CONV_2D, unstructured rows": layer_strategy(_eight_rows, UnstructuredDrawer),
    "CONV_2D, unstructured windows": layer_strategy(_windows, UnstructuredDrawer),
    "FULLY_CONNECTED, unstructured rows": layer_strategy(_fully_connected_rows, UnstructuredDrawer),
}


def whatever_is_sparse(dense: KernelCall, *found: KernelCall | None) -> KernelCall:
    """In place of `sparse.better`: a sparse call wherever there is one, of several the last."""
    return next((call for call in reversed(found) if call is not None), dense)


def every_count(block: int, most: int, rows: int, *, relu: bool) -> bytes:
    """A model of one matrix, whose channels have 0, 1, 2 ... `most` blocks of so many weights.

    A chain is entered at each of its steps, and left after each number of passes.
    """
    rng = np.random.default_rng(0)
    depth = 4 * most if block == 4 else 3 * block * most + 2
    depth += -depth % 4
    weights = np.zeros((most + 1, depth // block, block), np.int8)
    for count, channel in enumerate(weights):
        drawn = rng.integers(1, 128, (count, block)) * rng.choice([-1, 1], (count, block))
        # Two weights far apart would have zeros between them in the stream.
        places = rng.permutation(len(channel))[:count] if block == 4 else np.arange(0, 3 * count, 3)
        channel[places] = drawn
    model = TfliteBuilder()
    x = model.tensor((1, rows, depth), scale=1.0, zero_point=-7)
    w = model.tensor((most + 1, depth), scale=1.0, data=weights.reshape(most + 1, depth))
    y = model.tensor((1, rows, most + 1), scale=2.0**9, zero_point=-128 if relu else 3)
    options = {"KeepNumDims": True, "FusedActivationFunction": int(relu)}
    model.operator("FULLY_CONNECTED", [x, w], [y], **options)
    return model.build([x], [y])


EVERY_COUNT = {
    f"{kernel}_{chain}_{'direct' if relu else 'signed'}": every_count(block, most, rows, relu=relu)
    for kernel, block, rows in (
        ("rows_sparse", 4, 6),
        ("fully_connected_sparse", 4, 1),
        ("rows_unstructured", 2, 9),
    )
    for chain, most in (("once", 16), ("repeated", 35))
    for relu in (True, False)
}
"""Models of sparse kernels, by kernel, chain and way from sums to int8."""
