# SPDX-License-Identifier: Apache-2.0
"""Convolutions behind a PAD, for `pad_fusion`: most can take it for a border, and some cannot."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.random_layers import SAME, VALID, Drawer, layer_strategy

Pair = tuple[int, int]


class PaddedDrawer(Drawer):
    """Draws layers that read an image with a border."""

    def __init__(self, draw: DrawFn) -> None:
        super().__init__(draw)
        self.border: tuple[Pair, Pair] = ((0, 0), (0, 0))

    def input(self, shape: tuple[int, ...], **quantisation: Any) -> tuple[int, int]:
        pairs = ((0, 0), *self.border, (0, 0))
        image = [size - sum(pair) for size, pair in zip(shape, pairs, strict=True)]
        x = self.model.tensor(image, **quantisation)
        padded = self.model.tensor(shape, **quantisation)
        counts = self.model.tensor((4, 2), "INT32", data=pairs)
        self.model.operator("PAD", [x, counts], [padded])
        return x, padded


def _padded(d: PaddedDrawer) -> bytes:
    opcode = d.draw(st.sampled_from(["CONV_2D", "CONV_2D", "DEPTHWISE_CONV_2D"]))
    size = st.sampled_from([3, 3, 3, 1, 2, 4, 5])
    window = (3, 3) if d.draw(st.booleans()) else (d.draw(size), d.draw(size))
    stride = d.draw(st.sampled_from([(1, 1), (1, 1), (2, 2), (2, 1), (3, 3)]))
    dilation = d.draw(st.sampled_from([(1, 1), (1, 1), (1, 1), (2, 2), (1, 3)]))
    padding = d.draw(st.sampled_from([VALID] * 7 + [SAME]))
    shape, output, border = [], [], []
    for axis in (0, 1):
        extent = (window[axis] - 1) * dilation[axis] + 1
        # As ZeroPadding2D has it; now and then more than a layer can take.
        most = extent if d.integer(0, 15) == 0 else extent // 2
        pair = (d.integer(0, min(most, max((extent - 1) // 2, most - extent // 2))), d.integer(0, most))
        image = d.integer(max(1, extent - sum(pair)), d.draw(st.sampled_from([6, 12, 24])) + extent)
        padded = image + sum(pair)
        border.append(pair)
        shape.append(padded)
        steps = -(-padded // stride[axis]) if padding == SAME else (padded - extent) // stride[axis] + 1
        output.append(steps)
    d.border = (border[0], border[1])
    options = {"Padding": padding, "StrideH": stride[0], "StrideW": stride[1]}
    options |= {"DilationHFactor": dilation[0], "DilationWFactor": dilation[1]}
    # Kernels of words take multiples of 4, those of strips few channels.
    inputs, outputs = (
        d.draw(st.sampled_from([1, 2, 3, 4, 4, 8, 8, 12, 5])),
        d.draw(st.sampled_from([4, 8, 12, 7])),
    )
    if opcode == "CONV_2D":
        shapes = (1, *shape, inputs), (outputs, *window, inputs), (1, *output, outputs)
        return d.weighted(opcode, shapes, 0, **options)
    shapes = (1, *shape, inputs), (1, *window, inputs), (1, *output, inputs)
    return d.weighted(opcode, shapes, 3, DepthMultiplier=1, **options)


PADDED = layer_strategy(_padded, PaddedDrawer)
