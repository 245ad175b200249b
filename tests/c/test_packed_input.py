# SPDX-License-Identifier: Apache-2.0
"""INPUT_PACKED of the firmware's server, compiled for the host with sanitizers, against `packed_input`."""

import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcu_ser.verify.messages import LAYOUTS, Report
from mcu_ser.verify.packing import InputPacker
from mcu_ser.verify.protocol import ErrorCode, MessageType
from tests.c.server_line import DATA, MODEL, error, hello, infer, input_chunk, output, request
from tests.packed_input import NotPackedError, unpacked

_SESSIONS = itertools.count(0x3000)
SIZE = MODEL.input_bytes


def packed(seq, offset, count, stream, *, left=1, above=10, session=None):
    values = {"offset": offset, "count": count, "above": above, "left": left}
    frame = request(MessageType.INPUT_PACKED, seq, LAYOUTS["INPUT_PACKED"].pack(values, stream))
    return frame if session is None else with_session(frame, session)


def with_session(frame, session):
    return type(frame)(frame.type, session, frame.seq, frame.payload)


def computes_from(line, data, seq, session):
    """Whether `data` is in place: INFER compares the CRC-32, and the output depends on each byte."""
    answer = line.ask(with_session(infer(seq, data), session))
    assert answer.type == MessageType.INFER_ANSWER
    shown = answer.payload[LAYOUTS["INFER_ANSWER"].bytes :]
    return shown == MODEL.expected_output(data)[: len(shown)]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.integers(-128, 127), min_size=SIZE, max_size=SIZE)
    | st.lists(st.integers(-3, 3), min_size=SIZE, max_size=SIZE),
    shape=st.sampled_from([(1, SIZE), (1, 10, 10), (1, 5, 10, 2), (1, 1, 50, 2)]),
    cuts=st.sets(st.integers(1, SIZE - 1), max_size=5),
)
def test_what_the_host_packs_arrives(line, steps, shape, cuts):
    data = (np.cumsum(steps) & 0xFF).astype(np.uint8).tobytes()
    session = next(_SESSIONS)
    assert line.ask(hello(session)).type == MessageType.HELLO_ANSWER
    packer = InputPacker(data, shape)
    edges = [0, *sorted(cuts), SIZE]
    for seq, (start, end) in enumerate(itertools.pairwise(edges), start=1):
        payload = packer.pack(start, end)
        plain = with_session(input_chunk(seq, start, data[start:end]), session)
        frame = (
            plain
            if payload is None
            else with_session(request(MessageType.INPUT_PACKED, seq, payload), session)
        )
        answer = line.ask(frame)
        assert answer.type == frame.type | 0x80
        assert Report.unpack(answer.payload) == Report(seq + 1, end)
    assert computes_from(line, data, len(edges), session)


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    offset=st.sampled_from([0, 0, 40, SIZE - 1]),
    count=st.integers(0, 70),
    left=st.sampled_from([1, 2, 3, 255]),
    above=st.sampled_from([1, 10, 65535]),
    stream=st.binary(min_size=1, max_size=90)
    | st.lists(st.sampled_from([0, 0x1F, 0xFF, 0x55, 0x80]), min_size=1, max_size=90).map(bytes),
)
def test_any_stream_is_read_as_it_is_written_down_or_refused(line, offset, count, left, above, stream):
    session = next(_SESSIONS)
    assert line.ask(hello(session)).type == MessageType.HELLO_ANSWER
    seq = 1
    if offset:
        line.ask(with_session(input_chunk(seq, 0, DATA[:offset]), session))
        seq += 1
    frame = packed(seq, offset, count, stream, left=left, above=above, session=session)
    answer = line.ask(frame)
    if offset + count > SIZE:
        assert error(answer) == (ErrorCode.OUT_OF_RANGE, MessageType.INPUT_PACKED, offset)
        return
    try:
        expected = unpacked(frame.payload, DATA)
    except NotPackedError:
        assert error(answer) == (ErrorCode.BAD_LENGTH, MessageType.INPUT_PACKED, len(frame.payload))
        expected = b""
    else:
        assert Report.unpack(answer.payload) == Report(seq + 1, offset + count)
    # What is in place is what was taken, and nothing else: the rest goes on from there.
    at = offset + len(expected)
    data = DATA[:offset] + expected + DATA[at:]
    if at < SIZE:
        line.ask(with_session(input_chunk(seq + 1, at, data[at:]), session))
        seq += 1
    assert computes_from(line, data, seq + 1, session)


@pytest.mark.parametrize(
    ("offset", "count", "left", "above"),
    [(0, 101, 1, 1), (0, 65535, 1, 1), (0, 1, 0, 1), (0, 1, 1, 0), (0, 0, 0, 0)],
)
def test_what_is_beyond_the_input_or_has_no_neighbours_is_refused(session, offset, count, left, above):
    frame = packed(1, offset, count, bytes(60), left=left, above=above)
    assert error(session.ask(frame)) == (ErrorCode.OUT_OF_RANGE, MessageType.INPUT_PACKED, offset)
    assert session.ask(packed(2, 0, 1, b"\x10")).type == MessageType.INPUT_PACKED_ANSWER


@pytest.mark.parametrize("length", [0, 3, 8, 9])
def test_a_payload_that_carries_nothing_is_refused(session, length):
    refused = session.ask(request(MessageType.INPUT_PACKED, 1, bytes(length)))
    assert error(refused) == (ErrorCode.BAD_LENGTH, MessageType.INPUT_PACKED, length)


def test_a_packed_input_takes_its_place_in_the_sequence_as_an_input_does(session):
    first, second = packed(1, 0, 1, b"\x10"), packed(2, 1, 1, b"\x10")
    assert session.ask(first).type == MessageType.INPUT_PACKED_ANSWER
    assert session.ask(second).type == MessageType.INPUT_PACKED_ANSWER
    repeated = session.ask(first)
    assert (repeated.type, Report.unpack(repeated.payload)) == (MessageType.INPUT_PACKED_ANSWER, Report(3, 2))
    elsewhere = session.ask(packed(3, 5, 1, b"\x10"))
    assert (elsewhere.type, Report.unpack(elsewhere.payload)) == (MessageType.NACK, Report(3, 2))


def test_a_packed_input_ends_what_was_computed(session):
    session.ask(input_chunk(1, 0, DATA))
    session.ask(infer(2, DATA))
    session.ask(packed(3, 0, 1, b"\x10"))
    assert error(session.ask(output(4, 0, 1)))[0] == ErrorCode.BAD_STATE
