# SPDX-License-Identifier: Apache-2.0
"""LISTEN, DECISION and SOUND of the firmware's server, compiled for the host with sanitizers."""

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcu_ser.device.host_process import HostProcess
from mcu_ser.device.link import Link
from mcu_ser.features.listening import Gate, due_maps
from mcu_ser.verify.messages import LAYOUTS
from mcu_ser.verify.protocol import ErrorCode, ListenFlag, ListenSource, MessageType, crc32
from tests.c.server_line import SESSION, Line, error, hello, infer, input_chunk, output, request
from tests.hearing_model import SPEC, front_end_of
from tests.native_firmware import TestModel, build_native_firmware

FRONT_END = front_end_of()
MAP_BYTES = SPEC.frames * SPEC.mels
MODEL = TestModel(input_bytes=MAP_BYTES, output_bytes=100, front_end=FRONT_END)
OBEYS = ("ENGINE_ALWAYS_OBEYS",)  # any map is an input
MOST = (512 - LAYOUTS["AUDIO"].bytes) // 2
RNG = np.random.default_rng(3)
PCM = (RNG.normal(0, 1, 16000) * np.repeat([5, 4000, 9], [6000, 4000, 6000])).astype(np.int16)
OPEN = Gate()
sessions = itertools.count(2)


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return build_native_firmware(tmp_path_factory.mktemp("listening"), MODEL, defines=OBEYS)


@pytest.fixture
def line(program):
    with HostProcess(program) as device, Link(device) as link:
        line = Line(link)
        assert line.receive().type == MessageType.BOOT
        assert line.ask(hello()).type == MessageType.HELLO_ANSWER
        yield line


def listen(seq, period=4, gate=OPEN, source=ListenSource.LINE, flags=0, session=SESSION):
    fields = {"source": source, "flags": flags, "period": period, "reserved": 0}
    gates = {"gate_hops": gate.hops, "gate_power": gate.power}
    return request(MessageType.LISTEN, seq, LAYOUTS["LISTEN"].pack(fields | gates), session)


def audio(seq, offset, pcm, samples=0, session=SESSION):
    payload = LAYOUTS["AUDIO"].pack({"offset": offset, "samples": samples}, pcm.astype("<i2").tobytes())
    return request(MessageType.AUDIO, seq, payload, session)


@dataclass
class Said:
    decisions: list
    sound: bytes


def play(line, pcm, seq, blocks=(MOST,) * 1000, session=SESSION):
    """Plays samples until all that the device says of them has come; returns that and the next seq."""
    at, frames = 0, []
    for size in blocks:
        if at >= len(pcm):
            break
        line.send(audio(seq, at, pcm[at : at + size], session=session))
        at, seq = min(at + size, len(pcm)), seq + 1
        while (frame := line.receive()).type != MessageType.AUDIO_ANSWER:
            frames.append(frame)
        assert LAYOUTS["AUDIO_ANSWER"].unpack(frame.payload)[0]["received"] == at
    # An answer comes when everything before it has been worked off.
    line.send(request(MessageType.ECHO, seq, b"", session))
    while (frame := line.receive()).type != MessageType.ECHO_ANSWER:
        frames.append(frame)
    return said(frames, session), seq + 1


