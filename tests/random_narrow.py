# SPDX-License-Identifier: Apache-2.0
"""Convolutions of few input channels, drawn by Hypothesis or chosen, and what makes them go by strips."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import strategies as st

from mcu_ser.aot import compile as compiler
from mcu_ser.aot import kernels
from mcu_ser.aot.kernels import conv_2d
from tests.layer_shapes import _conv as chosen
from tests.random_layers import SAME, VALID, Drawer, layer_strategy


def _conv(d: Drawer) -> bytes:
    channels = d.draw(st.sampled_from([1, 1, 1, 2, 3]))
    # A window has at most 64 inputs, or 32 words.
    window = (d.integer(1, 7), d.integer(1, 9 if channels == 1 else 3))
    stride = (d.integer(1, 3), d.integer(1, 3))
    padding = d.draw(st.sampled_from([SAME, SAME, VALID]))
    least = window if padding == VALID else (1, 1)
    # Wide enough, now and then, for several strips and bands.
    image = (d.integer(least[0], least[0] + 12), d.integer(least[1], least[1] + 40))
    if padding == SAME:
        output = [-(-image[i] // stride[i]) for i in (0, 1)]
    else:
        output = [(image[i] - window[i]) // stride[i] + 1 for i in (0, 1)]
    outputs = d.draw(st.sampled_from([4, 4, 8, 12]))
    shapes = (1, *image, channels), (outputs, *window, channels), (1, *output, outputs)
    return d.weighted("CONV_2D", shapes, 0, Padding=padding, StrideH=stride[0], StrideW=stride[1])


NARROW = layer_strategy(_conv)


@contextmanager
def narrow_wherever_exact(strip_bytes: int = 256) -> Iterator[None]:
    """All convolutions by strips of windows that may be; in a build only those are for which it pays."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(
            kernels.KERNELS,
            "CONV_2D",
            lambda graph, operator: (
                conv_2d.call_narrow(graph, operator, strip_bytes) or conv_2d.call(graph, operator)
            ),
        )
        yield


@contextmanager
def never_narrow() -> Iterator[None]:
    """No convolution by strips of windows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiler, "with_narrow", lambda graph, aliases, calls: dict(calls))
        yield


def narrow_shapes() -> tuple[bytes, ...]:
    """Convolutions of few input channels, which may go by strips of windows."""
    return tuple(
        chosen(image, window, outputs, **options)
        for image, window, outputs, options in (
            ((49, 10, 1), (10, 4), 64, {"stride": 2}),
            ((40, 20, 1), (3, 3), 8, {}),
            ((30, 21, 1), (3, 3), 16, {"relu": False}),
            ((40, 20, 1), (5, 5), 16, {"stride": 2}),
            ((24, 16, 1), (5, 5), 8, {"clamp": True}),
            ((41, 20, 1), (7, 7), 8, {"stride": 2}),
            ((30, 30, 1), (7, 7), 16, {"padding": VALID}),
            ((20, 20, 3), (3, 3), 16, {}),
            ((20, 20, 3), (3, 3), 8, {"stride": 2, "relu": False}),
            ((12, 30, 2), (3, 3), 8, {"padding": VALID}),
            ((10, 40, 1), (3, 8), 12, {}),
            ((30, 10, 1), (4, 2), 24, {}),
            ((6, 50, 1), (2, 6), 8, {"relu": False}),
            ((9, 7, 1), (3, 3), 4, {}),
            ((16, 64, 2), (1, 9), 16, {"stride": 2}),
            ((60, 6, 1), (5, 3), 32, {"padding": VALID}),
            ((16, 16, 1), (4, 4), 12, {"clamp": True, "relu": False}),
        )
    )
