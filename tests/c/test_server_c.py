# SPDX-License-Identifier: Apache-2.0
"""The firmware's server, compiled for the host with sanitizers, frame by frame over its socket."""

import struct
from pathlib import Path

import pytest

from mcu_ser.device.host_process import HostProcess
from mcu_ser.device.link import Link
from mcu_ser.verify.messages import LAYOUTS, Boot, DeviceStats, Hello, Inference, Report, ResetCause
from mcu_ser.verify.protocol import ErrorCode, Frame, MessageType, crc32, encode_frame
from tests.c.server_line import (
    DATA,
    MODEL,
    SESSION,
    Line,
    error,
    hello,
    infer,
    input_chunk,
    output,
    request,
    stats,
)
from tests.native_firmware import build_native_firmware


def test_boot_announces_the_start(program):
    with HostProcess(program) as device, Link(device) as link:
        boot = Line(link).receive()
    assert (boot.type, boot.session, boot.seq) == (MessageType.BOOT, 0, 0)
    assert Boot.unpack(boot.payload) == Boot(ResetCause.POWER_ON, None)


def test_the_port_is_on_the_loopback_interface_alone(program):
    with HostProcess(program) as device:
        port = f":{int(device.url.rpartition(':')[2]):04X}"
        listening = [
            fields[1]
            for table in ("/proc/net/tcp", "/proc/net/tcp6")
            if Path(table).exists()
            for fields in map(str.split, Path(table).read_text().splitlines()[1:])
            if fields[3] == "0A" and fields[1].endswith(port)  # TCP_LISTEN
        ]
    assert listening == [f"0100007F{port}"]


def test_hello_describes_the_firmware(line):
    answer = line.ask(hello())
    assert (answer.type, answer.session, answer.seq) == (MessageType.HELLO_ANSWER, SESSION, 0)
    said = Hello.unpack(answer.payload)
    assert (said.board_id, said.engine) == (MODEL.board, MODEL.engine)
    assert (said.model_sha256, said.build_id) == (MODEL.model_sha256, MODEL.build_id)
    assert (said.input_bytes, said.output_bytes) == (100, 1200)
    assert (said.input_shape, said.output_shape) == ((1, 100), (1, 1200))
    assert struct.pack("<I", said.input_scale_bits) == struct.pack("<f", MODEL.scale)
    assert (said.input_zero_point, said.output_zero_point) == (-3, -3)
    assert (said.arena_bytes, said.arena_used, said.engine_status) == (4096, 4000, 0)
    assert (said.max_payload, said.rx_buffer_bytes, said.credit) == (512, 16384, 30)


def test_nothing_is_done_without_a_session(line):
    assert error(line.ask(request(MessageType.ECHO, 1, b"x"))) == (ErrorCode.NO_SESSION, MessageType.ECHO, 0)


def test_frames_of_an_old_session_are_refused_and_leave_the_new_one_alone(session):
    session.ask(hello(session=77))
    assert error(session.ask(request(MessageType.ECHO, 1, b"x")))[0] == ErrorCode.NO_SESSION
    assert session.ask(request(MessageType.ECHO, 1, b"x", session=77)).payload == b"x"


def test_another_version_is_refused_in_our_own(session):
    answer = session.ask(Frame(MessageType.ECHO, SESSION, 1, b"", version=2))
    assert error(answer) == (ErrorCode.BAD_VERSION, MessageType.ECHO, 1)
    assert answer.version == 1
    assert session.ask(request(MessageType.ECHO, 1, b"same seq")).payload == b"same seq"


def test_an_echo_comes_back_whole(session):
    data = bytes(range(256)) * 2
    assert session.ask(request(MessageType.ECHO, 1, data)).payload == data


def test_a_repeated_request_gets_the_same_answer_and_is_not_carried_out_again(session):
    session.ask(input_chunk(1, 0, DATA))
    first = session.ask(infer(2, DATA))
    assert session.ask(infer(2, DATA)) == first
    counted = stats(session, 3)
    assert (counted.inferences, counted.duplicates) == (1, 1)


