# SPDX-License-Identifier: Apache-2.0
"""CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED of 16-bit activations and int8 weights."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mcu_ser.aot.int16 import MOST_PRODUCTS, factor_of, int16_range, range_of_sums
from mcu_ser.aot.ir import Activation, DepthwiseOptions, FullyConnectedOptions, Graph, Operator, WindowOptions
from mcu_ser.aot.kernels.images import image, window_struct
from mcu_ser.aot.kernels.kernel_call import KernelCall, Struct, Table, struct
from mcu_ser.aot.requantize import INT32_MAX
from mcu_ser.aot.weighted import Weighted, weighted
from mcu_ser.aot.window import needs_border, window_of

# Outputs side by side, and activations per word of weights.
_BLOCK = 4

# Where the activations 0 .. 3 of a word of weights lie: SXTB16 takes its bytes 0 and 2, then 1 and 3.
_WORD_ORDER = (0, 2, 1, 3)

_HEADERS = ("dsp.h", "int16.h", "int16_matmul.h")


def conv_2d(graph: Graph, operator: Operator) -> KernelCall:
    """The kernel call of a supported CONV_2D."""
    options = operator.options
    assert isinstance(options, WindowOptions)
    layer = weighted(graph, operator)
    window = window_of(graph, operator)
    _, height, width, depth = layer.input.shape
    pointwise = window.size == (1, 1) and window.stride == (1, 1) and not needs_border(graph, operator)
    if pointwise and depth % _BLOCK == 0:
        return _rows(layer, height * width, options.activation)
    return _gathered(
        layer, options.activation, window_struct(window), image(layer.input), image(layer.output)
    )


def fully_connected(graph: Graph, operator: Operator) -> KernelCall:
    """The kernel call of a supported FULLY_CONNECTED: its rows are the pixels of an image."""
    options = operator.options
    assert isinstance(options, FullyConnectedOptions)
    layer = weighted(graph, operator)
    outputs, depth = layer.weights.shape
    rows = layer.input.elements // depth
    if depth % _BLOCK == 0:
        return _rows(layer, rows, options.activation)
    one = struct(
        height=1,
        width=1,
        stride_height=1,
        stride_width=1,
        dilation_height=1,
        dilation_width=1,
        pad_top=0,
        pad_left=0,
    )
    before, after = (struct(height=1, width=rows, channels=channels) for channels in (depth, outputs))
    return _gathered(layer, options.activation, one, before, after)


def depthwise_conv_2d(graph: Graph, operator: Operator) -> KernelCall:
    """The kernel call of a supported DEPTHWISE_CONV_2D."""
    options = operator.options
    assert isinstance(options, DepthwiseOptions)
    layer = weighted(graph, operator)
    assert layer.weights.data is not None
    output = layer.output
    return KernelCall(
        header="int16_depthwise_conv_2d.h",
        kernel="aot_int16_depthwise_conv_2d",
        struct_name="aot_int16_depthwise_conv_2d",
        description=struct(
            input=image(layer.input),
            output=image(output),
            window=window_struct(window_of(graph, operator)),
            depth_multiplier=options.depth_multiplier,
            weights=Table("weights", layer.weights.data),
            bias=Table("bias", layer.biases),
            rescale=_rescale(layer, options.activation),
        ),
        inputs=(layer.input.index,),
        output=output.index,
        macs=output.shape[1] * output.shape[2] * layer.weights.elements,
        included=("int16.h",),
        sparsity=layer.sparsity,
    )


def _rows(layer: Weighted, rows: int, activation: Activation) -> KernelCall:
    return KernelCall(
        header="int16_matmul.h",
        kernel="aot_int16_rows",
        struct_name="aot_int16_rows",
        description=struct(rows=rows, matmul=_matmul(layer, activation)),
        inputs=(layer.input.index,),
        output=layer.output.index,
        macs=rows * layer.weights.elements,
        included=_HEADERS,
        sparsity=layer.sparsity,
    )


def _gathered(
    layer: Weighted, activation: Activation, window: Struct, before: Struct, after: Struct
) -> KernelCall:
    """`before` and `after` are the images of input and output."""
    matmul = _matmul(layer, activation)
    pixels = layer.output.elements // layer.channels
    return KernelCall(
        header="int16_conv_2d.h",
        kernel="aot_int16_conv_2d",
        struct_name="aot_int16_conv_2d",
        description=struct(input=before, output=after, window=window, matmul=matmul),
        inputs=(layer.input.index,),
        output=layer.output.index,
        macs=pixels * layer.weights.elements,
        included=_HEADERS,
        scratch_bytes=2 * _padded(layer.weights_by_channel.shape[1]),
        sparsity=layer.sparsity,
    )


def _padded(count: int) -> int:
    return -(-count // _BLOCK) * _BLOCK


def _matmul(layer: Weighted, activation: Activation) -> Struct:
    channels, taps = layer.weights_by_channel.shape
    depth = _padded(taps)
    biases = np.zeros(_padded(channels), np.int64)
    biases[:channels] = layer.biases
    return struct(
        depth=depth,
        outputs=channels,
        chunk=depth if _fits_int32(layer) else MOST_PRODUCTS,
        weights=Table("weights", pack_weights(layer.weights_by_channel)),
        bias=Table("bias", biases),
        rescale=_rescale(layer, activation),
    )


def _fits_int32(layer: Weighted) -> bool:
    """Whether no sum of products leaves int32, at any step."""
    ranges = zip(range_of_sums(layer), layer.biases.tolist(), strict=True)
    return all(max(bias - low, high - bias) <= INT32_MAX for (low, high), bias in ranges)


def pack_weights(weights: npt.NDArray[np.int8]) -> npt.NDArray[np.uint32]:
    """Weights (channels, taps) as words of four, in blocks of four channels, zeros where they end."""
    channels, taps = weights.shape
    padded = np.zeros((_padded(channels), _padded(taps)), np.uint8)
    padded[:channels, :taps] = weights.astype(np.int8).view(np.uint8)
    words = padded.reshape(-1, _BLOCK, padded.shape[1] // _BLOCK, _BLOCK)[..., _WORD_ORDER]
    # block, word of the block, channel of the block
    ordered = np.ascontiguousarray(words.transpose(0, 2, 1, 3))
    return ordered.view("<u4").astype(np.uint32).reshape(-1)


def _rescale(layer: Weighted, activation: Activation) -> Struct:
    """`struct aot_int16_rescale`; equal factors of all channels are stored once."""
    factors = [factor_of(multiplier) for multiplier in layer.multipliers]
    if len(set(factors)) == 1:
        factors = factors[:1]
    low, high = int16_range(activation, layer.output)
    return struct(
        multiplier=Table("multiplier", np.array([factor.multiplier for factor in factors], np.int16)),
        shift=Table("shift", np.array([factor.shift for factor in factors], np.int8)),
        per_channel=int(len(factors) > 1),
        min=low,
        max=high,
    )
