# SPDX-License-Identifier: Apache-2.0
"""The constant streams of compact.h: layers with weights in a build for size.

Their kernels are loops that all layers of a kind share, and read the inputs where they lie. What they cannot
do exactly, or at all, the plain kernels do.
"""

from __future__ import annotations

import numpy as np

from mcu_ser.aot import finish
from mcu_ser.aot.finish import Finish, Output
from mcu_ser.aot.kernels.images import image, window_struct
from mcu_ser.aot.kernels.kernel_call import KernelCall, Name, Struct, Table, struct
from mcu_ser.aot.kernels.matmul import (
    BLOCK,
    Int64Array,
    UInt32Array,
    as_words,
    padded_weights,
    paired,
    paired_starts,
    paired_words,
    sums_can_be_separated,
)
from mcu_ser.aot.overlap import of_windows
from mcu_ser.aot.weighted import Weighted
from mcu_ser.aot.window import Window

_ONE_PIXEL = Window(size=(1, 1), stride=(1, 1), dilation=(1, 1), output=(1, 1), pad=(0, 0))


def convolution(layer: Weighted, window: Window, output: Output) -> KernelCall | None:
    """The call of a CONV_2D; None where it does not suit or is not exact.

    Args:
        layer: The layer.
        window: Where its windows lie.
        output: What it does with its scaled sums.
    """
    if window.dilation != (1, 1):
        return None
    return _products(layer, image(layer.input), image(layer.output), window, output)


def rows(layer: Weighted, output: Output) -> KernelCall | None:
    """The call of a FULLY_CONNECTED, a column of windows of one pixel; None where it is not exact."""
    depth, channels = layer.weights_by_channel.shape[1], layer.channels
    height = layer.output.elements // channels
    input_ = struct(height=height, width=1, channels=depth)
    return _products(layer, input_, struct(height=height, width=1, channels=channels), _ONE_PIXEL, output)


def _products(
    layer: Weighted, input_: Struct, output_: Struct, window: Window, output: Output
) -> KernelCall | None:
    weights = padded_weights(layer.weights_by_channel, BLOCK)
    finishes, pairs = _signed(layer, output), paired(weights)
    if finishes is None or pairs is None or not sums_can_be_separated(finish.channels_of(layer), output):
        return None
    starts = paired_starts(layer.biases, len(weights))
    inputs = layer.input.shape[-1] if layer.opcode == "CONV_2D" else layer.weights_by_channel.shape[1]
    # The border may cut a row of a window between two pixels.
    gathered = weights.shape[1] if inputs % BLOCK else 0
    description = struct(
        input=input_,
        output=output_,
        window=window_struct(window),
        stream=Table("stream", _stream(starts, paired_words(pairs), finishes)),
        block=Name("aot_compact_products"),
        tap_words=inputs,
        gathered=gathered,
        step=0,
        zero_point=layer.input.zero_point,
        range=struct(min=output.min, max=output.max),
    )
    return _call(layer, "compact_products.h", description, window, gathered)


def depthwise(layer: Weighted, window: Window, output: Output) -> KernelCall | None:
    """The call of a DEPTHWISE_CONV_2D; None where it does not suit or is not exact.

    Args:
        layer: A layer with one output channel per input channel.
        window: Where its windows lie.
        output: What it does with its scaled sums.
    """
    finishes = _signed(layer, output)
    if window.dilation != (1, 1) or layer.channels % BLOCK or finishes is None:
        return None
    by_block = layer.weights_by_channel.reshape(-1, BLOCK, layer.weights_by_channel.shape[1])
    words = np.ascontiguousarray(by_block.transpose(0, 2, 1), np.int8).view("<u4")[..., 0].astype(np.uint32)
    description = struct(
        input=image(layer.input),
        output=image(layer.output),
        window=window_struct(window),
        stream=Table("stream", _stream(layer.biases.reshape(-1, BLOCK), words, finishes)),
        block=Name("aot_compact_depthwise"),
        tap_words=1,
        gathered=0,
        step=BLOCK,
        zero_point=layer.input.zero_point,
        range=struct(min=output.min, max=output.max),
    )
    return _call(layer, "compact_depthwise.h", description, window, 0)


def _call(layer: Weighted, header: str, description: Struct, window: Window, gathered: int) -> KernelCall:
    return KernelCall(
        header=header,
        kernel="aot_compact_gathered" if gathered else "aot_compact",
        struct_name="aot_compact",
        description=description,
        inputs=(layer.input.index,),
        output=layer.output.index,
        macs=layer.output.elements * layer.weights_by_channel.shape[1],
        included=("compact.h", "dsp.h"),
        scratch_bytes=gathered,
        overlap=of_windows(_shape(description, "input"), _shape(description, "output"), window),
        sparsity=layer.sparsity,
    )


def _shape(description: Struct, name: str) -> tuple[int, int, int]:
    """Height, width and channels of an image of a description."""
    size = dict(description.members)[name]
    assert isinstance(size, Struct)
    height, width, channels = (value for _, value in size.members if isinstance(value, int))
    return height, width, channels


def _signed(layer: Weighted, output: Output) -> tuple[Finish, ...] | None:
    return finish.all_channels(finish.signed(channel, output) for channel in finish.channels_of(layer))


def _stream(starts: Int64Array, words: UInt32Array, finishes: tuple[Finish, ...]) -> UInt32Array:
    """The stream as compact.h describes it, one row of `starts` and `words` per block of channels."""
    ends = np.zeros((starts.size, 3), np.int64)
    ends[: len(finishes)] = [(f.multiplier, f.constant, f.shift) for f in finishes]
    blocks = np.concatenate([as_words(starts), words, as_words(ends.reshape(-1, 3 * BLOCK))], axis=1)
    return np.ascontiguousarray(blocks.ravel())
