# SPDX-License-Identifier: Apache-2.0
"""The constant stream of depthwise_3x3.h, the fast form of most depthwise convolutions."""

from __future__ import annotations

import struct as byte_struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mcu_ser.aot.finish import SIGNED, Finish, Output
from mcu_ser.aot.kernels.depthwise_finish import channel_constants, choose_finish
from mcu_ser.aot.kernels.images import image
from mcu_ser.aot.kernels.kernel_call import KernelCall, Name, Table, struct
from mcu_ser.aot.overlap import of_bands
from mcu_ser.aot.weighted import Weighted
from mcu_ser.aot.window import Window

HEADERS = ("depthwise_3x3_dsp.h", "dsp.h")

# Outputs of one tile and the words of a plane that it reads; all tiles of a row but the last are full.
_TILE = 6
_TILE_WORDS = 4
_TILE_STEP_BYTES = 12

# Planes hold four channels. They take at most this fraction of input and output, or little at all.
_PLANES = 4
_SCRATCH_FRACTION = 1 / 8
_LITTLE_SCRATCH = 2048


@dataclass(frozen=True)
class Planes:
    """How the input is spread out; `rows` counts the output's rows of one band."""

    row_words: int
    wide_bytes: int
    last_tile: int
    rows: int

    @property
    def bytes(self) -> int:
        return _PLANES * 4 * self.row_words * (self.rows + 2)


def plan_planes(layer: Weighted) -> Planes | None:
    """The largest bands whose planes are small beside the layer's tensors; None if there are none."""
    _, height, width, _ = layer.output.shape
    wide_tiles = (width - 1) // _TILE
    row_words = wide_tiles * _TILE_STEP_BYTES // 4 + _TILE_WORDS
    limit = max(_LITTLE_SCRATCH, int(_SCRATCH_FRACTION * (layer.input.elements + layer.output.elements)))
    most_rows = limit // (_PLANES * 4 * row_words) - 2
    if most_rows < 1:
        return None
    bands = -(-height // most_rows)
    return Planes(row_words, wide_tiles * _TILE_STEP_BYTES, width - wide_tiles * _TILE, -(-height // bands))


def depthwise_3x3(layer: Weighted, window: Window, output: Output) -> KernelCall | None:
    """The call of the fast kernel; None where the layer does not suit it or would not be exact.

    Args:
        layer: A layer with one output channel per input channel.
        window: Where its windows lie.
        output: What it does with its scaled sums.
    """
    channels = layer.channels
    if (window.size, window.stride, window.dilation) != ((3, 3), (1, 1), (1, 1)) or channels % 4:
        return None
    planes = plan_planes(layer)
    found = choose_finish(layer, output)
    if planes is None or found is None:
        return None
    end_shift, finishes = found
    return KernelCall(
        header="depthwise_3x3.h",
        kernel="aot_depthwise_3x3",
        struct_name="aot_depthwise_3x3",
        description=struct(
            input=image(layer.input),
            output=image(layer.output),
            pad_top=window.pad[0],
            pad_left=window.pad[1],
            zero_point=layer.input.zero_point,
            band=planes.rows,
            row_words=planes.row_words,
            wide_bytes=planes.wide_bytes,
            is_signed=int(end_shift == SIGNED),
            rows=_rows_function(planes, end_shift),
            stream=Table("stream", _stream(layer, finishes, end_shift)),
            min=output.min,
            max=output.max,
        ),
        inputs=(layer.input.index,),
        output=layer.output.index,
        macs=int(np.prod(layer.output.shape)) * 9,
        included=HEADERS,
        scratch_bytes=planes.bytes,
        sparsity=layer.sparsity,
        overlap=of_bands(layer.input, layer.output, window.pad[0], planes.rows),
    )


def _rows_function(planes: Planes, end_shift: int) -> Name:
    width = "WIDE" if planes.wide_bytes else "NARROW"
    if end_shift == SIGNED:
        return Name(f"AOT_DEPTHWISE_{width}_SIGNED({planes.last_tile})")
    return Name(f"AOT_DEPTHWISE_{width}_SHIFTED({planes.last_tile}, {end_shift})")


def _stream(layer: Weighted, finishes: tuple[Finish, ...], end_shift: int) -> npt.NDArray[np.uint32]:
    """One struct aot_depthwise_channel per channel."""
    content = b""
    for taps, one in zip(
        layer.weights_by_channel, channel_constants(layer, finishes, end_shift), strict=True
    ):
        # A common right shift is part of the function.
        right = one.right if end_shift == SIGNED else 0
        content += byte_struct.pack(
            "<Iii9b3b", one.bias, one.multiplier, one.constant, *taps, one.left, right, 0
        )
    return np.frombuffer(content, np.dtype("<u4")).astype(np.uint32)