def said(frames, session):
    assert {frame.session for frame in frames} <= {session}
    decisions = [LAYOUTS["DECISION"].unpack(f.payload) for f in frames if f.type == MessageType.DECISION]
    sound = [LAYOUTS["SOUND"].unpack(f.payload) for f in frames if f.type == MessageType.SOUND]
    assert len(decisions) + len(sound) == len(frames)
    lengths = [len(data) // 2 for _, data in sound]
    assert [fields["offset"] for fields, _ in sound] == [sum(lengths[:n]) for n in range(len(lengths))]
    return Said(decisions, b"".join(data for _, data in sound))


def require_decisions(found, pcm, period, gate):
    expected = list(due_maps(pcm, FRONT_END, period, gate))
    assert [fields["number"] for fields, _ in found] == list(range(len(expected)))
    for (fields, scores), one in zip(found, expected, strict=True):
        assert (fields["rows"], fields["gate_open"], fields["power"]) == (one.rows, one.is_open, one.power)
        assert (fields["lost_blocks"], fields["lost_samples"], fields["engine_status"]) == (0, 0, 0)
        assert fields["front_end_ticks"] > 0
        features = one.features.tobytes()
        outputs = MODEL.expected_output(features)
        crcs = (crc32(features), crc32(outputs)) if one.is_open else (0, 0)
        assert (fields["features_crc"], fields["output_crc"]) == crcs
        assert scores == (outputs[:64] if one.is_open else b"")
        assert (fields["ticks"] > 0) is one.is_open


def test_the_answer_tells_of_the_window(line):
    fields, _ = LAYOUTS["LISTEN_ANSWER"].unpack(line.ask(listen(1)).payload)
    assert fields == {
        "sample_rate_hz": 16000,
        "ring_samples": 512,
        "frames": SPEC.frames,
        "window_samples": SPEC.window_samples,
        "hop_samples": SPEC.hop_samples,
        "reserved": 0,
    }


@pytest.mark.parametrize("gate", [OPEN, Gate.of_level(-40.0, 5), Gate(0, SPEC.frames + 1)])
def test_decisions_are_those_of_the_stream(line, gate):
    line.ask(listen(1, 3, gate))
    found, _ = play(line, PCM, 2)
    require_decisions(found.decisions, PCM, 3, gate)
    assert len(found.decisions) > 10
    assert found.sound == b""


def test_the_gate_of_the_test_opens_and_closes():
    assert {one.is_open for one in due_maps(PCM, FRONT_END, 3, Gate.of_level(-40.0, 5))} == {True, False}


def test_sound_comes_back_if_it_is_asked_for(line):
    line.ask(listen(1, 5, flags=ListenFlag.SEND_SOUND))
    found, _ = play(line, PCM[:9000], 2, itertools.cycle([252, 1, 77]))
    assert found.sound == PCM[:9000].tobytes()
    require_decisions(found.decisions, PCM[:9000], 5, OPEN)


@given(data=st.data())
@settings(max_examples=25)
def test_any_blocks(open_line, data):
    session = next(sessions)
    assert open_line.ask(hello(session)).type == MessageType.HELLO_ANSWER
    seq = 1
    for _ in range(data.draw(st.integers(1, 2))):
        length, period = data.draw(st.integers(0, 9000)), data.draw(st.integers(1, 60))
        gate = Gate(data.draw(st.sampled_from([0, 100, 10**6])), data.draw(st.integers(0, 24)))
        sizes = data.draw(st.lists(st.integers(max(1, length // 60), MOST), min_size=1, max_size=4))
        first = data.draw(st.integers(0, 7000))
        pcm = PCM[first : first + length]
        assert open_line.ask(listen(seq, period, gate, session=session)).type == MessageType.LISTEN_ANSWER
        found, seq = play(open_line, pcm, seq + 1, itertools.cycle(sizes), session)
        require_decisions(found.decisions, pcm, period, gate)


@pytest.fixture(scope="module")
def open_line(program):
    with HostProcess(program) as device, Link(device) as link:
        line = Line(link)
        assert line.receive().type == MessageType.BOOT
        yield line


def test_frames_that_are_sent_ahead_lose_nothing(line):
    """As many at once as the line takes: what the ring cannot hold waits in the port."""
    line.ask(listen(1, 1))
    blocks = [PCM[at : at + MOST] for at in range(0, len(PCM), MOST)]
    line.send(*(audio(2 + n, MOST * n, block) for n, block in enumerate(blocks)))
    frames = [line.receive() for _ in blocks]
    while len([f for f in frames if f.type == MessageType.AUDIO_ANSWER]) < len(blocks):
        frames.append(line.receive())
    line.send(request(MessageType.ECHO, 2 + len(blocks)))
    while frames[-1].type != MessageType.ECHO_ANSWER:
        frames.append(line.receive())
    decisions = [f for f in frames if f.type == MessageType.DECISION]
    require_decisions(said(decisions, SESSION).decisions, PCM, 1, OPEN)


def test_many_short_frames_at_once_lose_nothing(line):
    line.ask(listen(1, 1))
    pcm = PCM[5000:12000]
    sizes = [MOST, 1, 1, 2, 1, MOST, 3, 1, 1, 1]
    blocks, at = [], 0
    while at < len(pcm):
        size = sizes[len(blocks) % len(sizes)]
        blocks.append((at, pcm[at : at + size]))
        at += size
    line.send(*(audio(2 + n, start, block) for n, (start, block) in enumerate(blocks)))
    line.send(request(MessageType.ECHO, 2 + len(blocks)))
    frames = []
    while not frames or frames[-1].type != MessageType.ECHO_ANSWER:
        frames.append(line.receive())
    decisions = [f for f in frames if f.type == MessageType.DECISION]
    require_decisions(said(decisions, SESSION).decisions, pcm, 1, OPEN)


def test_audio_that_is_not_next_is_not_heard(line):
    line.ask(listen(1))
    line.ask(audio(2, 0, PCM[:200]))
    assert line.ask(audio(3, 300, PCM[:9])).type == MessageType.NACK
    assert error(line.ask(audio(3, 0, PCM[:200]))) == (ErrorCode.BAD_STATE, MessageType.AUDIO, 200)
    payload = LAYOUTS["AUDIO"].pack({"offset": 200, "samples": 0}, b"odd")
    answer = line.ask(request(MessageType.AUDIO, 4, payload))
    assert error(answer) == (ErrorCode.BAD_LENGTH, MessageType.AUDIO, len(payload))
    answer = line.ask(audio(5, 200, PCM[200:300]))
    assert LAYOUTS["AUDIO_ANSWER"].unpack(answer.payload)[0]["received"] == 300


@pytest.mark.parametrize(
    ("changes", "code", "detail"),
    [
        ({"source": 3}, ErrorCode.OUT_OF_RANGE, 3),
        ({"period": 0}, ErrorCode.OUT_OF_RANGE, ListenSource.LINE),
        ({"source": ListenSource.MICROPHONE}, ErrorCode.NO_MICROPHONE, ListenSource.MICROPHONE),
    ],
)
def test_what_is_refused_ends_listening(line, changes, code, detail):
    line.ask(listen(1, 1))
    assert error(line.ask(listen(2, **changes))) == (code, MessageType.LISTEN, detail)
    line.send(audio(3, 0, PCM[:MOST]))
    assert line.receive().type == MessageType.AUDIO_ANSWER
    assert line.is_silent()


def test_a_request_of_another_length_is_refused(line):
    for seq, length in enumerate((0, 11, 13), 1):
        answer = line.ask(request(MessageType.LISTEN, seq, bytes(length)))
        assert error(answer) == (ErrorCode.BAD_LENGTH, MessageType.LISTEN, length)


def stop(seq):
    return listen(seq, 0, source=ListenSource.NONE)


@pytest.mark.parametrize(
    "end",
    [
        stop,
        lambda seq: input_chunk(seq, 0, b"x" * 9),
        lambda seq: audio(seq, 0, PCM[:9], samples=9),
        lambda seq: hello(SESSION + 1, seq),
    ],
    ids=["stop", "input", "clip", "session"],
)
def test_what_ends_listening(line, end):
    """The window is full but for one sample, which then is not heard."""
    line.ask(listen(1, 1))
    needed = SPEC.window_samples + (SPEC.frames - 1) * SPEC.hop_samples
    found, seq = play(line, PCM[: needed - 1], 2)
    assert found.decisions == []
    assert line.ask(end(seq)).type & 0x80
    session = SESSION + 1 if end(seq).session != SESSION else SESSION
    answer = line.ask(audio(seq + 1, needed - 1, PCM[:1], session=session))
    assert answer.type in {MessageType.NACK, MessageType.ERROR}
    assert line.is_silent()


def test_what_is_not_possible_meanwhile(line):
    seq = 1
    line.ask(input_chunk(seq, 0, bytes(MAP_BYTES)))
    line.ask(infer(seq + 1, bytes(MAP_BYTES)))
    assert line.ask(output(seq + 2, 0, 4)).type == MessageType.OUTPUT_ANSWER
    line.ask(listen(seq + 3, 1))
    _, seq = play(line, PCM[:7000], seq + 4)
    hear = LAYOUTS["HEAR"].pack({"sample": 1, "audio_crc": crc32(PCM[:7000].tobytes())})
    feature_map = LAYOUTS["FEATURE_MAP"].pack({"offset": 0, "length": 4})
    for number, frame in enumerate(
        (
            output(seq, 0, 4),
            infer(seq + 1, bytes(MAP_BYTES)),
            request(MessageType.HEAR, seq + 2, hear),
            request(MessageType.FEATURE_MAP, seq + 3, feature_map),
        )
    ):
        assert error(line.ask(frame))[:2] == (ErrorCode.BAD_STATE, frame.type), number


def test_a_clip_before_is_no_audio_any_more(line):
    line.ask(audio(1, 0, PCM[:100], samples=100))
    assert error(line.ask(listen(2, source=ListenSource.MICROPHONE)))[0] == ErrorCode.NO_MICROPHONE
    hear = LAYOUTS["HEAR"].pack({"sample": 1, "audio_crc": crc32(PCM[:100].tobytes())})
    assert error(line.ask(request(MessageType.HEAR, 3, hear)))[0] == ErrorCode.BAD_STATE


def test_repeated_and_lost_frames_change_nothing(line):
    line.ask(listen(1, 2))
    frames = [audio(2 + n, MOST * n, PCM[MOST * n : MOST * (n + 1)]) for n in range(40)]
    heard = []
    for number, frame in enumerate(frames):
        sent = [frame, frame] if number % 3 == 0 else [frame]
        line.send(*sent)
        answers = 0
        while answers < len(sent):
            got = line.receive()
            answers += got.type == MessageType.AUDIO_ANSWER
            heard += [got] if got.type == MessageType.DECISION else []
    line.send(request(MessageType.ECHO, 42))
    while (got := line.receive()).type != MessageType.ECHO_ANSWER:
        heard.append(got)
    require_decisions(said(heard, SESSION).decisions, PCM[: 40 * MOST], 2, OPEN)


def test_an_engine_that_fails_ends_listening(tmp_path):
    program = build_native_firmware(tmp_path, MODEL, defines=("ENGINE_INVOKE_STATUS=5",))
    with HostProcess(program) as device, Link(device) as link:
        line = Line(link)
        line.receive()
        line.ask(hello())
        line.ask(listen(1, 1))
        pcm = PCM[5000:15000]
        found, _ = play_to_the_end(line, pcm)
        assert len(found) == 1
        assert (found[0][0]["gate_open"], found[0][0]["engine_status"]) == (1, 5)
        assert found[0][1] == b""


def play_to_the_end(line, pcm):
    frames, seq = [], 2
    for at in range(0, len(pcm), MOST):
        line.send(audio(seq, at, pcm[at : at + MOST]))
        seq += 1
        frames += [line.receive()]
        while frames[-1].type not in {MessageType.AUDIO_ANSWER, MessageType.ERROR}:
            frames.append(line.receive())
        if frames[-1].type == MessageType.ERROR:
            break
    return [LAYOUTS["DECISION"].unpack(f.payload) for f in frames if f.type == MessageType.DECISION], seq


def test_an_engine_that_did_not_start_listens_to_nothing(tmp_path):
    program = build_native_firmware(tmp_path, MODEL, defines=("ENGINE_INIT_STATUS=3",))
    with HostProcess(program) as device, Link(device) as link:
        line = Line(link)
        line.receive()
        line.ask(hello())
        assert error(line.ask(listen(1))) == (ErrorCode.ENGINE, MessageType.LISTEN, 3)
