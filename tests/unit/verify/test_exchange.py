# SPDX-License-Identifier: Apache-2.0
"""Sessions: what belongs to another run is no answer in this one."""

import dataclasses
import time

from mcu_ser.verify.client import Client
from mcu_ser.verify.exchange import _new_session
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
