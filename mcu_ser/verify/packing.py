# SPDX-License-Identifier: Apache-2.0
"""Turns pieces of an input into the payloads of INPUT_PACKED: what is smooth travels as small differences.

Each value is predicted from its neighbours before it (the median edge detector of JPEG-LS: Weinberger,
Seroussi and Sapiro 2000, equation 1), and the difference is a Rice code whose parameter is chosen per block.
Exact, like everything on this line; a piece that would not get shorter travels as INPUT. PROTOCOL.md has the
format; packed_input.c of the firmware undoes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mcu_ser.verify.messages import LAYOUTS

BLOCK_VALUES = 32
"""Values that share a Rice parameter; the last block of a piece may be shorter."""

PARAMETER_BITS = 3
"""Bits of the parameter; the greatest stands for values of 8 bits without a code."""

_VERBATIM = (1 << PARAMETER_BITS) - 1
_LAYOUT = LAYOUTS["INPUT_PACKED"]
_MOST_LEFT, _MOST_ABOVE, _MOST_COUNT = 0xFF, 0xFFFF, 0xFFFF

_Codes = npt.NDArray[np.int64]


class InputPacker:
    """Packs pieces of one input.

    Args:
        data: The whole input tensor, n bytes.
        shape: Its shape with the batch, which says what is next to what.
    """

    def __init__(self, data: bytes, shape: Sequence[int]) -> None:
        self._left, self._above = neighbours(shape)
        self._codes = _codes(np.frombuffer(data, np.int8).astype(np.int64), self._left, self._above)

    def pack(self, start: int, end: int) -> bytes | None:
        """The payload of INPUT_PACKED with bytes `start` to `end` (exclusive); None if INPUT is as short."""
        count = end - start
        if count > _MOST_COUNT:
            return None
        values = {"offset": start, "count": count, "above": self._above, "left": self._left}
        payload = _LAYOUT.pack(values, _stream(self._codes[start:end]))
        return payload if len(payload) < LAYOUTS["INPUT"].bytes + count else None


def neighbours(shape: Sequence[int]) -> tuple[int, int]:
    """Distances in bytes to the values left of and above one.

    Args:
        shape: Batch, then a vector, a map (frames x bands), or one with channels (frames x bands x 1).
    """
    left = shape[-1] if len(shape) > 3 else 1
    above = left * shape[-2] if len(shape) > 3 else shape[-1] if len(shape) > 2 else left
    if not 0 < left <= _MOST_LEFT:
        return 1, 1
    return left, above if 0 < above <= _MOST_ABOVE else left


def _codes(x: _Codes, left: int, above: int) -> _Codes:
    """What is coded of each value: 0, 1, 2, 3, ... for a difference of 0, -1, 1, -2, ... modulo 256."""
    farthest = left + above
    padded = np.concatenate([np.zeros(farthest, np.int64), x])
    count = len(x)
    at_left, at_above, corner = (
        padded[farthest - distance : farthest - distance + count] for distance in (left, above, farthest)
    )
    low, high = np.minimum(at_left, at_above), np.maximum(at_left, at_above)
    predicted = np.clip(at_left + at_above - corner, low, high)
    difference = ((x - predicted + 128) & 0xFF) - 128
    codes: _Codes = np.where(difference >= 0, 2 * difference, -2 * difference - 1)
    return codes


def _stream(codes: _Codes) -> bytes:
    """Blocks of Rice codes, most significant bit first, filled up with zeros to whole bytes."""
    block = np.arange(len(codes)) // BLOCK_VALUES
    parameters = _parameters(codes, block)
    low_bits = parameters[block]
    coded = low_bits < _VERBATIM
    quotients = np.where(coded, codes >> low_bits, 0)
    lengths = np.where(coded, quotients + 1 + low_bits, 8)
    ends = np.cumsum(lengths) + PARAMETER_BITS * (block + 1)
    starts = ends - lengths
    bits = np.zeros(ends[-1], np.uint8)
    _put(bits, starts[::BLOCK_VALUES] - PARAMETER_BITS, parameters, PARAMETER_BITS)
    _put(bits, starts[~coded], codes[~coded], 8)
    bits[(starts + quotients)[coded]] = 1
    for count in range(1, _VERBATIM):
        chosen = low_bits == count
        _put(bits, (ends - count)[chosen], codes[chosen], count)
    return np.packbits(bits).tobytes()


def _parameters(codes: _Codes, block: npt.NDArray[Any]) -> _Codes:
    """The parameter of each block with which it is shortest."""
    counts = np.bincount(block)
    lengths = [np.bincount(block, codes >> k) + counts * (k + 1) for k in range(_VERBATIM)]
    shortest: _Codes = np.argmin([*lengths, counts * 8], axis=0)
    return shortest


def _put(bits: npt.NDArray[np.uint8], at: npt.NDArray[Any], values: _Codes, count: int) -> None:
    """Write the lowest `count` bits of each value to where it starts, most significant first."""
    for bit in range(count):
        bits[at + bit] = values >> (count - 1 - bit) & 1
