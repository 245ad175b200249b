# SPDX-License-Identifier: Apache-2.0
"""What the streams of sparse_matmul.h and unstructured_matmul.h have in common: all but the weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mcu_ser.aot.direct_finish import choose_direct
from mcu_ser.aot.finish import Channel, Finish, Output, all_channels, signed, sums_keep_to
from mcu_ser.aot.kernels.kernel_call import Name, Struct, Table, struct
from mcu_ser.aot.kernels.matmul import as_words
from mcu_ser.aot.sparse_kernel_work import STEPS

# Where a head has the number of words of weights, and how far the chain is entered.
_COUNT_AT, _ENTRY_AT = 8, 21
# Bytes of code before the chain, where a head of 0 enters.
_EXIT_BYTES = 8

MOST_WORDS = (1 << (_ENTRY_AT - _COUNT_AT)) - 1
"""Of weights of a channel."""

UInt32Array = npt.NDArray[np.uint32]


@dataclass(frozen=True, eq=False)
class SparseForm:
    """A layer in the form of sparse_matmul.h or unstructured_matmul.h.

    `kind` is SPARSE_QUAD, SPARSE_SINGLE or UNSTRUCTURED; `most_words` the greatest number of words of weights
    of any channel; `way` is how its sums become int8, e.g. DIRECT(7). `places` is None where the stream has
    them.
    """

    kind: str
    stream: UInt32Array
    channels: int
    most_words: int
    way: str
    places: npt.NDArray[np.uint8] | None = None

    def description(self) -> Struct:
        """`struct aot_sparse_matmul` or `struct aot_unstructured_matmul`."""
        chain = "ONCE" if self.most_words <= STEPS else "REPEATED"
        places = {} if self.places is None else {"places": Table("places", self.places)}
        return struct(
            stream=Table("stream", self.stream),
            **places,
            channels=self.channels,
            chain=Name(f"AOT_CHAIN_{self.kind}_{chain}"),
            finish=Name(f"AOT_FINISH_{self.kind}_{self.way}"),
        )


def choose_way(
    channels: tuple[Channel, ...], output: Output, bits: int = 32
) -> tuple[str, tuple[Finish, ...]] | None:
    """The cheapest exact way from sums of so many bits to int8, and its constants; None without one."""
    found = choose_direct(channels, output)
    # The bias of the direct way may take sums out of the bits that they have.
    if found is not None and sums_keep_to(bits, channels, found[1]):
        return f"DIRECT({found[0]})", found[1]
    finishes = all_channels(signed(channel, output) for channel in channels)
    return ("SIGNED", finishes) if finishes is not None and sums_keep_to(bits, channels, finishes) else None


def stream_of(
    starts: Sequence[UInt32Array],
    weights: Sequence[UInt32Array],
    finishes: Sequence[Finish],
    step_bytes: int,
) -> UInt32Array:
    """The stream, as its header describes it.

    Args:
        starts: By channel, what its sums start from.
        weights: By channel, at most `MOST_WORDS`.
        finishes: By channel.
        step_bytes: Of code of a step of the chain.
    """
    heads = [_head(len(words), step_bytes) for words in weights]
    parts = [np.array(heads[:1], np.uint32)]
    for start, words, constants, following in zip(starts, weights, finishes, [*heads[1:], 0], strict=True):
        end = np.array([constants.multiplier, constants.constant, constants.shift | following], np.int64)
        parts += [start, words, as_words(end)]
    return np.concatenate(parts)


def _head(count: int, step_bytes: int) -> int:
    """The head of a channel of so many words of weights."""
    # The chain ends with the last word; passes before the last are whole.
    steps = (count - 1) % STEPS + 1 if count else 0
    return count << _COUNT_AT | (_EXIT_BYTES + (STEPS - steps) * step_bytes) << _ENTRY_AT
