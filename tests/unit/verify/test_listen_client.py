# SPDX-License-Identifier: Apache-2.0
"""The client of a board that listens, against boards that are functions."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.errors import DeviceError, DeviceFaultError, LinkError, MismatchError
from mcu_ser.features.listening import Gate
from mcu_ser.listen.session import ListenRequest, ListenSession
from mcu_ser.verify.listen_client import Decision, ListenClient
from mcu_ser.verify.messages import LAYOUTS
from mcu_ser.verify.patience import Patience
from mcu_ser.verify.protocol import ErrorCode, Frame, ListenSource, MessageType, encode_frame
from tests.lossy_link import PretendBoard, ScriptedLink, boot, refusal, report
from tests.native_firmware import TestModel

MODEL = TestModel(input_bytes=40, output_bytes=3)
SHORT = Patience(hello_s=0.2, answer_s=0.2, inference_s=0.2)
WINDOW = {"sample_rate_hz": 16000, "ring_samples": 512, "frames": 5, "window_samples": 512}
WINDOW |= {"hop_samples": 256, "reserved": 0}
DECISION = {"number": 0, "rows": 5, "power": 9, "lost_blocks": 0, "lost_samples": 0, "features_crc": 1}
DECISION |= {"output_crc": 2, "ticks": 3, "front_end_ticks": 4, "gate_open": 1, "engine_status": 0}
DECISION |= {"reserved": 0}
PCM = np.arange(600, dtype=np.int16)


def unasked(frame, kind, payload):
    return encode_frame(Frame(kind, frame.session, 0, payload))


def decision(frame, output=b"abc", **changes):
    return unasked(frame, MessageType.DECISION, LAYOUTS["DECISION"].pack(DECISION | changes, output))


def starts(board, frame):
    return [board.wrap(frame, LAYOUTS["LISTEN_ANSWER"].pack(WINDOW))]


def hears(board, frame):
    values, block = LAYOUTS["AUDIO"].unpack(frame.payload)
    return [board.wrap(frame, report(frame.seq + 1, values["offset"] + len(block) // 2))]


GOOD = {MessageType.LISTEN: starts, MessageType.AUDIO: hears}


def client_of(changes=None, patience=SHORT):
    link = ScriptedLink(PretendBoard(MODEL, GOOD | (changes or {})))
    client = ListenClient(link, patience)
    client.hello()
    return client, link


def listen(client, source=ListenSource.LINE):
    return client.listen(source, 4, Gate(7, 8))


def test_what_is_asked_and_what_comes():
    def says(board, frame):
        return [decision(frame), *hears(board, frame), decision(frame, number=1)]

    client, link = client_of({MessageType.AUDIO: says})
    window = listen(client)
    assert window.seconds(5) == (512 + 4 * 256) / 16000
    client.play(PCM[:250])
    client.play(PCM[250:500])
    # The last of them is still on the line.
    assert [[one.number for one in client.heard(0.1)] for _ in range(2)] == [[0, 1, 0], [1]]
    asked, _ = LAYOUTS["LISTEN"].unpack(link.requests[1].payload)
    expected = {"source": 2, "flags": 0, "period": 4, "gate_hops": 8, "gate_power": 7, "reserved": 0}
    assert asked == expected
    offsets = [LAYOUTS["AUDIO"].unpack(frame.payload)[0] for frame in link.requests[2:]]
    assert offsets == [{"offset": 0, "samples": 0}, {"offset": 250, "samples": 0}]


def test_what_was_said_before_the_answer_is_of_the_listening_before():
    def says(board, frame):
        return [decision(frame), *starts(board, frame), decision(frame, number=5)]

    client, _ = client_of({MessageType.LISTEN: says})
    listen(client)
    assert [one.number for one in client.heard(0.1)] == [5]


def test_other_requests_work_meanwhile():
    def says(board, frame):
        return [decision(frame, number=n) for n in range(3)] + [board.answer(frame)]

    client, _ = client_of({MessageType.STATS: says})
    listen(client)
    assert client.stats().inferences == 0
    assert [one.number for one in client.heard(0.1)] == [0, 1, 2]


def test_messages_of_other_sessions_are_not_heard():
    def says(board, frame):
        old = encode_frame(
            Frame(MessageType.DECISION, frame.session ^ 1, 0, LAYOUTS["DECISION"].pack(DECISION))
        )
        return [*starts(board, frame), old]

    client, _ = client_of({MessageType.LISTEN: says})
    listen(client)
    assert list(client.heard(0.05)) == []


def test_a_board_without_a_microphone_or_front_end():
    for code, problem in (
        (ErrorCode.NO_MICROPHONE, r"the firmware has no microphone that starts; try: --wav FILE"),
        (ErrorCode.UNKNOWN_TYPE, r"the firmware has no front end; try: mcu-ser generate with --front-end"),
    ):
        client, _ = client_of({MessageType.LISTEN: lambda board, frame, code=code: [refusal(frame, code)]})
        with pytest.raises(MismatchError, match=problem):
            listen(client, ListenSource.MICROPHONE)


def test_an_engine_that_fails():
    def says(board, frame):
        return [*hears(board, frame), decision(frame, b"", engine_status=5)]

    client, _ = client_of({MessageType.AUDIO: says})
    listen(client)
    client.play(PCM[:100])
    with pytest.raises(DeviceFaultError, match=r"engine failed: INVOKE_FAILED: an operator failed"):
        list(client.heard(0.1))


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (lambda frame: decision(frame, b"abcd"), "4 output bytes"),
        (lambda frame: decision(frame, gate_open=2), "a gate of 2"),
        (lambda frame: decision(frame, gate_open=0), "a gate of 0 with 3 bytes"),
        (lambda frame: unasked(frame, MessageType.DECISION, bytes(39)), "expected at least 40"),
        (lambda frame: unasked(frame, MessageType.SOUND, bytes(5)), "1 bytes of sound"),
    ],
)
def test_messages_that_cannot_be(said, problem):
    client, _ = client_of({MessageType.AUDIO: lambda board, frame: [*hears(board, frame), said(frame)]})
    listen(client)
    client.play(PCM[:100])
    with pytest.raises(LinkError, match=f"breaks the protocol: .*{problem}"):
        list(client.heard(0.1))


def test_a_window_that_cannot_be():
    def says(board, frame):
        return [board.wrap(frame, LAYOUTS["LISTEN_ANSWER"].pack(WINDOW | {"hop_samples": 0}))]

    client, _ = client_of({MessageType.LISTEN: says})
    with pytest.raises(LinkError, match="breaks the protocol"):
        listen(client)


def test_audio_that_is_refused():
    client, _ = client_of({MessageType.AUDIO: lambda board, frame: [refusal(frame, ErrorCode.BAD_STATE, 3)]})
    listen(client)
    with pytest.raises(LinkError, match="AUDIO refused with BAD_STATE"):
        client.play(PCM[:100])


def clock_that_runs(step_s):
    return (step_s * tick for tick in itertools.count()).__next__


def test_a_microphone_that_falls_silent_is_asked_whether_it_lives():
    client, link = client_of()
    session = ListenSession(client, ListenRequest(4, Gate(), seconds=100), clock_that_runs(1.0))
    assert list(session.run()) == []
    kinds = [frame.type for frame in link.requests]
    assert 5 < kinds.count(MessageType.ECHO) < 30
    assert kinds[-1] == MessageType.LISTEN


def test_a_board_that_hangs_while_it_listens():
    client, _ = client_of({MessageType.ECHO: lambda board, frame: []})
    session = ListenSession(client, ListenRequest(4, Gate(), seconds=100), clock_that_runs(1.0))
    with pytest.raises(LinkError, match=r"no answer to ECHO .*: the firmware hangs, or the line is cut"):
        list(session.run())


def test_a_board_that_restarts_while_it_listens():
    def restarted(board, frame):
        return [refusal(frame, ErrorCode.NO_SESSION)]

    def says(board, frame):
        return [*starts(board, frame), boot()]

    client, _ = client_of({MessageType.LISTEN: says, MessageType.ECHO: restarted})
    session = ListenSession(client, ListenRequest(4, Gate(), seconds=100), clock_that_runs(1.0))
    with pytest.raises(DeviceFaultError, match="restarted in the middle"):
        list(session.run())


def test_decisions_that_are_missing_are_counted():
    client, _ = client_of()
    session = ListenSession(client, ListenRequest(4, Gate()))
    for rows, number in ((5, 0), (9, 2), (13, 3)):
        session.heard.count(
            Decision.unpack(LAYOUTS["DECISION"].pack(DECISION | {"rows": rows, "number": number}))
        )
    heard = session.heard
    assert (heard.decisions, heard.missing, heard.last_rows) == (3, 1, 13)
    assert heard.features == {5: 1, 9: 1, 13: 1}


@given(
    kind=st.sampled_from([MessageType.LISTEN, MessageType.AUDIO, MessageType.ECHO]),
    said=st.lists(
        st.tuples(
            st.sampled_from([MessageType.DECISION, MessageType.SOUND, MessageType.LISTEN_ANSWER]),
            st.one_of(st.binary(max_size=60), st.builds(bytes, st.integers(0, 4096))),
        ),
        max_size=5,
    ),
    times=st.sampled_from([1, 1, 2000]),
)
def test_whatever_a_board_says_while_it_listens(kind, said, times):
    """Everything ends, with one error or none, and no more is kept than a limit."""

    def lies(board, frame):
        good = GOOD[frame.type](board, frame) if frame.type in GOOD else [board.answer(frame)]
        return [*(unasked(frame, *one) for one in said), *good] * times

    client, _ = client_of({kind: lies})
    try:
        session = ListenSession(client, ListenRequest(4, Gate(), PCM, real_time=False))
        list(session.run())
    except DeviceError as error:
        assert error.exit_code == 4
        assert str(error).isprintable()
    assert len(client._exchange.unasked) <= 4096
