# SPDX-License-Identifier: Apache-2.0
"""Sessions: what belongs to another run is no answer in this one."""

import dataclasses
import time
from collections import deque

import pytest

from mcu_ser.errors import LinkError
from mcu_ser.verify.client import Client
from mcu_ser.verify.exchange import Exchange, _new_session
from mcu_ser.verify.messages import LAYOUTS
from mcu_ser.verify.protocol import Frame, MessageType, encode_frame
from tests.lossy_link import PretendBoard, ScriptedLink, report
from tests.native_firmware import TestModel

MODEL = TestModel(input_bytes=1100, output_bytes=9)
DATA = bytes(range(250)) * 4 + bytes(100)


def test_session_numbers_are_random_32_bit_numbers_other_than_that_of_boot():
    sessions = {_new_session() for _ in range(1000)}
    assert len(sessions) > 990
    assert max(sessions) > 1 << 24
    assert 0 not in sessions


def test_all_answers_of_an_old_run_together_change_nothing_in_a_new_one():
    # An old run with the same requests under the same sequence numbers, but of other samples.
    other = dataclasses.replace(MODEL, build_id="77" * 16)
    old = PretendBoard(other)
    stale = []

    def remember(frame):
        answers = old(frame)
        stale.extend(answers)
        return answers

    client = Client(ScriptedLink(remember))
    client.hello()
    client.run(0, bytes(1100))

    new = PretendBoard(MODEL)
    client = Client(ScriptedLink(lambda frame: [*stale, *new(frame)]))
    assert client.hello().build_id == MODEL.build_id
    assert client.run(0, DATA).output == MODEL.expected_output(DATA)


def test_the_wait_for_a_frame_that_never_arrived_is_no_round_trip():
    state = {"nacked": 0}

    def late_nack(board, frame):
        if state["nacked"] < 1:
            state["nacked"] += 1
            time.sleep(0.3)
            missing = report(frame.seq, board.received)
            return [encode_frame(Frame(MessageType.NACK, frame.session, frame.seq, missing))]
        return [board.answer(frame)]

    client = Client(ScriptedLink(PretendBoard(MODEL, {MessageType.INFER: late_nack})))
    client.hello()
    client.run(0, DATA)
    # Eight times the slowest inference, which the 0.3 s before the NACK are no part of.
    assert client._inference_time.wait_s(0) < 8 * 0.3


class BusyLink(ScriptedLink):
    """To a board that takes `takes_s` for each request, one after the other."""

    def __init__(self, respond):
        super().__init__(respond)
        self.takes_s = 0.0
        self._ready = deque()
        self._free_at = 0.0

    def write(self, data):
        super().write(data)
        while self._waiting:
            self._free_at = max(self._free_at, time.monotonic()) + self.takes_s
            self._ready.append((self._free_at, self._waiting.popleft()))

    def read(self, timeout_s):
        end = time.monotonic() + timeout_s
        if self._ready and self._ready[0][0] <= end:
            ready, data = self._ready.popleft()
            time.sleep(max(0.0, ready - time.monotonic()))
            return data
        time.sleep(max(0.0, end - time.monotonic()))
        return b""


def test_a_board_that_becomes_slower_than_the_wait_is_measured_anew():
    """Or each of its answers is to a frame that was sent twice, and none says how long to wait."""
    link = BusyLink(PretendBoard(MODEL))
    client = Client(link)
    client.hello()
    client.run(0, DATA)
    link.takes_s = 0.13  # above the shortest wait
    for sample in range(1, 9):
        client.run(sample, DATA)
    assert client.link_stats().retries <= 6


def test_a_nack_that_shows_that_the_answer_was_lost_has_the_request_repeated_at_once():
    """Or a repeat that is damaged on the way costs the whole wait for the answer."""
    asked = []

    def answer_the_third(frame):
        if frame.type != MessageType.ECHO:
            return [PretendBoard.wrap(frame, bytes(LAYOUTS["HELLO_ANSWER"].bytes))]
        asked.append(frame)
        if len(asked) < 3:
            return [encode_frame(Frame(MessageType.NACK, frame.session, frame.seq, report(frame.seq + 1, 0)))]
        return [PretendBoard.wrap(frame, frame.payload)]

    exchange = Exchange(ScriptedLink(answer_the_third))
    exchange.open_session(1.0)
    started = time.monotonic()
    answer, repeats = exchange.request(MessageType.ECHO, b"x", wait_s=lambda sent: 5.0, give_up_s=10.0)
    assert (answer.payload, repeats) == (b"x", 2)
    assert time.monotonic() - started < 1.0


def test_noise_without_end_does_not_make_the_host_talk_without_end():
    def noise(frame):
        if frame.type != MessageType.ECHO:
            return [PretendBoard.wrap(frame, bytes(LAYOUTS["HELLO_ANSWER"].bytes))]
        return [b"\0noise\0"]

    exchange = Exchange(link := ScriptedLink(noise))
    exchange.open_session(1.0)
    with pytest.raises(LinkError, match=r"no answer to ECHO seq 1 in 0\.95 s"):
        exchange.request(MessageType.ECHO, b"x", wait_s=lambda sent: 5.0, give_up_s=0.95)
    # Eight repeats at once, then ten in a second.
    assert 12 <= len(link.requests) - 1 <= 9 + 10