def test_an_older_repeated_input_is_acknowledged_with_the_present_state(session):
    for seq, offset in ((1, 0), (2, 10), (3, 20)):
        session.ask(input_chunk(seq, offset, DATA[offset : offset + 10]))
    answer = session.ask(input_chunk(1, 0, DATA[:10]))
    assert (answer.type, answer.seq) == (MessageType.INPUT_ANSWER, 1)
    assert Report.unpack(answer.payload) == Report(next_seq=4, received=30)


def test_an_older_repeated_request_of_another_kind_gets_the_present_state(session):
    session.ask(request(MessageType.ECHO, 1))
    session.ask(request(MessageType.ECHO, 2))
    answer = session.ask(request(MessageType.ECHO, 1))
    assert answer.type == MessageType.NACK
    assert Report.unpack(answer.payload).next_seq == 3


def test_a_gap_is_reported_once(session):
    session.send(input_chunk(2, 10, DATA[10:20]), input_chunk(3, 20, DATA[20:30]))
    nack = session.receive()
    assert (nack.type, nack.seq) == (MessageType.NACK, 2)
    assert Report.unpack(nack.payload) == Report(next_seq=1, received=0)
    assert session.is_silent()


def test_a_gap_after_going_back_is_reported_again(session):
    session.ask(input_chunk(1, 0, DATA[:10]))
    assert session.ask(input_chunk(3, 20, DATA[20:30])).type == MessageType.NACK
    assert session.ask(input_chunk(1, 0, DATA[:10])).type == MessageType.INPUT_ANSWER
    assert session.ask(input_chunk(3, 20, DATA[20:30])).type == MessageType.NACK
    assert stats(session, 2).nacks == 2


def test_an_input_in_sequence_that_does_not_continue_is_not_taken(session):
    session.ask(input_chunk(1, 0, DATA[:30]))
    for offset in (29, 31):
        nack = session.ask(input_chunk(2, offset, b"x"))
        assert nack.type == MessageType.NACK
        assert Report.unpack(nack.payload) == Report(next_seq=2, received=30)
    assert Report.unpack(session.ask(input_chunk(2, 30, b"x")).payload) == Report(3, 31)


def test_an_input_at_offset_0_starts_anew(session):
    session.ask(input_chunk(1, 0, b"y" * 60))
    session.ask(input_chunk(2, 0, DATA))
    assert session.ask(infer(3, DATA)).type == MessageType.INFER_ANSWER


def test_an_inference_answers_with_the_output_and_its_crc(session):
    session.ask(input_chunk(1, 0, DATA))
    answer = Inference.unpack(session.ask(infer(2, DATA, sample=0xFFFFFFFF)).payload)
    expected = MODEL.expected_output(DATA)
    assert answer.sample == 0xFFFFFFFF
    assert answer.output == expected[:64]
    assert answer.output_crc == crc32(expected)
    assert answer.ticks > 0


def test_the_rest_of_the_output_is_fetched(session):
    session.ask(input_chunk(1, 0, DATA))
    session.ask(infer(2, DATA))
    expected = MODEL.expected_output(DATA)
    for seq, (offset, length) in enumerate([(64, 508), (572, 508), (1080, 120), (1200, 0)], start=3):
        answer = session.ask(output(seq, offset, length))
        assert answer.type == MessageType.OUTPUT_ANSWER
        values, data = LAYOUTS["OUTPUT_ANSWER"].unpack(answer.payload)
        assert (values["offset"], data) == (offset, expected[offset : offset + length])


@pytest.mark.parametrize(("offset", "length"), [(0, 509), (1200, 1), (1201, 0), (1000, 201), (4, 0xFFFFFFFF)])
def test_output_beyond_its_end_is_refused(session, offset, length):
    session.ask(input_chunk(1, 0, DATA))
    session.ask(infer(2, DATA))
    assert error(session.ask(output(3, offset, length)))[0] == ErrorCode.OUT_OF_RANGE


