# SPDX-License-Identifier: Apache-2.0
"""The constant stream of unstructured_matmul.h: layers most of whose weights are zero, wherever they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mcu_ser.aot import finish
from mcu_ser.aot.finish import SIGNED, Finish, Output
from mcu_ser.aot.group_overlap import of_row_groups, of_window_groups
from mcu_ser.aot.kernels import sparse
from mcu_ser.aot.kernels.kernel_call import KernelCall, Name, Struct, Table, struct
from mcu_ser.aot.kernels.matmul import as_words, choose_finish
from mcu_ser.aot.sparse_kernel_work import STEPS
from mcu_ser.aot.weighted import Weighted
from mcu_ser.aot.window import Window

HEADERS = (*sparse.HEADERS, "unstructured_matmul.h", "unstructured_matmul_dsp.h")

# The kernel computes so many positions at once, and takes so many bytes of scratch for an input of theirs.
POSITIONS = 8
SCRATCH_BYTES = 16

# A weight takes two bytes instead of one: with fewer zeros the layer could not become smaller.
_LEAST_SPARSITY = 0.5
# The kernel widens four inputs at once.
_MULTIPLE = 4
# Inputs from one weight to the next; a step of the stream is a multiple of 16 in a byte.
_LONGEST_STEP = 15
# Bytes of code of a step of the chains in unstructured_matmul_dsp.h.
STEP_BYTES = 68
# Where a head has the number of words of weights, and how far the chain is entered.
_COUNT_AT, _ENTRY_AT = 8, 21
# The sums of two positions are one; of that the lower has so many bits.
_LOWER_BITS = 24
# By how much the activations of the lower position are greater than they are.
_LOWER_OFFSET = 128

UInt32Array = npt.NDArray[np.uint32]


@dataclass(frozen=True, eq=False)
class Unstructured:
    """A layer in the form of unstructured_matmul.h.

    `most_pairs` is the greatest number of words of weights of any channel; `end_shift` the common right
    shift, or `finish.SIGNED`.
    """

    stream: UInt32Array
    channels: int
    most_pairs: int
    end_shift: int

    def description(self) -> Struct:
        """`struct aot_unstructured_matmul`."""
        form = "SIGNED" if self.end_shift == SIGNED else f"SHIFTED({self.end_shift})"
        chain = "ONCE" if self.most_pairs <= STEPS else "REPEATED"
        return struct(
            stream=Table("stream", self.stream),
            words=self.stream.size,
            channels=self.channels,
            chain=Name(f"AOT_CHAIN_UNSTRUCTURED_{chain}"),
            finish=Name(f"AOT_FINISH_UNSTRUCTURED_{form}"),
        )


def unstructured(layer: Weighted, output: Output) -> Unstructured | None:
    """The layer in the form of unstructured_matmul.h; None with few zeros, or where it is not exact.

    Args:
        layer: The layer; its weights by channel are in the order of its inputs.
        output: What it does with its scaled sums.
    """
    weights = layer.weights_by_channel
    if weights.shape[1] % _MULTIPLE or layer.sparsity < _LEAST_SPARSITY:
        return None
    channels = finish.channels_of(layer)
    found = choose_finish(channels, output, in_pairs=False)
    if found is None or not finish.sums_keep_to(_LOWER_BITS, channels, output):
        return None
    end_shift, finishes = found
    pairs = [_pairs(row) for row in weights]
    most_pairs = max(map(len, pairs))
    if most_pairs >= 1 << (_ENTRY_AT - _COUNT_AT):
        return None
    sums = weights.sum(axis=1, dtype=np.int64)
    biases = layer.biases - layer.input.zero_point * sums
    starts = [_start(int(bias), int(weight_sum)) for bias, weight_sum in zip(biases, sums, strict=True)]
    heads = [_head(len(words)) for words in pairs]
    words = [_channel_words(*each) for each in zip(pairs, starts, finishes, [*heads[1:], 0], strict=True)]
    stream = np.concatenate([np.array(heads[:1], np.uint32), *words])
    return Unstructured(stream, layer.channels, most_pairs, end_shift)


def rows_call(layer: Weighted, output: Output, rows: int, room: int) -> KernelCall | None:
    """The call of a sparse matrix product of several rows that follow each other; None where it cannot be."""
    depth = layer.weights_by_channel.shape[1]
    if rows < POSITIONS or not sparse.scratch_suits(SCRATCH_BYTES * depth, layer, room):
        return None
    form = unstructured(layer, output)
    if form is None:
        return None
    return KernelCall(
        header="rows_unstructured.h",
        kernel="aot_rows_unstructured",
        struct_name="aot_rows_unstructured",
        description=struct(
            rows=rows,
            depth=depth,
            matmul=form.description(),
            min=output.min,
            max=output.max,
        ),
        inputs=(layer.input.index,),
        output=layer.output.index,
        macs=rows * layer.weights_by_channel.size,
        included=HEADERS,
        scratch_bytes=SCRATCH_BYTES * depth,
        sparsity=layer.sparsity,
        overlap=of_row_groups(POSITIONS, rows, depth, layer.channels),
    )


def windows_call(layer: Weighted, output: Output, window: Window, room: int) -> KernelCall | None:
    """The call of a sparse CONV_2D; None where it cannot be."""
    scratch = SCRATCH_BYTES * layer.weights_by_channel.shape[1] + layer.input.shape[3]
    suits = sparse.windows_suit(layer, window, POSITIONS)
    if not (suits and sparse.scratch_suits(scratch, layer, room)):
        return None
    form = unstructured(layer, output)
    if form is None:
        return None
    return KernelCall(
        header="conv_2d_unstructured.h",
        kernel="aot_conv_2d_unstructured",
        struct_name="aot_conv_2d_unstructured",
        description=sparse.windows_struct(layer, output, window, form.description()),
        inputs=(layer.input.index,),
        output=layer.output.index,
        macs=sparse.window_macs(layer),
        included=(*HEADERS, "sparse_windows.h"),
        scratch_bytes=scratch,
        sparsity=layer.sparsity,
        overlap=of_window_groups(POSITIONS, layer.input, layer.output, window),
    )


def _pairs(weights: npt.NDArray[Any]) -> UInt32Array:
    """The words of one channel: the weights that are not zero, those that long steps need, an even number."""
    kept = np.flatnonzero(weights)
    steps = np.diff(kept, prepend=0)
    between = np.maximum(steps - 1, 0) // _LONGEST_STEP
    places = np.cumsum(between + 1) - 1
    count = int(places[-1]) + 1 if len(places) else 0
    entries = np.zeros((count + count % 2, 2), np.uint8)
    entries[:count, 1] = _LONGEST_STEP << 4
    entries[places, 0] = weights[kept].view(np.uint8)
    entries[places, 1] = (steps - _LONGEST_STEP * between) << 4
    return entries.reshape(-1, 4).view("<u4").ravel().astype(np.uint32)


def _start(bias: int, weight_sum: int) -> int:
    """The sum of two positions before their first product, modulo 2^64."""
    return ((bias << _LOWER_BITS) + bias - _LOWER_OFFSET * weight_sum) & (1 << 64) - 1


def _channel_words(pairs: UInt32Array, start: int, constants: Finish, next_head: int) -> UInt32Array:
    begin = np.array([start & 0xFFFFFFFF, start >> 32], np.int64)
    last = constants.shift | next_head
    end = np.array([constants.multiplier, constants.constant, last], np.int64)
    return np.concatenate([as_words(begin), pairs, as_words(end)])


def _head(count: int) -> int:
    """The head of a channel: its words of weights, and how far its chain is entered."""
    # The chain ends with the last word; passes before the last are whole.
    steps = (count - 1) % STEPS + 1 if count else 0
    return count << _COUNT_AT | (STEPS - steps) * STEP_BYTES << _ENTRY_AT
