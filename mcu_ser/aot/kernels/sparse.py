# SPDX-License-Identifier: Apache-2.0
"""The constant streams of sparse_matmul.h: layers most of whose blocks of four weights are zero."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mcu_ser.aot import finish
from mcu_ser.aot.finish import SIGNED, Finish, Output
from mcu_ser.aot.group_overlap import of_row_groups, of_window_groups
from mcu_ser.aot.kernels.images import image, window_struct
from mcu_ser.aot.kernels.kernel_call import Form, KernelCall, Name, SparseChoice, Struct, Table, struct
from mcu_ser.aot.kernels.matmul import as_words, choose_finish, scratch_is_worth
from mcu_ser.aot.overlap import after_copy
from mcu_ser.aot.sparse_kernel_work import STEPS
from mcu_ser.aot.weighted import Weighted
from mcu_ser.aot.window import Window

# Weights that are stored, or left out, together; pruning by blocks makes them zero together.
BLOCK = 4
HEADERS = ("dsp.h", "sparse_matmul.h", "sparse_matmul_dsp.h")

# The kernel computes so many positions at once.
POSITIONS = 4
# The place of a block is a byte.
_MOST_PLACES = 256
# Bytes of code of a step of the chains in sparse_matmul_dsp.h.
_STEP_BYTES = {"QUAD": 60, "SINGLE": 32}

UInt32Array = npt.NDArray[np.uint32]


@dataclass(frozen=True, eq=False)
class Sparse:
    """A layer in the form of sparse_matmul.h.

    `kind` is QUAD or SINGLE, the number of positions at a time; `most_blocks` is that of any channel;
    `end_shift` the common right shift, or `finish.SIGNED`.
    """

    kind: str
    stream: UInt32Array
    places: npt.NDArray[np.uint8]
    channels: int
    most_blocks: int
    end_shift: int

    def description(self) -> Struct:
        """`struct aot_sparse_matmul`."""
        form = "SIGNED" if self.end_shift == SIGNED else f"SHIFTED({self.end_shift})"
        chain = "ONCE" if self.most_blocks <= STEPS else "REPEATED"
        return struct(
            stream=Table("stream", self.stream),
            places=Table("places", self.places),
            words=self.stream.size,
            channels=self.channels,
            chain=Name(f"AOT_CHAIN_SPARSE_{self.kind}_{chain}"),
            finish=Name(f"AOT_FINISH_SPARSE_{self.kind}_{form}"),
        )


def sparse(layer: Weighted, output: Output, kind: str = "QUAD") -> Sparse | None:
    """The layer in the form of sparse_matmul.h; None where no block is zero, or where it is not exact.

    Args:
        layer: The layer; its weights by channel are in the order of its inputs.
        output: What it does with its scaled sums.
        kind: See `Sparse`.
    """
    weights = layer.weights_by_channel
    if weights.shape[1] % BLOCK or weights.shape[1] // BLOCK > _MOST_PLACES:
        return None
    blocks = weights.reshape(len(weights), -1, BLOCK)
    kept = np.any(blocks != 0, axis=2, keepdims=False)
    if kept.all():
        return None
    found = choose_finish(finish.channels_of(layer), output, in_pairs=False)
    if found is None:
        return None
    end_shift, finishes = found
    biases = layer.biases - layer.input.zero_point * weights.sum(axis=1, dtype=np.int64)
    channels = [
        _channel_words(blocks[number][kept[number]], int(biases[number]), one, _STEP_BYTES[kind])
        for number, one in enumerate(finishes)
    ]
    return Sparse(
        kind,
        np.concatenate(channels),
        # C has no empty arrays.
        (np.nonzero(kept)[1] if kept.any() else np.zeros(1)).astype(np.uint8),
        layer.channels,
        int(kept.sum(axis=1).max()),
        end_shift,
    )


def scratch_suits(scratch_bytes: int, layer: Weighted, room: int) -> bool:
    """Whether a kernel may have so much scratch: there is `room` for it, or it is little for the layer."""
    return scratch_bytes <= room or scratch_is_worth(scratch_bytes, layer)


def rows_call(layer: Weighted, output: Output, rows: int, room: int) -> KernelCall | None:
    """The call of a sparse matrix product of several rows that follow each other; None where it cannot be."""
    form = sparse(layer, output)
    depth = layer.weights_by_channel.shape[1]
    if form is None or rows < POSITIONS or not scratch_suits(8 * depth, layer, room):
        return None
    return KernelCall(
        header="rows_sparse.h",
        kernel="aot_rows_sparse",
        struct_name="aot_rows_sparse",
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
        scratch_bytes=8 * depth,
        sparsity=layer.sparsity,
        overlap=of_row_groups(POSITIONS, rows, depth, layer.channels),
    )


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


def windows_call(layer: Weighted, output: Output, window: Window, room: int) -> KernelCall | None:
    """The call of a sparse CONV_2D; None where it cannot be."""
    scratch = 8 * layer.weights_by_channel.shape[1] + layer.input.shape[3]
    if not (windows_suit(layer, window, POSITIONS) and scratch_suits(scratch, layer, room)):
        return None
    form = sparse(layer, output)
    if form is None:
        return None
    return KernelCall(
        header="conv_2d_sparse.h",
        kernel="aot_conv_2d_sparse",
        struct_name="aot_conv_2d_sparse",
        description=windows_struct(layer, output, window, form.description()),
        inputs=(layer.input.index,),
        output=layer.output.index,
        macs=window_macs(layer),
        included=(*HEADERS, "sparse_windows.h"),
        scratch_bytes=scratch,
        sparsity=layer.sparsity,
        overlap=of_window_groups(POSITIONS, layer.input, layer.output, window),
    )


def windows_suit(layer: Weighted, window: Window, positions: int) -> bool:
    """Whether a sparse kernel computes so many windows at once: it has no dilation, and widens fours."""
    _, height, width, _ = layer.output.shape
    return layer.input.shape[3] % BLOCK == 0 and height * width >= positions and window.dilation == (1, 1)


def windows_struct(layer: Weighted, output: Output, window: Window, matmul: Struct) -> Struct:
    """`struct aot_conv_2d_sparse` and `struct aot_conv_2d_unstructured`."""
    return struct(
        images=struct(input=image(layer.input), output=image(layer.output), window=window_struct(window)),
        zero_point=layer.input.zero_point,
        matmul=matmul,
        min=output.min,
        max=output.max,
    )


def window_macs(layer: Weighted) -> int:
    """Products of a convolution, those of zeros and those in the padding too."""
    _, height, width, _ = layer.output.shape
    return height * width * layer.weights_by_channel.size


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

    stored = sum(table.values.nbytes for table in call.tables())
    return Form(call.kernel, stored, predicted_instructions(call))


def _wins(form: Form, dense: Form) -> bool:
    slow, fast = dense.predicted_instructions, form.predicted_instructions
    return form.bytes < dense.bytes and slow is not None and fast is not None and fast < slow


def _rank(form: Form) -> tuple[float, int]:
    instructions = form.predicted_instructions
    return float("inf") if instructions is None else instructions, form.bytes


def _channel_words(blocks: npt.NDArray[Any], bias: int, constants: Finish, step_bytes: int) -> UInt32Array:
    count = len(blocks)
    # The chain ends with the last block; passes before the last are whole.
    steps = (count - 1) % STEPS + 1 if count else 0
    head = count | (STEPS - steps) * step_bytes << 16
    ends = np.array([constants.multiplier, constants.constant, constants.shift], np.int64)
    weights = np.ascontiguousarray(blocks, np.int8).view("<u4").ravel()
    start = np.array([head, bias], np.int64)
    return np.concatenate([as_words(start), weights.astype(np.uint32), as_words(ends)])