def test_there_is_no_output_before_an_inference_or_after_the_next_input(session):
    assert error(session.ask(output(1, 0, 4)))[0] == ErrorCode.BAD_STATE
    session.ask(input_chunk(2, 0, DATA))
    session.ask(infer(3, DATA))
    assert session.ask(output(4, 0, 4)).type == MessageType.OUTPUT_ANSWER
    session.ask(input_chunk(5, 0, DATA))
    assert error(session.ask(output(6, 0, 4)))[0] == ErrorCode.BAD_STATE


@pytest.mark.parametrize(
    ("offset", "data"), [(0, b"x" * 101), (0xFFFFFFFF, b"x"), (101, b"x"), (99, b"xx"), (100, b"x")]
)
def test_input_beyond_its_end_is_refused(session, offset, data):
    # Put the offset where an INPUT may continue, so that only the length is wrong.
    if offset and offset <= 100:
        session.ask(input_chunk(1, 0, DATA[:offset]))
    answer = session.ask(input_chunk(2 if 0 < offset <= 100 else 1, offset, data))
    if offset in {0xFFFFFFFF, 101}:
        assert answer.type == MessageType.NACK
    else:
        assert error(answer) == (ErrorCode.OUT_OF_RANGE, MessageType.INPUT, offset)


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (MessageType.INPUT, b""),
        (MessageType.INPUT, b"\0\0\0"),
        (MessageType.INPUT, b"\0\0\0\0"),
        (MessageType.INFER, b""),
        (MessageType.INFER, bytes(7)),
        (MessageType.INFER, bytes(9)),
        (MessageType.OUTPUT, bytes(7)),
        (MessageType.OUTPUT, bytes(9)),
    ],
)
def test_a_payload_of_the_wrong_length_is_refused(session, kind, payload):
    assert error(session.ask(request(kind, 1, payload))) == (ErrorCode.BAD_LENGTH, kind, len(payload))


def test_an_incomplete_input_is_not_run(session):
    session.ask(input_chunk(1, 0, DATA[:99]))
    assert error(session.ask(infer(2, DATA))) == (ErrorCode.BAD_STATE, MessageType.INFER, 99)
    assert stats(session, 3).inferences == 0


def test_an_input_with_another_crc_is_not_run_and_forgotten(session):
    wrong = DATA[:50] + b"\0" + DATA[51:]
    session.ask(input_chunk(1, 0, wrong))
    assert error(session.ask(infer(2, DATA))) == (ErrorCode.BAD_INPUT_CRC, MessageType.INFER, crc32(wrong))
    assert error(session.ask(infer(3, DATA))) == (ErrorCode.BAD_STATE, MessageType.INFER, 0)
    assert stats(session, 4).inferences == 0


def test_an_input_is_good_for_one_inference(session):
    session.ask(input_chunk(1, 0, DATA))
    session.ask(infer(2, DATA))
    assert error(session.ask(infer(3, DATA)))[0] == ErrorCode.BAD_STATE


def test_a_failing_engine_is_reported_with_its_code(session):
    data = b"!f" + DATA[2:]
    session.ask(input_chunk(1, 0, data))
    assert error(session.ask(infer(2, data))) == (ErrorCode.ENGINE, MessageType.INFER, 0xFFFFFFF9)
    assert stats(session, 3).inferences == 0


def test_an_unknown_request_is_refused_and_takes_its_place_in_the_sequence(session):
    assert error(session.ask(request(0x55, 1))) == (ErrorCode.UNKNOWN_TYPE, 0x55, 0x55)
    assert session.ask(request(MessageType.ECHO, 2, b"x")).payload == b"x"


def test_what_a_device_sends_is_never_answered(session):
    session.send(
        Frame(MessageType.BOOT, 0, 0), Frame(MessageType.ERROR, SESSION, 1), Frame(MessageType.NACK, 5, 1)
    )
    assert session.is_silent()
    assert stats(session, 1).frames_foreign == 3


