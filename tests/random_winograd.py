# SPDX-License-Identifier: Apache-2.0
"""Hypothesis strategy of convolutions that Winograd's algorithm may take, and what makes it take them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import strategies as st

from mcu_ser.aot import kernels
from mcu_ser.aot.kernels import conv_2d
from tests.random_layers import SAME, VALID, Drawer, layer_strategy


def _conv_3x3(d: Drawer) -> bytes:
    padding = d.draw(st.sampled_from([SAME, SAME, VALID]))
    # Odd heights, and widths with tiles to spare, are partly computed twice.
    output = d.integer(2, 7), d.draw(st.one_of(st.integers(4, 9), st.just(16)))
    image = output if padding == SAME else (output[0] + 2, output[1] + 2)
    inputs, outputs = (
        d.draw(st.sampled_from([4, 4, 8, 12, 20, 64])),
        d.draw(st.sampled_from([2, 2, 4, 6, 14])),
    )
    shapes = (1, *image, inputs), (outputs, 3, 3, inputs), (1, *output, outputs)
    return d.weighted("CONV_2D", shapes, 0, Padding=padding, StrideH=1, StrideW=1)


WINOGRAD = layer_strategy(_conv_3x3)


@contextmanager
def winograd_wherever_exact() -> Iterator[None]:
    """All convolutions by Winograd's algorithm that may be; in a build only those are for which it pays."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(
            kernels.KERNELS,
            "CONV_2D",
            lambda graph, operator: conv_2d.call_winograd(graph, operator) or conv_2d.call(graph, operator),
        )
        yield
