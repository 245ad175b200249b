# SPDX-License-Identifier: Apache-2.0
"""The constant stream of unstructured_matmul.h: layers most of whose weights are zero, wherever they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mcu_ser.aot import finish
from mcu_ser.aot.finish import Output
from mcu_ser.aot.kernels import sparse
from mcu_ser.aot.kernels.matmul import as_words
from mcu_ser.aot.kernels.sparse_groups import Group
from mcu_ser.aot.kernels.sparse_stream import MOST_WORDS, SparseForm, UInt32Array, choose_way, stream_of
from mcu_ser.aot.weighted import Weighted

# A weight takes two bytes instead of one: with fewer zeros the layer could not become smaller.
_LEAST_SPARSITY = 0.5
# The kernel widens four inputs at once.
_MULTIPLE = 4
# Inputs from one weight to the next; a step of the stream is a multiple of 16 in a byte.
_LONGEST_STEP = 15
# Bytes of code of a step of the chains in unstructured_matmul_dsp.h.
STEP_BYTES = 68
# The sums of two positions are one; of that the lower has so many bits.
_LOWER_BITS = 24
# By how much the activations of the lower position are greater than they are.
_LOWER_OFFSET = 128


def unstructured(layer: Weighted, output: Output) -> SparseForm | None:
    """The layer in the form of unstructured_matmul.h; None with few zeros, or where it is not exact.

    Args:
        layer: The layer; its weights by channel are in the order of its inputs.
        output: What it does with its scaled sums.
    """
    weights = layer.weights_by_channel
    if weights.shape[1] % _MULTIPLE or layer.sparsity < _LEAST_SPARSITY:
        return None
    channels = finish.channels_of(layer)
    found = choose_way(channels, output, _LOWER_BITS)
    if found is None:
        return None
    way, finishes = found
    pairs = [_pairs(row) for row in weights]
    most_pairs = max(map(len, pairs))
    if most_pairs > MOST_WORDS:
        return None
    sums = weights.sum(axis=1, dtype=np.int64)
    biases = layer.biases - layer.input.zero_point * sums + [each.bias for each in finishes]
    starts = [_start(int(bias), int(weight_sum)) for bias, weight_sum in zip(biases, sums, strict=True)]
    stream = stream_of(starts, pairs, finishes, STEP_BYTES)
    return SparseForm("UNSTRUCTURED", stream, layer.channels, most_pairs, way)


GROUP = Group(
    "unstructured",
    8,
    16,
    (*sparse.HEADERS, "unstructured_matmul.h", "unstructured_matmul_dsp.h"),
    unstructured,
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


def _start(bias: int, weight_sum: int) -> UInt32Array:
    """The sum of two positions before their first product, modulo 2^64, lower half first."""
    both = ((bias << _LOWER_BITS) + bias - _LOWER_OFFSET * weight_sum) & (1 << 64) - 1
    return as_words(np.array([both & 0xFFFFFFFF, both >> 32], np.int64))
