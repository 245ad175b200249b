# SPDX-License-Identifier: Apache-2.0
"""Turns an input of some bytes into numbered chunks and the device's reports into what to send next.

Go-back-N: at most `credit` chunks are unanswered; after a gap everything from the gap on is sent again, cut
anew at the present chunk size. First comes one chunk alone, and each success doubles how many follow: sending
the whole window at every report of a gap would call up more such reports than it answers. Chunks halve when
something is lost and grow by a quarter with each that arrives, which settles where about a quarter of the
frames is lost: near the best length for any rate of errors, with the 17 bytes that a frame adds.

The device's word on where it is (next sequence number, bytes received) decides; a report from before the
present state is ignored. No I/O and no clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

# Shorter frames would be mostly header.
_SMALLEST_CHUNK_BYTES = 16
_SEQ_MASK = 0xFFFF
_SEQ_HALF = 0x8000


class WindowError(ValueError):
    """The device reports what cannot be."""


@dataclass(frozen=True)
class Chunk:
    """Input bytes `start` to `end` (exclusive) under one sequence number; `again` if it was sent before."""

    seq: int
    start: int
    end: int
    again: bool


class InputWindow:
    """The transfer of one input.

    Args:
        total: Input bytes, at least 1.
        first_seq: Sequence number of the first chunk.
        credit: Most chunks without an answer.
        chunk_bytes: Bytes in a chunk at first.
        largest_chunk_bytes: Most bytes in a chunk.

    Attributes:
        chunk_bytes: Bytes in a chunk at present.
        next_seq: Sequence number that the device expects next.
        received: Input bytes that the device holds.
    """

    def __init__(
        self, *, total: int, first_seq: int, credit: int, chunk_bytes: int, largest_chunk_bytes: int
    ) -> None:
        self.chunk_bytes = chunk_bytes
        self._largest_chunk_bytes = largest_chunk_bytes
        self.next_seq = first_seq
        self.received = 0
        self._total = total
        self._credit = credit
        self._limit = credit  # most chunks in flight at present
        self._in_flight: deque[Chunk] = deque()
        self._farthest_seq = first_seq  # one past the highest sequence number ever sent

    @property
    def done(self) -> bool:
        """Whether the device has the whole input."""
        return self.received == self._total

    def take(self) -> list[Chunk]:
        """The chunks to send now; they count as in flight from here on."""
        taken = []
        while len(self._in_flight) < self._limit:
            start = self._in_flight[-1].end if self._in_flight else self.received
            if start == self._total:
                break
            seq = (self.next_seq + len(self._in_flight)) & _SEQ_MASK
            again = _ahead(seq, self._farthest_seq) >= _SEQ_HALF
            chunk = Chunk(seq, start, min(start + self._chunk_length(), self._total), again)
            self._in_flight.append(chunk)
            taken.append(chunk)
            if not again:
                self._farthest_seq = (seq + 1) & _SEQ_MASK
        return taken

    def _chunk_length(self) -> int:
        """Bytes of the next chunk, if so many are left."""
        return self.chunk_bytes

    def report(self, next_seq: int, received: int) -> bool:
        """Take the device's report; returns False if it is an old one.

        Raises:
            WindowError: It acknowledges what was never sent, or holds more than the input.
        """
        ahead = _ahead(next_seq, self.next_seq)
        if ahead >= _SEQ_HALF:
            return False
        if ahead > _ahead(self._farthest_seq, self.next_seq) or received > self._total:
            raise WindowError(f"seq {next_seq} next and {received} bytes received cannot be")
        if ahead == 0:
            # Nothing new: what the device holds follows from what it has carried out. Before the first chunk
            # it may hold an older input, which that chunk replaces.
            return True
        self._limit = min(2 * self._limit, self._credit)
        self.chunk_bytes = longer_chunk(self.chunk_bytes, self._largest_chunk_bytes)
        for _ in range(min(ahead, len(self._in_flight))):
            self._in_flight.popleft()
        self.next_seq = next_seq
        self.received = received
        if self._in_flight and self._in_flight[0].start != received:
            # It has carried out chunks that were cut differently before a go-back.
            self._in_flight.clear()
        return True

    def go_back(self) -> None:
        """Count everything without an answer as lost."""
        self._in_flight.clear()
        self._limit = 1
        self.chunk_bytes = shorter_chunk(self.chunk_bytes)


def shorter_chunk(chunk_bytes: int) -> int:
    """What to send after a loss."""
    return max(_SMALLEST_CHUNK_BYTES, chunk_bytes // 2)


def longer_chunk(chunk_bytes: int, largest: int) -> int:
    """What to send after a success."""
    return min(chunk_bytes + chunk_bytes // 4 + 1, largest)


def _ahead(seq: int, base: int) -> int:
    return (seq - base) & _SEQ_MASK