def test_damaged_frames_are_counted_and_the_missing_seq_is_named(session):
    wire = bytearray(encode_frame(request(MessageType.ECHO, 1, b"x")))
    wire[5] ^= 0x10
    session.link.write(bytes(wire))
    nack = session.receive()
    assert (nack.type, nack.session, nack.seq) == (MessageType.NACK, SESSION, 1)
    assert Report.unpack(nack.payload) == Report(next_seq=1, received=0)
    counted = stats(session, 1)
    assert (counted.frames_bad, counted.nacks) == (1, 1)


def test_a_damaged_frame_and_the_gap_behind_it_are_one_nack(session):
    wire = bytearray(encode_frame(input_chunk(1, 0, DATA[:10])))
    wire[5] ^= 0x10
    session.link.write(bytes(wire) + encode_frame(input_chunk(2, 10, DATA[10:20])))
    assert session.receive().type == MessageType.NACK
    assert session.is_silent()


def test_endless_noise_does_not_make_the_device_talk_without_end(session):
    session.link.write(b"AT+GMI\r\n\0" * 1000)
    for _ in range(16):
        assert session.receive().type == MessageType.NACK
    assert session.is_silent()
    counted = stats(session, 1)
    assert (counted.frames_bad, counted.nacks) == (1000, 16)
    session.link.write(b"junk\0")
    assert session.receive().type == MessageType.NACK


def test_noise_outside_a_session_is_not_answered(line):
    line.link.write(b"AT+GMI\r\n\0")
    assert line.is_silent()


def test_sequence_numbers_wrap(line):
    line.ask(hello(seq=0xFFFE))
    for seq in (0xFFFF, 0, 1):
        assert line.ask(request(MessageType.ECHO, seq, b"x")).seq == seq
    assert line.ask(request(MessageType.ECHO, 0xFFFF)).type == MessageType.NACK


def test_a_new_session_forgets_the_input(session):
    session.ask(input_chunk(1, 0, DATA))
    session.ask(hello(session=5))
    answer = session.ask(Frame(MessageType.INFER, 5, 1, infer(1, DATA).payload))
    assert error(answer)[0] == ErrorCode.BAD_STATE


def test_a_reset_restarts_the_firmware_on_the_same_connection(session):
    session.ask(input_chunk(1, 0, DATA))
    session.ask(infer(2, DATA))
    assert session.ask(request(MessageType.RESET, 3)).type == MessageType.RESET_ANSWER
    boot = session.receive()
    assert Boot.unpack(boot.payload) == Boot(ResetCause.SOFTWARE, None)
    assert error(session.ask(request(MessageType.ECHO, 4)))[0] == ErrorCode.NO_SESSION
    assert Hello.unpack(session.ask(hello()).payload).reset_cause == ResetCause.SOFTWARE
    assert stats(session, 1).inferences == 0


def test_stats_count_what_happened(session):
    session.ask(request(MessageType.ECHO, 1))
    assert stats(session, 2) == DeviceStats(3, *[0] * 9)  # HELLO, ECHO, STATS


def test_the_next_client_is_served_when_one_leaves(program):
    with HostProcess(program) as device:
        with Link(device) as link:
            Line(link).receive()
            # Leave in the middle of a frame.
            link.write(encode_frame(request(MessageType.ECHO, 1))[:-4])
        with Link(device) as link:
            assert Line(link).ask(hello()).type == MessageType.HELLO_ANSWER


def test_an_engine_that_did_not_start_is_in_hello_and_refuses_work(tmp_path):
    program = build_native_firmware(tmp_path, MODEL, defines=("ENGINE_INIT_STATUS=5",))
    with HostProcess(program) as device, Link(device) as link:
        line = Line(link)
        line.receive()
        assert Hello.unpack(line.ask(hello()).payload).engine_status == 5
        assert error(line.ask(input_chunk(1, 0, DATA))) == (ErrorCode.ENGINE, MessageType.INPUT, 5)
        assert error(line.ask(infer(2, DATA))) == (ErrorCode.ENGINE, MessageType.INFER, 5)
