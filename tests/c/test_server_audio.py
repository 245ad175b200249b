# SPDX-License-Identifier: Apache-2.0
"""AUDIO, HEAR and FEATURE_MAP of the firmware's server, compiled for the host with sanitizers."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcu_ser.device.host_process import HostProcess
from mcu_ser.device.link import Link
from mcu_ser.verify.audio_client import Hearing
from mcu_ser.verify.messages import LAYOUTS
from mcu_ser.verify.protocol import ErrorCode, MessageType, crc32
from tests.c.hearing_firmware import FRONT_END, HEARING, MAP_BYTES, NOISE, of_stream
from tests.c.server_line import SESSION, Line, error, hello, infer, input_chunk, output, request, stats
from tests.hearing_model import SPEC
from tests.native_firmware import build_native_firmware
from tests.speech import worst_clips

MOST = (512 - LAYOUTS["AUDIO"].bytes) // 2
sessions = itertools.count(2)


@pytest.fixture
def hearing(hearing_program):
    """A device with a front end, in an open session; the next seq is 1."""
    with HostProcess(hearing_program) as device, Link(device) as link:
        line = Line(link)
        assert line.receive().type == MessageType.BOOT
        assert line.ask(hello()).type == MessageType.HELLO_ANSWER
        yield line


def audio(seq, offset, samples, pcm, session=SESSION):
    data = pcm if isinstance(pcm, bytes) else pcm.astype("<i2").tobytes()
    payload = LAYOUTS["AUDIO"].pack({"offset": offset, "samples": samples}, data)
    return request(MessageType.AUDIO, seq, payload, session)


def hear(seq, pcm, session=SESSION):
    crc = crc32(pcm.astype("<i2").tobytes())
    payload = LAYOUTS["HEAR"].pack({"sample": 9, "audio_crc": crc})
    return request(MessageType.HEAR, seq, payload, session)


def feature_map(seq, offset, length, session=SESSION):
    payload = LAYOUTS["FEATURE_MAP"].pack({"offset": offset, "length": length})
    return request(MessageType.FEATURE_MAP, seq, payload, session)


def received(frame):
    assert frame.type == MessageType.AUDIO_ANSWER
    return LAYOUTS["AUDIO_ANSWER"].unpack(frame.payload)[0]["received"]


def tell(line, pcm, samples, seq=1):
    """Sends a clip or stream in the longest blocks; returns the next seq."""
    for at in range(0, len(pcm), MOST):
        block = pcm[at : at + MOST]
        assert received(line.ask(audio(seq, at, samples, block))) == at + len(block)
        seq += 1
    return seq


def require_heard(answer, features, rows):
    assert answer.type == MessageType.HEAR_ANSWER
    heard = Hearing.unpack(answer.payload)
    assert (heard.sample, heard.features_crc, heard.rows) == (9, crc32(features), rows)
    expected = HEARING.expected_output(features)
    assert (heard.output, heard.output_crc) == (expected[:64], crc32(expected))
    assert heard.ticks > 0
    assert heard.front_end_ticks > 0


def test_a_clip_becomes_features_and_these_an_output(hearing):
    pcm = NOISE[:5000]
    seq = tell(hearing, pcm, len(pcm))
    features = FRONT_END.run(pcm).tobytes()
    require_heard(hearing.ask(hear(seq, pcm)), features, 1 + (5000 - 512) // 256)
    rest = hearing.ask(output(seq + 1, 64, 36)).payload[4:]
    assert rest == HEARING.expected_output(features)[64:]
    assert stats(hearing, seq + 2).inferences == 1


def test_the_map_can_be_read_in_pieces_after_it_was_heard(hearing):
    pcm = NOISE[:3000]
    seq = tell(hearing, pcm, len(pcm))
    hearing.ask(hear(seq, pcm))
    pieces = [hearing.ask(feature_map(seq + 1 + n, 96 * n, 96)).payload for n in range(2)]
    assert b"".join(piece[4:] for piece in pieces) == FRONT_END.run(pcm).tobytes()
    # It lies where the input lies: an output may have been there.
    assert error(hearing.ask(output(seq + 3, 0, 1))) == (ErrorCode.BAD_STATE, MessageType.OUTPUT, 0)


@pytest.mark.parametrize("name", worst_clips())
def test_the_worst_clips(hearing, name):
    pcm = worst_clips()[name]
    seq = tell(hearing, pcm, len(pcm))
    require_heard(hearing.ask(hear(seq, pcm)), FRONT_END.run(pcm).tobytes(), SPEC.frames)


def test_a_stream_is_heard_again_and_again(hearing):
    """One hop after the other; each map is that of the newest rows, none is computed twice."""
    seq, at = tell(hearing, NOISE[:MOST], 0), MOST
    while at + 171 <= 9000:
        assert received(hearing.ask(audio(seq, at, 0, NOISE[at : at + 171]))) == at + 171
        at += 171
        answer = hearing.ask(hear(seq + 1, NOISE[:at]))
        if at < SPEC.window_samples:
            assert error(answer) == (ErrorCode.BAD_STATE, MessageType.HEAR, at)
        else:
            require_heard(answer, of_stream(NOISE[:at]), 1 + (at - 512) // 256)
        seq += 2


def test_a_clip_is_used_up(hearing):
    pcm = NOISE[:1000]
    seq = tell(hearing, pcm, len(pcm))
    hearing.ask(hear(seq, pcm))
    assert error(hearing.ask(hear(seq + 1, pcm))) == (ErrorCode.BAD_STATE, MessageType.HEAR, 1000)
    assert hearing.ask(audio(seq + 2, 1000, 2000, pcm)).type == MessageType.NACK


@pytest.mark.parametrize("clip", [True, False], ids=["clip", "stream"])
def test_audio_that_arrived_wrong_is_not_heard(hearing, clip):
    pcm = NOISE[:1000]
    seq = tell(hearing, pcm, len(pcm) if clip else 0)
    answer = hearing.ask(hear(seq, pcm[::-1]))
    assert error(answer) == (ErrorCode.BAD_INPUT_CRC, MessageType.HEAR, crc32(pcm.tobytes()))
    again = hearing.ask(hear(seq + 1, pcm))
    assert again.type == (MessageType.ERROR if clip else MessageType.HEAR_ANSWER)


def test_half_a_clip_is_not_heard(hearing):
    assert received(hearing.ask(audio(1, 0, 600, NOISE[:200]))) == 200
    assert error(hearing.ask(hear(2, NOISE[:200]))) == (ErrorCode.BAD_STATE, MessageType.HEAR, 200)
    assert received(hearing.ask(audio(3, 200, 600, NOISE[200:400]))) == 400
    assert received(hearing.ask(audio(4, 400, 600, NOISE[400:600]))) == 600
    assert hearing.ask(hear(5, NOISE[:600])).type == MessageType.HEAR_ANSWER


def test_nothing_was_said(hearing):
    assert error(hearing.ask(hear(1, NOISE[:0]))) == (ErrorCode.BAD_STATE, MessageType.HEAR, 0)
    assert error(hearing.ask(feature_map(2, 0, 1))) == (ErrorCode.BAD_STATE, MessageType.FEATURE_MAP, 0)


BAD_AUDIO = {
    "no sample": (audio(1, 0, 100, b""), ErrorCode.BAD_LENGTH, 8),
    "half a sample": (audio(1, 0, 100, b"abc"), ErrorCode.BAD_LENGTH, 11),
    "no fields": (request(MessageType.AUDIO, 1, b"abc"), ErrorCode.BAD_LENGTH, 3),
    "nothing at all": (request(MessageType.AUDIO, 1), ErrorCode.BAD_LENGTH, 0),
    "beyond the end": (audio(1, 0, 9, NOISE[:10]), ErrorCode.OUT_OF_RANGE, 0),
    "too long a clip": (audio(1, 0, 0xFFFFFFFF, NOISE[:10]), ErrorCode.OUT_OF_RANGE, 0),
    "a long request": (request(MessageType.HEAR, 1, bytes(9)), ErrorCode.BAD_LENGTH, 9),
    "a short one": (request(MessageType.FEATURE_MAP, 1, bytes(7)), ErrorCode.BAD_LENGTH, 7),
}


@pytest.mark.parametrize("name", BAD_AUDIO)
def test_what_cannot_be_is_refused(hearing, name):
    frame, code, detail = BAD_AUDIO[name]
    assert error(hearing.ask(frame)) == (code, frame.type, detail)


def test_the_longest_clip_begins(hearing):
    assert received(hearing.ask(audio(1, 0, 0xFFFFFFFE, NOISE[:10]))) == 10


def test_a_clip_keeps_its_length(hearing):
    hearing.ask(audio(1, 0, 100, NOISE[:50]))
    refused = hearing.ask(audio(2, 50, 200, NOISE[:50]))
    assert error(refused) == (ErrorCode.BAD_STATE, MessageType.AUDIO, 50)
    assert received(hearing.ask(audio(3, 50, 100, NOISE[:50]))) == 100


@pytest.mark.parametrize(
    ("offset", "length"), [(MAP_BYTES + 1, 0), (MAP_BYTES, 1), (0xFFFFFFFF, 2), (0, 509)]
)
def test_bytes_beyond_the_map_are_refused(hearing, offset, length):
    seq = tell(hearing, NOISE[:600], 600)
    hearing.ask(hear(seq, NOISE[:600]))
    refused = hearing.ask(feature_map(seq + 1, offset, length))
    assert error(refused) == (ErrorCode.OUT_OF_RANGE, MessageType.FEATURE_MAP, offset)


@pytest.mark.parametrize("what", ["audio", "input", "session"])
def test_a_map_that_may_be_another_is_gone(hearing, what):
    seq = tell(hearing, NOISE[:600], 600)
    hearing.ask(hear(seq, NOISE[:600]))
    assert hearing.ask(feature_map(seq + 1, 0, 1)).type == MessageType.FEATURE_MAP_ANSWER
    match what:
        case "audio":
            hearing.ask(audio(seq + 2, 0, 600, NOISE[:1]))
        case "input":
            hearing.ask(input_chunk(seq + 2, 0, b"a"))
        case "session":
            hearing.ask(hello(session=77))
    session, next_seq = (77, 1) if what == "session" else (SESSION, seq + 3)
    answer = hearing.ask(feature_map(next_seq, 0, 1, session))
    assert error(answer) == (ErrorCode.BAD_STATE, MessageType.FEATURE_MAP, 0)


def test_an_input_ends_the_audio_and_audio_the_input(hearing):
    data = bytes(range(MAP_BYTES))
    hearing.ask(audio(1, 0, 100, NOISE[:100]))
    assert hearing.ask(input_chunk(2, 0, data)).type == MessageType.INPUT_ANSWER
    assert error(hearing.ask(hear(3, NOISE[:100])))[0] == ErrorCode.BAD_STATE
    # What is refused does not cost the input.
    assert hearing.ask(infer(4, data)).type == MessageType.INFER_ANSWER
    hearing.ask(input_chunk(5, 0, data[:100]))
    assert hearing.ask(audio(6, 100, 200, NOISE[:100])).type == MessageType.NACK
    assert received(hearing.ask(audio(6, 0, MAP_BYTES, NOISE[:100]))) == 100
    assert hearing.ask(input_chunk(7, 100, data[100:])).type == MessageType.NACK
    assert received(hearing.ask(audio(7, 100, MAP_BYTES, NOISE[100:MAP_BYTES]))) == MAP_BYTES
    assert error(hearing.ask(infer(8, data)))[0] == ErrorCode.BAD_STATE
    assert hearing.ask(hear(9, NOISE[:MAP_BYTES])).type == MessageType.HEAR_ANSWER


def test_a_session_forgets_the_audio(hearing):
    tell(hearing, NOISE[:600], 600)
    hearing.ask(hello(session=77))
    assert error(hearing.ask(hear(1, NOISE[:600], session=77))) == (ErrorCode.BAD_STATE, MessageType.HEAR, 0)


def test_repeated_audio_is_heard_once(hearing):
    first, second = audio(1, 0, 600, NOISE[:250]), audio(2, 250, 600, NOISE[250:500])
    for frame, count in ((first, 250), (first, 250), (second, 500), (second, 500)):
        assert received(hearing.ask(frame)) == count
    assert received(hearing.ask(first)) == 500, "an old one gets the present state"
    hearing.ask(audio(3, 500, 600, NOISE[500:600]))
    require_heard(hearing.ask(hear(4, NOISE[:600])), FRONT_END.run(NOISE[:600]).tobytes(), 1)


def test_an_engine_that_did_not_start_hears_nothing(tmp_path):
    program = build_native_firmware(tmp_path, HEARING, defines=("ENGINE_INIT_STATUS=3",))
    with HostProcess(program) as device, Link(device) as link:
        line = Line(link)
        line.receive()
        line.ask(hello())
        for frame in (audio(1, 0, 9, NOISE[:9]), hear(2, NOISE[:9])):
            assert error(line.ask(frame)) == (ErrorCode.ENGINE, frame.type, 3)


@given(
    clips=st.lists(
        st.tuples(st.integers(1, 8000), st.integers(0, 10000), st.booleans()), min_size=1, max_size=3
    ),
    data=st.data(),
)
@settings(max_examples=40)
def test_any_blocks_of_any_clips_and_streams(open_line, clips, data):
    session, seq = next(sessions), 0
    assert open_line.ask(hello(session, seq)).type == MessageType.HELLO_ANSWER
    for length, start, is_clip in clips:
        pcm, at = NOISE[start : start + length], 0
        while at < length:
            count = data.draw(st.integers(1, min(MOST, length - at)), "block")
            # A line may lose most of a clip: short ones need many blocks.
            count = max(count, min(length - at, length // 40))
            seq += 1
            frame = audio(seq, at, length if is_clip else 0, pcm[at : at + count], session)
            at += count
            assert received(open_line.ask(frame)) == at
        seq += 1
        answer = open_line.ask(hear(seq, pcm, session))
        rows = 1 + max(0, length - 512) // 256
        if is_clip:
            require_heard(answer, FRONT_END.run(pcm).tobytes(), min(rows, SPEC.frames))
        elif length < 512:
            assert error(answer) == (ErrorCode.BAD_STATE, MessageType.HEAR, length)
        else:
            require_heard(answer, of_stream(pcm), rows)


@pytest.fixture(scope="module")
def open_line(hearing_program):
    with HostProcess(hearing_program) as device, Link(device) as link:
        line = Line(link)
        assert line.receive().type == MessageType.BOOT
        yield line
