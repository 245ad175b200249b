# SPDX-License-Identifier: Apache-2.0
"""CONV_2D of inputs with few channels, such as the first layer of a model that hears.

Windows of few inputs in short rows are gathered from a copy of the input into strips, and multiplied with
weights that are widened once per inference, which takes scratch but no flash. What is computed, and how the
constants lie, is described in conv_2d_narrow.h.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mcu_ser.aot import finish
from mcu_ser.aot.finish import SIGNED, Finish, Output
from mcu_ser.aot.kernels.images import copied_size, image, size_struct, window_struct
from mcu_ser.aot.kernels.kernel_call import KernelCall, Name, Table, struct
from mcu_ser.aot.kernels.matmul import BLOCK, Int64Array, UInt32Array, as_words
from mcu_ser.aot.overlap import of_copied_bands
from mcu_ser.aot.weighted import Weighted
from mcu_ser.aot.window import Window

NARROW_KERNEL = "aot_conv_2d_narrow"

# As conv_2d_narrow_dsp.h has them without the generator.
MOST_STEPS = 32

# An int8 weight may be shifted by so many bits within int16.
_MOST_LEFT = 8
# The signed way doubles its sums.
_SIGNED_LEFT = 1

# With more channels, pixels are whole words, or rows of windows long enough, for other kernels.
_MOST_CHANNELS = 3

_MOST_PAIRS = 16

Word = tuple[int, int | None]


def narrow_call(layer: Weighted, window: Window, output: Output, strip_bytes: int) -> KernelCall | None:
    """The call of a CONV_2D by strips of windows; None where that does not suit or is not exact.

    Args:
        layer: The layer.
        window: Its window.
        output: What it does with its scaled sums.
        strip_bytes: Scratch for the windows of a strip, and as much for the input rows of a band, if that is
            enough for a pair of windows and for one row.
    """
    words = tuple(window_words(window.size[0], window.size[1] * layer.input.shape[3]))
    found = _choose_finish(layer, output) if _suits(layer, window, len(words)) else None
    if found is None:
        return None
    end_shift, finishes = found
    band = _band(layer, window, strip_bytes)
    copied = _copied_size(layer, window, band)
    strip = max(1, min(_MOST_PAIRS, strip_bytes // (8 * len(words))))
    parameters = _parameter_words(end_shift)
    form = "SIGNED" if end_shift == SIGNED else f"SHIFTED({end_shift})"
    scratch_words = _constant_words(layer, len(words), parameters) + 2 * strip * len(words)
    return KernelCall(
        header="conv_2d_narrow.h",
        kernel=NARROW_KERNEL,
        struct_name="aot_conv_2d_narrow",
        description=struct(
            input=image(layer.input),
            output=image(layer.output),
            window=window_struct(window),
            zero_point=layer.input.zero_point,
            copied_size=size_struct(copied),
            band=band,
            words=len(words),
            strip=strip,
            stream=Table("stream", _stream(layer, words, finishes, end_shift)),
            parameters=parameters,
            finish=Name(f"AOT_FINISH_NARROW_{form}"),
            min=output.min,
            max=output.max,
        ),
        inputs=(layer.input.index,),
        output=layer.output.index,
        macs=int(np.prod(window.output)) * layer.weights_by_channel.size,
        included=("dsp.h", "conv_2d_border.h", "conv_2d_narrow_dsp.h"),
        scratch_bytes=4 * (scratch_words + int(np.prod(copied)) // 4 + 1),
        sparsity=layer.sparsity,
        narrow_steps=len(words),
        overlap=of_copied_bands(layer.input, layer.output, window, band),
    )


def window_words(height: int, run: int) -> Iterator[Word]:
    """Which two inputs each word of a window holds, as conv_2d_narrow.h says; None for none.

    Args:
        height: Rows of the window.
        run: Inputs of one row.
    """
    rest = run % 4
    left: int | None = None
    for row in range(height):
        start = row * run
        for i in range(start, start + run - rest, 4):
            yield i, i + 2
            yield i + 1, i + 3
        end = start + run - rest
        if rest == 3:
            yield end, end + 2
        elif rest == 2:
            yield end, end + 1
        if rest % 2:
            single = end + rest // 2
            if left is None:
                left = single
            else:
                yield left, single
                left = None
    if left is not None:
        yield left, None


def _suits(layer: Weighted, window: Window, words: int) -> bool:
    if layer.input.shape[3] > _MOST_CHANNELS or layer.channels % BLOCK or words > MOST_STEPS:
        return False
    return window.dilation == (1, 1) and window.size != (1, 1)


def _copied_size(layer: Weighted, window: Window, band: int) -> tuple[int, int, int]:
    """Height, width and channels of the input rows, with their border, that a band of output rows needs."""
    _, width, channels = copied_size(layer.input, window)
    return (band - 1) * window.stride[0] + window.size[0], width, channels


def _band(layer: Weighted, window: Window, band_bytes: int) -> int:
    """As many output rows as `band_bytes` allow; even, if it can be, where rows have odd numbers of them."""
    height, width = window.output
    step = 1 + width % 2
    fitting = [
        rows
        for rows in range(step, height + 1, step)
        if np.prod(_copied_size(layer, window, rows)) <= band_bytes
    ]
    return fitting[-1] if fitting else min(step, height)


def _constant_words(layer: Weighted, words: int, parameters: int) -> int:
    """Of all blocks and of what ends them, as they lie in scratch."""
    return layer.channels // BLOCK * (BLOCK + 1 + BLOCK * words + parameters) + BLOCK + 1


def _parameter_words(end_shift: int) -> int:
    """Of a block: multiplier and constant of each channel, in the signed way its right shift too."""
    return BLOCK * (3 if end_shift == SIGNED else 2)


def _choose_finish(layer: Weighted, output: Output) -> tuple[int, tuple[Finish, ...]] | None:
    """The cheapest exact way from sums to int8 whose shifts to the left the weights can bring."""
    channels = finish.channels_of(layer)
    return finish.choose_finish(channels, output, most_left=[_MOST_LEFT] * len(channels))


def _stream(
    layer: Weighted, words: tuple[Word, ...], finishes: tuple[Finish, ...], end_shift: int
) -> UInt32Array:
    """The stream as conv_2d_narrow.h describes it."""
    blocks = layer.channels // BLOCK
    weights: Int64Array = layer.weights_by_channel.astype(np.int64)
    biases = layer.biases - layer.input.zero_point * weights.sum(axis=1)
    signed = end_shift == SIGNED
    shifts = np.array([_SIGNED_LEFT if signed else f.shift for f in finishes], np.int64)
    # The weight of a word without a second input.
    weights = np.append(weights, np.zeros((layer.channels, 1), np.int64), axis=1)
    places = np.array([(low, -1 if high is None else high) for low, high in words])
    # (blocks, halves of two channels, words, inputs of a word, channels of a half) as bytes.
    halves = weights[:, places].reshape(blocks, 2, 2, len(words), 2).transpose(0, 3, 1, 4, 2)
    parameters = np.array(
        [(f.multiplier, f.constant, f.shift)[: 3 if signed else 2] for f in finishes], np.int64
    )
    parts = (
        as_words(biases << shifts),
        _bytes(shifts),
        _bytes(halves),
        as_words(parameters),
    )
    return np.ascontiguousarray(np.concatenate([part.reshape(blocks, -1) for part in parts], axis=1).ravel())


def _bytes(values: Int64Array) -> UInt32Array:
    """Four bytes to a word, the first in its lowest bits."""
    quads = values.reshape(-1, 4) & 0xFF
    return as_words(quads[:, 0] | quads[:, 1] << 8 | quads[:, 2] << 16 | quads[:, 3] << 24)
