# SPDX-License-Identifier: Apache-2.0
"""The constant stream of matmul.h: what convolutions and fully connected layers share in their fast form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mcu_ser.aot import finish
from mcu_ser.aot.finish import SIGNED, Channel, Finish, Output
from mcu_ser.aot.kernels.kernel_call import KernelCall, Name, Struct, Table, struct
from mcu_ser.aot.overlap import of_row_pairs
from mcu_ser.aot.requantize import INT8_MIN
from mcu_ser.aot.weighted import Weighted

BLOCK = 4
# The kernel for two positions widens four inputs at a time, the one for one position eight.
PAIR_MULTIPLE = 4
SINGLE_MULTIPLE = 8

# Steps of the chain of matmul_dsp.h, of 48 bytes of code each. A layer of at most so many takes one pass; one
# of more takes several passes in any case, which cost 5 instructions: 2 % of a pass of the fewer steps.
MOST_PAIR_STEPS = 32
_REPEATED_PAIR_STEPS = 24

HEADERS = ("dsp.h", "matmul.h", "matmul_dsp.h")

# The kernel finds the sum of the second channel of a pair in the upper 24 bits of the sum of both.
_UPPER_LIMIT = 1 << 23
_UPPER_BITS = 8

# Costs in bytes that are accepted whatever the size of the layer.
_LITTLE_SCRATCH = 4096
_LITTLE_PADDING = 1024

UInt32Array = npt.NDArray[np.uint32]
Int64Array = npt.NDArray[np.int64]


def pair_steps(depth: int) -> int:
    """Steps of a pass of the chain for two positions with so many inputs."""
    steps = depth // 2
    return steps if steps <= MOST_PAIR_STEPS else _REPEATED_PAIR_STEPS


@dataclass(frozen=True, eq=False)
class Matmul:
    """A layer in the form of matmul.h.

    `depth` counts the inputs of one output with padding, `end_shift` is the common right shift, or
    `finish.SIGNED`.
    """

    stream: UInt32Array
    depth: int
    channels: int
    end_shift: int

    @property
    def pair_steps(self) -> int:
        """Steps of a pass of the chain for two positions."""
        return pair_steps(self.depth)

    def description(self, kind: str) -> Struct:
        """`struct aot_matmul`; `kind` is PAIR or SINGLE, the number of positions at a time."""
        form = "SIGNED" if self.end_shift == SIGNED else f"SHIFTED({self.end_shift})"
        return struct(
            stream=Table("stream", self.stream),
            depth=self.depth,
            channels=self.channels,
            finish=Name(f"AOT_FINISH_{kind}_{form}"),
        )


def matmul(layer: Weighted, output: Output, multiple: int) -> Matmul | None:
    """The layer in the form of matmul.h, or None where that would not be exact or would waste flash.

    Args:
        layer: The layer; its weights by channel are in the order of its inputs.
        output: What it does with its scaled sums.
        multiple: The depth is padded to a multiple of this, itself a multiple of 4.
    """
    channels = finish.channels_of(layer)
    if not sums_can_be_separated(channels, output):
        return None
    weights = padded_weights(layer.weights_by_channel, multiple)
    padding = weights.size - layer.weights_by_channel.size
    if padding > max(_LITTLE_PADDING, layer.weights_by_channel.size // 20):
        return None
    pairs = paired(weights)
    if pairs is None:
        return None
    # The sum of a second channel is found in the upper bits of the sum of both: 8 bits too far left already.
    most_left = [_UPPER_BITS if number % 2 else None for number in range(len(channels))]
    found = finish.choose_finish(channels, output, most_left=most_left)
    if found is None:
        return None
    end_shift, finishes = found
    biases = layer.biases - layer.input.zero_point * layer.weights_by_channel.sum(axis=1, dtype=np.int64)
    stream = _stream(pairs, biases, finishes, end_shift)
    return Matmul(stream, weights.shape[1], layer.channels, end_shift)


def rows_call(layer: Weighted, output: Output, rows: int) -> KernelCall | None:
    """The call of a matrix product of several rows that follow each other; None where it does not suit."""
    fast = matmul(layer, output, PAIR_MULTIPLE)
    if fast is None or not scratch_is_worth(4 * fast.depth, layer):
        return None
    return KernelCall(
        header="rows_matmul.h",
        kernel="aot_rows_matmul",
        struct_name="aot_rows_matmul",
        description=struct(
            rows=rows,
            input_depth=layer.weights_by_channel.shape[1],
            matmul=fast.description("PAIR"),
            min=output.min,
            max=output.max,
        ),
        inputs=(layer.input.index,),
        output=layer.output.index,
        macs=rows * layer.weights_by_channel.size,
        included=HEADERS,
        scratch_bytes=4 * fast.depth,
        sparsity=layer.sparsity,
        chain_steps=fast.pair_steps,
        overlap=of_row_pairs(rows, layer.weights_by_channel.shape[1], layer.channels),
    )


def scratch_is_worth(scratch_bytes: int, layer: Weighted) -> bool:
    """Whether a kernel's scratch is little beside the layer's input and output, or little at all."""
    return scratch_bytes <= max(_LITTLE_SCRATCH, (layer.input.elements + layer.output.elements) // 5)


def sums_can_be_separated(channels: tuple[Channel, ...], output: Output) -> bool:
    """Whether the sum of every second channel keeps its value in 24 bits; a constant one need not."""
    return all(
        (-_UPPER_LIMIT <= channel.low and channel.high < _UPPER_LIMIT)
        or finish.constant_output(channel, output) is not None
        for channel in channels[1::2]
    )


def padded_weights(weights: npt.NDArray[Any], multiple: int) -> Int64Array:
    """Weights by channel with zeros up to whole blocks of channels and a multiple of the depth."""
    channels, depth = weights.shape
    padded = np.zeros((-(-channels // BLOCK) * BLOCK, -(-depth // multiple) * multiple), np.int64)
    padded[:channels, :depth] = weights
    return padded


def paired(weights: Int64Array) -> Int64Array | None:
    """int16 of two channels each, weight a + 256 * weight b; None where they leave int16.

    Args:
        weights: By channel, padded to whole blocks.
    """
    if (weights[1::2] == INT8_MIN)[weights[::2] < 0].any():
        # The weight of the first channel borrows from the other, which has nothing left.
        return None
    return weights[::2] + (weights[1::2] << _UPPER_BITS)


def lane_order(rows: Int64Array) -> UInt32Array:
    """Pairs of int16 as words, in the order in which four int8 are widened: 0 and 2, then 1 and 3."""
    quads = rows.reshape(*rows.shape[:-1], -1, 4)
    low, high = quads[..., (0, 1)], quads[..., (2, 3)]
    words = (low & 0xFFFF) | ((high & 0xFFFF) << 16)
    return words.reshape(*rows.shape[:-1], -1).astype(np.uint32)


def _stream(
    pairs: Int64Array, biases: Int64Array, finishes: tuple[Finish, ...], end_shift: int
) -> UInt32Array:
    """The stream as matmul.h describes it."""
    channels = 2 * len(pairs)
    missing = channels - len(biases)
    parameters = np.array(
        [(f.multiplier, f.constant, _shift(number, f, end_shift)) for number, f in enumerate(finishes)]
        + [(0, 0, 0)] * missing,
        np.int64,
    ).reshape(-1, BLOCK * 3)
    starts = as_words(paired_starts(biases, channels))
    blocks = np.concatenate([starts, paired_words(pairs), as_words(parameters)], axis=1)
    return np.ascontiguousarray(blocks.ravel())


def paired_words(pairs: Int64Array) -> UInt32Array:
    """The weights of each block in the order of their use; see matmul.h."""
    depth = pairs.shape[1]
    words: UInt32Array = lane_order(pairs).reshape(-1, 2, depth // 2).transpose(0, 2, 1).reshape(-1, depth)
    return words


def paired_starts(biases: Int64Array, channels: int) -> Int64Array:
    """What the sums of each block start from, for `channels` with padding; see matmul.h."""
    padded = np.concatenate([biases, np.zeros(channels - len(biases), np.int64)])
    both = padded[::2] + (padded[1::2] << _UPPER_BITS)
    return np.stack([padded[::2], both], axis=1).reshape(-1, BLOCK)


def _shift(number: int, constants: Finish, end_shift: int) -> int:
    if end_shift == SIGNED:
        return constants.shift
    return _UPPER_BITS - constants.shift if number % 2 else constants.shift


def as_words(values: Int64Array) -> UInt32Array:
    """Integers modulo 2^32; the kernel's sums wrap around too."""
    return (values & 0xFFFFFFFF).astype(np.uint32)
