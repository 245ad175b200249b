# SPDX-License-Identifier: Apache-2.0
import random
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.verify.window import Chunk, InputWindow, WindowError, longer_chunk, shorter_chunk


class ModelBoard:
    """The board's side of an input transfer, by the rules of the protocol and nothing else."""

    def __init__(self, total, next_seq):
        self.memory = bytearray(total)
        self.next_seq = next_seq
        self.received = 0

    def take(self, seq, offset, data):
        """Carry out a chunk if it is next; returns the report."""
        if seq == self.next_seq and offset in {0, self.received}:
            self.memory[offset : offset + len(data)] = data
            self.received = offset + len(data)
            self.next_seq = (self.next_seq + 1) & 0xFFFF
        return self.next_seq, self.received


@given(
    total=st.integers(1, 3000),
    first_seq=st.one_of(st.integers(0, 0xFFFF), st.integers(0xFFF0, 0xFFFF)),
    credit=st.integers(1, 8),
    chunk_bytes=st.integers(1, 600),
    loss=st.floats(0, 0.6),
    seed=st.integers(0, 2**32),
)
def test_every_byte_arrives_over_a_line_that_loses_and_delays(
    total, first_seq, credit, chunk_bytes, loss, seed
):
    rng = random.Random(seed)
    data = rng.randbytes(total)
    board = ModelBoard(total, first_seq)
    window = InputWindow(
        total=total, first_seq=first_seq, credit=credit, chunk_bytes=chunk_bytes, largest_chunk_bytes=600
    )
    to_board, to_host = deque(), deque()
    for _ in range(200_000):
        if window.done:
            break
        to_board.extend(window.take())
        action = rng.random()
        if to_board and action < 0.6:
            chunk = to_board.popleft()
            if rng.random() >= loss:
                report = board.take(chunk.seq, chunk.start, data[chunk.start : chunk.end])
                if rng.random() >= loss:
                    to_host.extend([report] * rng.choice([1, 1, 1, 2]))
        elif to_host and action < 0.9:
            window.report(*to_host.popleft())
        else:
            # The host may go back at any time, even for no reason, and cut differently afterwards.
            window.go_back()
            window.chunk_bytes = rng.randint(1, 600)
    assert window.done
    assert bytes(board.memory) == data
    assert window.next_seq == board.next_seq


def test_no_more_chunks_than_the_credit_are_in_flight():
    window = InputWindow(total=100, first_seq=7, credit=3, chunk_bytes=10, largest_chunk_bytes=10)
    assert [(c.seq, c.start, c.end) for c in window.take()] == [(7, 0, 10), (8, 10, 20), (9, 20, 30)]
    assert window.take() == []
    assert window.report(9, 20)
    assert [(c.seq, c.start) for c in window.take()] == [(10, 30), (11, 40)]


def test_going_back_sends_the_unanswered_chunks_again_and_says_so():
    window = InputWindow(total=60, first_seq=0xFFFF, credit=3, chunk_bytes=10, largest_chunk_bytes=20)
    window.take()
    assert window.report(0, 10)
    window.go_back()
    window.chunk_bytes = 20
    assert window.take() == [Chunk(0, 10, 30, again=True)]
    assert window.report(1, 30)
    assert window.take() == [Chunk(1, 30, 50, again=True), Chunk(2, 50, 60, again=False)]


def test_after_going_back_the_window_opens_by_doubling():
    window = InputWindow(total=1000, first_seq=0, credit=5, chunk_bytes=10, largest_chunk_bytes=10)
    window.take()
    window.go_back()
    in_flight = []
    for received in range(0, 50, 10):
        in_flight += window.take()
        assert len(in_flight) <= 5
        in_flight.pop(0)
        window.report(received // 10 + 1, received + 10)
    assert len(in_flight) + len(window.take()) == 5
    window.go_back()
    assert len(window.take()) == 1


def test_the_boards_word_counts_when_it_has_carried_out_chunks_of_another_length():
    window = InputWindow(total=100, first_seq=0, credit=4, chunk_bytes=10, largest_chunk_bytes=25)
    window.take()
    window.go_back()
    window.chunk_bytes = 25
    assert window.take() == [Chunk(0, 0, 25, again=True)]
    assert window.report(2, 20)  # chunks 0 and 1 of ten bytes were only late
    assert window.take() == [Chunk(2, 20, 45, again=True), Chunk(3, 45, 70, again=True)]


def test_an_old_report_changes_nothing():
    window = InputWindow(total=30, first_seq=0, credit=3, chunk_bytes=10, largest_chunk_bytes=10)
    window.take()
    assert window.report(2, 20)
    assert not window.report(1, 10)
    assert window.received == 20


def test_a_late_report_of_the_previous_input_is_not_taken_for_this_one():
    window = InputWindow(total=30, first_seq=8, credit=3, chunk_bytes=10, largest_chunk_bytes=10)
    window.take()
    assert window.report(8, 30)  # the device holds a whole input, but not this one
    assert (window.received, window.done) == (0, False)


@pytest.mark.parametrize(("next_seq", "received"), [(4, 20), (1, 31), (0x7FFF, 0)])
def test_a_report_that_cannot_be_is_refused(next_seq, received):
    window = InputWindow(total=30, first_seq=0, credit=3, chunk_bytes=10, largest_chunk_bytes=10)
    window.take()
    with pytest.raises(WindowError, match=f"seq {next_seq} next and {received} bytes"):
        window.report(next_seq, received)


def test_chunks_halve_when_something_is_lost_and_grow_when_it_arrives():
    window = InputWindow(total=5000, first_seq=0, credit=2, chunk_bytes=508, largest_chunk_bytes=508)
    window.take()
    window.go_back()
    assert [chunk.end - chunk.start for chunk in window.take()] == [254]
    window.report(1, 254)
    assert window.chunk_bytes == 254 + 63 + 1
    for seq in range(2, 6):
        window.take()
        window.report(seq, 254)
    assert window.chunk_bytes == 508
    assert shorter_chunk(20) == 16
    assert longer_chunk(1, 100) == 2
