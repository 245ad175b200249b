# SPDX-License-Identifier: Apache-2.0
"""The constant stream of depthwise_pairs.h: depthwise convolutions that depthwise_3x3.h does not cover."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mcu_ser.aot.finish import SIGNED, Finish, Output
from mcu_ser.aot.kernels.depthwise_finish import channel_constants, choose_finish
from mcu_ser.aot.kernels.images import image, window_struct
from mcu_ser.aot.kernels.kernel_call import KernelCall, Name, Table, struct
from mcu_ser.aot.overlap import of_windows
from mcu_ser.aot.weighted import Weighted
from mcu_ser.aot.window import Window

HEADERS = ("depthwise_pairs_dsp.h", "dsp.h")

# AOT_MOST_TAPS of the kernel.
_MOST_TAPS = 26

# Channels of one group.
_GROUP = 4


def depthwise_pairs(layer: Weighted, window: Window, output: Output) -> KernelCall | None:
    """The call of the kernel; None where the layer does not suit it or would not be exact.

    Args:
        layer: A layer with one output channel per input channel.
        window: Where its windows lie.
        output: What it does with its scaled sums.
    """
    taps = window.size[0] * window.size[1]
    if layer.channels % _GROUP or not 1 < taps <= _MOST_TAPS:
        return None
    found = choose_finish(layer, output)
    if found is None:
        return None
    end_shift, finishes = found
    _, height, width, channels = layer.input.shape
    _, rows, columns, _ = layer.output.shape
    return KernelCall(
        header="depthwise_pairs.h",
        kernel="aot_depthwise_pairs",
        struct_name="aot_depthwise_pairs",
        description=struct(
            input=image(layer.input),
            output=image(layer.output),
            window=window_struct(window),
            zero_point=layer.input.zero_point,
            pairs=-(-taps // 2),
            groups=Name(f"AOT_DEPTHWISE_PIXEL_{'SIGNED' if end_shift == SIGNED else 'SHIFTED'}"),
            stream=Table("stream", _stream(layer, finishes, end_shift)),
            min=output.min,
            max=output.max,
        ),
        inputs=(layer.input.index,),
        output=layer.output.index,
        macs=int(np.prod(layer.output.shape)) * taps,
        included=HEADERS,
        # A pixel of border.
        scratch_bytes=layer.channels,
        sparsity=layer.sparsity,
        overlap=of_windows((height, width, channels), (rows, columns, channels), window),
    )


def _stream(layer: Weighted, finishes: tuple[Finish, ...], end_shift: int) -> npt.NDArray[np.uint32]:
    """Per group of four channels: biases, weights of each pair of taps, struct aot_depthwise_rescaling."""
    constants = list(channel_constants(layer, finishes, end_shift))
    weights = layer.weights_by_channel.astype(np.int64) << np.array([[one.left] for one in constants])
    # Of an odd number of taps, the last one has a partner that weighs nothing.
    weights = np.pad(weights, ((0, 0), (0, weights.shape[1] % 2))) & 0xFFFF
    pairs = weights[:, 0::2] | weights[:, 1::2] << 16
    words: list[int] = []
    for first in range(0, layer.channels, _GROUP):
        group = constants[first : first + _GROUP]
        words += [one.bias for one in group]
        words += pairs[first : first + _GROUP].T.reshape(-1).tolist()
        words += [word & 0xFFFFFFFF for one in group for word in (one.multiplier, one.constant)]
        words.append(sum(one.right << 8 * i for i, one in enumerate(group)))
    return np.array(words, np.uint32)
