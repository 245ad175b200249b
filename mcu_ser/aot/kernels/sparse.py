# SPDX-License-Identifier: Apache-2.0
"""The constant streams of sparse_matmul.h: layers most of whose blocks of four weights are zero."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mcu_ser.aot import finish
from mcu_ser.aot.finish import Output
from mcu_ser.aot.kernels.kernel_call import Form, KernelCall, SparseChoice, struct
from mcu_ser.aot.kernels.matmul import as_words
from mcu_ser.aot.kernels.sparse_groups import Group, scratch_suits
from mcu_ser.aot.kernels.sparse_stream import SparseForm, UInt32Array, choose_way, stream_of
from mcu_ser.aot.overlap import after_copy
from mcu_ser.aot.weighted import Weighted

# Weights that are stored, or left out, together; pruning by blocks makes them zero together.
BLOCK = 4
HEADERS = ("dsp.h", "sparse_matmul.h", "sparse_matmul_dsp.h")

# The place of a block is a byte.
_MOST_PLACES = 256
# Bytes of code of a step of the chains in sparse_matmul_dsp.h.
STEP_BYTES = {"QUAD": 60, "SINGLE": 32}


def sparse(layer: Weighted, output: Output, positions: str = "QUAD") -> SparseForm | None:
    """The layer in the form of sparse_matmul.h; None where no block is zero, or where it is not exact.

    Args:
        layer: The layer; its weights by channel are in the order of its inputs.
        output: What it does with its scaled sums.
        positions: QUAD or SINGLE, how many at a time.
    """
    weights = layer.weights_by_channel
    if weights.shape[1] % BLOCK or weights.shape[1] // BLOCK > _MOST_PLACES:
        return None
    blocks = weights.reshape(len(weights), -1, BLOCK)
    kept = np.any(blocks != 0, axis=2, keepdims=False)
    if kept.all():
        return None
    found = choose_way(finish.channels_of(layer), output)
    if found is None:
        return None
    way, finishes = found
    biases = layer.biases - layer.input.zero_point * weights.sum(axis=1, dtype=np.int64)
    biases = biases + [each.bias for each in finishes]
    words = [_words(blocks[number][kept[number]]) for number in range(layer.channels)]
    # C has no empty arrays.
    places = np.nonzero(kept)[1] if kept.any() else np.zeros(1)
    return SparseForm(
        f"SPARSE_{positions}",
        stream_of(list(as_words(biases[:, None])), words, finishes, STEP_BYTES[positions]),
        layer.channels,
        int(kept.sum(axis=1).max()),
        way,
        places.astype(np.uint8),
    )


GROUP = Group("sparse", 4, 8, HEADERS, sparse)


def single_call(layer: Weighted, output: Output, room: int) -> KernelCall | None:
    """The call of a sparse matrix product of one row; None where it cannot be."""
    form = sparse(layer, output, "SINGLE")
    depth = layer.weights_by_channel.shape[1]
    if form is None or not scratch_suits(2 * depth, layer, room):
        return None
    return KernelCall(
        header="fully_connected_sparse.h",
        kernel="aot_fully_connected_sparse",
        struct_name="aot_fully_connected_sparse",
        description=struct(depth=depth, matmul=form.description(), min=output.min, max=output.max),
        inputs=(layer.input.index,),
        output=layer.output.index,
        macs=layer.weights_by_channel.size,
        included=HEADERS,
        scratch_bytes=2 * depth,
        sparsity=layer.sparsity,
        overlap=after_copy(layer.input),
    )


def better(dense: KernelCall, *found: KernelCall | None) -> KernelCall:
    """The best of the sparse calls where it takes fewer bytes and, as predicted, fewer instructions.

    Args:
        dense: The call that multiplies the zeros too.
        found: Sparse calls of the layer; None for a form that it does not have.
    """
    forms = [(call, form_of(call)) for call in found if call is not None]
    if not forms:
        return dense
    against = form_of(dense)
    # Those that lose are told too; where nothing is predicted, bytes decide which.
    call, form = min(forms, key=lambda each: (not _wins(each[1], against), *_rank(each[1])))
    taken = _wins(form, against)
    return replace(call if taken else dense, sparse_choice=SparseChoice(against, form, taken))


def form_of(call: KernelCall) -> Form:
    """What a layer takes with a call: bytes of constants, predicted instructions."""
    # The prices are of all kernels, and import them.
    from mcu_ser.aot.cost import predicted_instructions

    return Form(call.kernel, call.constant_bytes, predicted_instructions(call))


def _wins(form: Form, dense: Form) -> bool:
    slow, fast = dense.predicted_instructions, form.predicted_instructions
    return form.bytes < dense.bytes and slow is not None and fast is not None and fast < slow


def _rank(form: Form) -> tuple[float, int]:
    instructions = form.predicted_instructions
    return float("inf") if instructions is None else instructions, form.bytes


def _words(blocks: npt.NDArray[Any]) -> UInt32Array:
    """A word for each block, as it lies in memory."""
    words: UInt32Array = np.ascontiguousarray(blocks, np.int8).view("<u4").ravel().astype(np.uint32)
    return words
