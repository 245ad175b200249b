# SPDX-License-Identifier: Apache-2.0
"""Trials of the arena: what `verify --certify-arena` asks, answered by the server."""

import pytest

from mcu_ser.device.host_process import HostProcess
from mcu_ser.device.link import Link
from mcu_ser.verify.messages import LAYOUTS, ArenaTrial, Hello, Inference
from mcu_ser.verify.protocol import EngineStatus, ErrorCode, MessageType, crc32
from tests.c.server_line import DATA, MODEL, SESSION, Line, error, hello, infer, input_chunk, output, request
from tests.native_firmware import build_native_firmware


def arena(seq, arena_bytes, session=SESSION):
    return request(MessageType.ARENA, seq, LAYOUTS["ARENA"].pack({"bytes": arena_bytes}), session)


@pytest.fixture(scope="module")
def program_that_needs_arena(tmp_path_factory):
    """Firmware whose engine starts with 1600 bytes of arena or more, of the 4096 that it has."""
    directory = tmp_path_factory.mktemp("arena")
    return build_native_firmware(directory, MODEL, defines=("ENGINE_NEEDS_ARENA=1600u",))


@pytest.fixture
def arena_session(program_that_needs_arena):
    with HostProcess(program_that_needs_arena) as device, Link(device) as link:
        line = Line(link)
        line.receive()
        line.ask(hello())
        yield line


@pytest.mark.parametrize(("arena_bytes", "status"), [(4096, 0), (1600, 0), (1599, 3), (0, 3)])
def test_an_arena_is_tried(arena_session, arena_bytes, status):
    answer = arena_session.ask(arena(1, arena_bytes))
    assert answer.type == MessageType.ARENA_ANSWER
    used = 0 if status else 1600
    assert ArenaTrial.unpack(answer.payload) == ArenaTrial(arena_bytes, used, status)
    expected = MessageType.ERROR if status else MessageType.INPUT_ANSWER
    assert arena_session.ask(input_chunk(2, 0, DATA)).type == expected


def test_an_engine_runs_in_the_arena_that_was_tried(arena_session):
    arena_session.ask(arena(1, 100))
    arena_session.ask(arena(2, 1600))
    arena_session.ask(input_chunk(3, 0, DATA))
    answer = Inference.unpack(arena_session.ask(infer(4, DATA)).payload)
    assert answer.output_crc == crc32(MODEL.expected_output(DATA))


def test_a_trial_forgets_input_and_output(arena_session):
    arena_session.ask(input_chunk(1, 0, DATA))
    arena_session.ask(arena(2, 4096))
    assert error(arena_session.ask(infer(3, DATA))) == (ErrorCode.BAD_STATE, MessageType.INFER, 0)
    arena_session.ask(input_chunk(4, 0, DATA))
    arena_session.ask(infer(5, DATA))
    arena_session.ask(arena(6, 4096))
    assert error(arena_session.ask(output(7, 0, 4)))[0] == ErrorCode.BAD_STATE


def test_a_new_session_has_the_whole_arena_again(arena_session):
    arena_session.ask(arena(1, 16))
    said = Hello.unpack(arena_session.ask(hello(session=8)).payload)
    assert (said.arena_bytes, said.arena_used, said.engine_status) == (4096, 1600, 0)


def test_more_arena_than_there_is_and_a_wrong_length_are_refused_and_change_nothing(arena_session):
    arena_session.ask(input_chunk(1, 0, DATA))
    assert error(arena_session.ask(arena(2, 4097))) == (ErrorCode.OUT_OF_RANGE, MessageType.ARENA, 4097)
    wrong = request(MessageType.ARENA, 3, bytes(5))
    assert error(arena_session.ask(wrong)) == (ErrorCode.BAD_LENGTH, MessageType.ARENA, 5)
    assert arena_session.ask(infer(4, DATA)).type == MessageType.INFER_ANSWER


def test_a_planned_arena_cannot_be_tried(session):
    session.ask(input_chunk(1, 0, DATA))
    refused = error(session.ask(arena(2, 4000)))
    assert refused == (ErrorCode.ENGINE, MessageType.ARENA, EngineStatus.ARENA_IS_FIXED)
    assert session.ask(infer(3, DATA)).type == MessageType.INFER_ANSWER
