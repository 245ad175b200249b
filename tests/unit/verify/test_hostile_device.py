# SPDX-License-Identifier: Apache-2.0
"""A board that says whatever it likes: the host ends with one error, or with answers of the right size."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.errors import DeviceError, LinkError
from mcu_ser.verify.client import Client
from mcu_ser.verify.messages import LAYOUTS
from mcu_ser.verify.patience import Patience
from mcu_ser.verify.protocol import ANSWER, Frame, MessageType, crc32, encode_frame
from tests.lossy_link import PretendBoard, ScriptedLink, inference
from tests.native_firmware import TestModel

MODEL = TestModel(input_bytes=40, output_bytes=700)
SHORT = Patience(hello_s=0.05, answer_s=0.05, inference_s=0.05)
DATA = bytes(range(40))
# An exhausted host would need far more; what the host keeps of a frame is at most 4096 bytes.
PEAK_BYTES = 4_000_000


def edges(size):
    limits = (0, 1, 63, 64, 4096, 4097, 65535, 65536, size)
    return st.one_of(st.integers(0, size), st.sampled_from([limit for limit in limits if limit <= size]))


def output_part(board, frame):
    values, _ = LAYOUTS["OUTPUT"].unpack(frame.payload)
    at, length = values["offset"], values["length"]
    part = board.model.expected_output(DATA)[at : at + length]
    return [board.wrap(frame, LAYOUTS["OUTPUT_ANSWER"].pack({"offset": at}, part))]


def start_of_output(board, frame):
    whole = board.model.expected_output(DATA)
    sample = int.from_bytes(frame.payload[:4], "little")
    return [board.wrap(frame, inference(sample, whole[:64], crc32(whole)))]


def board_that(changes=None, **hello):
    """A board whose output is fetched in parts; `changes` replace its good answers."""
    good = {MessageType.INFER: start_of_output, MessageType.OUTPUT: output_part}
    return PretendBoard(MODEL, good | (changes or {}), **hello)


HELLO_CLAIMS = st.fixed_dictionaries(
    {},
    optional={
        "input_bytes": edges(0xFFFFFFFF),
        "output_bytes": edges(0xFFFFFFFF),
        "input_rank": edges(255),
        "output_rank": edges(255),
        "max_payload": edges(0xFFFF),
        "credit": edges(0xFFFF),
        "rx_buffer_bytes": edges(0xFFFFFFFF),
        "engine_status": st.integers(-(1 << 31), (1 << 31) - 1),
        "board_id": st.binary(max_size=32),
        "engine": st.binary(max_size=8),
        "tick_source": edges(255),
        "reset_cause": edges(255),
    },
)


def converse(link):
    """A whole conversation; returns the output, or None when it ended in an error that a user may see."""
    client = Client(link, SHORT)
    try:
        hello = client.hello()
        if (hello.input_bytes, hello.output_bytes) != (MODEL.input_bytes, MODEL.output_bytes):
            return None  # the harness goes no further (harness.require_match)
        answer = client.run(3, DATA)
        client.stats()
    except DeviceError as error:
        assert error.exit_code == 4
        assert str(error).isprintable()
        return None
    return answer.output


def bounded(link):
    tracemalloc.start()
    try:
        output = converse(link)
        assert tracemalloc.get_traced_memory()[1] < PEAK_BYTES
    finally:
        tracemalloc.stop()
    assert output is None or len(output) == MODEL.output_bytes
    return output


@given(claims=HELLO_CLAIMS)
def test_whatever_a_board_claims_of_itself(claims):
    output = bounded(ScriptedLink(board_that(**claims)))
    assert output in {None, MODEL.expected_output(DATA)}


@given(
    kind=st.sampled_from([MessageType.INPUT, MessageType.INFER, MessageType.OUTPUT, MessageType.STATS]),
    answer_type=st.one_of(st.none(), st.integers(ANSWER, 255)),
    payload=st.one_of(st.binary(max_size=60), st.builds(bytes, st.integers(0, 4096))),
    times=st.sampled_from([1, 1, 3]),
)
def test_whatever_a_board_answers(kind, answer_type, payload, times):
    def lie(board, frame):
        said = frame.type | ANSWER if answer_type is None else answer_type
        return [encode_frame(Frame(said, frame.session, frame.seq, payload))] * times

    bounded(ScriptedLink(board_that({kind: lie})))


def test_a_good_board_is_believed():
    assert bounded(ScriptedLink(board_that())) == MODEL.expected_output(DATA)


@given(stream=st.lists(st.binary(max_size=400), max_size=8), at=st.integers(0, 4))
def test_whatever_bytes_come_at_whatever_time(stream, at):
    board = board_that()
    seen = []

    def noisy(frame):
        seen.append(frame)
        return [*stream, *board(frame)] if len(seen) > at else board(frame)

    output = bounded(ScriptedLink(noisy))
    assert output in {None, MODEL.expected_output(DATA)}


def test_a_board_that_never_stops_sending_good_frames_ends_in_time():
    def flood(board, frame):
        return [encode_frame(Frame(MessageType.INPUT_ANSWER, frame.session, 77, bytes(8)))] * 100_000

    link = ScriptedLink(board_that({MessageType.STATS: flood}))
    client = Client(link, SHORT)
    client.hello()
    with pytest.raises(LinkError, match="no answer to STATS"):
        client.stats()
