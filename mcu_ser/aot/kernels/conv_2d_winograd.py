# SPDX-License-Identifier: Apache-2.0
"""CONV_2D with a 3x3 window of stride 1 by Winograd's minimal filtering F(2x2, 3x3), in exact integers.

Fewer products than the matrix product of `conv_2d`, for 3.6 times the flash of the weights: 16 int16 take the
place of 9 int8. What is computed, and how the constants lie, is described in conv_2d_winograd.h.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mcu_ser.aot import finish
from mcu_ser.aot.finish import SIGNED, Finish, Output
from mcu_ser.aot.kernels.images import image
from mcu_ser.aot.kernels.kernel_call import KernelCall, Table, struct
from mcu_ser.aot.kernels.matmul import PAIR_MULTIPLE, Int64Array, UInt32Array, lane_order
from mcu_ser.aot.weighted import Weighted
from mcu_ser.aot.window import Window

WINOGRAD_KERNEL = "aot_conv_2d_winograd"

# Input channels for which a line of products has code.
MOST_CHANNELS = 64

# Words before the inputs of each line, and after the last line.
_CONTROL_WORDS = 5
_LINES = 16

# 2 G of F(2x2, 3x3): all its products with int8 weights are integers, and int16.
_TRANSFORM: Int64Array = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]], np.int64)

# The kernel's sums are 4 times those of the layer.
_LEAST_SUM, _GREATEST_SUM = -(1 << 29), (1 << 29) - 1


def winograd_call(layer: Weighted, window: Window, output: Output) -> KernelCall | None:
    """The kernel call of a CONV_2D by Winograd's algorithm; None where that does not suit or is not exact."""
    _, height, width, channels = layer.output.shape
    depth = layer.input.shape[3]
    if window.size != (3, 3) or window.stride != (1, 1) or window.dilation != (1, 1):
        return None
    if depth % PAIR_MULTIPLE or depth > MOST_CHANNELS or channels % 2 or height < 2 or width < 4:
        return None
    found = _choose_finish(layer, output)
    if found is None:
        return None
    end_shift, finishes = found
    return KernelCall(
        header="conv_2d_winograd.h",
        kernel=WINOGRAD_KERNEL,
        struct_name="aot_conv_2d_winograd",
        description=struct(
            input=image(layer.input),
            output=image(layer.output),
            pad_top=window.pad[0],
            pad_left=window.pad[1],
            zero_point=layer.input.zero_point,
            stream=Table("stream", _stream(layer, finishes, end_shift)),
            end_shift=end_shift,
            min=output.min,
            max=output.max,
        ),
        inputs=(layer.input.index,),
        output=layer.output.index,
        macs=height * width * layer.weights_by_channel.size,
        included=("dsp.h", "conv_2d_winograd_dsp.h"),
        scratch_bytes=_scratch_bytes(depth, width),
        sparsity=layer.sparsity,
    )


def _scratch_bytes(depth: int, width: int) -> int:
    columns = 8 * depth * (width + 2)
    lines = 4 * (_LINES * (_CONTROL_WORDS + depth) + _CONTROL_WORDS)
    return columns + lines + depth


def transformed_weights(weights: npt.NDArray[Any]) -> Int64Array:
    """4 times the weights of F(2x2, 3x3).

    Args:
        weights: (channels, 3, 3, depth).

    Returns:
        (channels, 16, depth), all of them int16.
    """
    products: Int64Array = np.einsum("iy,jx,nyxc->nijc", _TRANSFORM, _TRANSFORM, weights.astype(np.int64))
    return products.reshape(len(weights), _LINES, -1)


def _choose_finish(layer: Weighted, output: Output) -> tuple[int, tuple[Finish, ...]] | None:
    """The cheapest exact way from sums to int8, where the transform has room for the sums."""
    channels = finish.channels_of(layer)
    if any(channel.low < _LEAST_SUM or channel.high > _GREATEST_SUM for channel in channels):
        return None
    return finish.choose_finish(channels, output)


def _stream(layer: Weighted, finishes: tuple[Finish, ...], end_shift: int) -> UInt32Array:
    """The stream as conv_2d_winograd.h describes it."""
    count, depth = layer.channels, layer.input.shape[3]
    weights = layer.weights_by_channel
    words = lane_order(transformed_weights(weights.reshape(count, 3, 3, depth)))
    lines = words.reshape(-1, 2, _LINES, depth // 4, 2).transpose(0, 2, 3, 1, 4).reshape(count // 2, -1)
    biases = layer.biases - layer.input.zero_point * weights.sum(axis=1, dtype=np.int64)
    # Sums come with a shift by 2 to the left.
    shifts = [f.shift if end_shift == SIGNED else f.shift - 2 for f in finishes]
    parameters = np.array(
        [
            (4 * bias, f.multiplier, f.constant, shift)
            for bias, f, shift in zip(biases.tolist(), finishes, shifts, strict=True)
        ],
        np.int64,
    )
    ends = (parameters & 0xFFFFFFFF).astype(np.uint32).reshape(count // 2, -1)
    return np.ascontiguousarray(np.concatenate([lines, ends], axis=1).ravel())
