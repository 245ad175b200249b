# SPDX-License-Identifier: Apache-2.0
"""The client against boards that are functions: every answer that a board should not give."""

import dataclasses

import pytest

from mcu_ser.errors import DeviceFaultError, LinkError, MismatchError
from mcu_ser.verify.client import Client
from mcu_ser.verify.messages import LAYOUTS
from mcu_ser.verify.patience import InferenceTime, Patience, RoundTrip
from mcu_ser.verify.protocol import ErrorCode, Frame, MessageType, crc32, encode_frame
from tests.lossy_link import PretendBoard, ScriptedLink, boot, inference, refusal, report
from tests.native_firmware import TestModel

MODEL = TestModel(input_bytes=1100, output_bytes=9)
SHORT = Patience(hello_s=0.3, answer_s=0.3, inference_s=0.3)
DATA = bytes(range(250)) * 4 + bytes(100)


def client_of(board, patience=SHORT):
    link = ScriptedLink(board)
    return Client(link, patience), link


def talking_to(changes=None, model=MODEL, **hello):
    client, link = client_of(PretendBoard(model, changes, **hello))
    client.hello()
    return client, link


def test_a_run_on_a_good_board():
    client, link = talking_to()
    answer = client.run(5, DATA)
    assert answer.output == MODEL.expected_output(DATA)
    assert (answer.ticks, answer.undisturbed) == (1, True)
    kinds = [frame.type for frame in link.requests]
    assert kinds == [MessageType.HELLO, *[MessageType.INPUT] * 3, MessageType.INFER]
    assert [frame.seq for frame in link.requests] == [0, 1, 2, 3, 4]
    stats = client.link_stats()
    assert (stats.frames, stats.retries, stats.answers, stats.bad_frames) == (5, 0, 5, 0)
    assert stats.bytes == link.bytes_sent + link.bytes_received
    assert stats.bytes_per_s == stats.bytes / stats.seconds
    assert stats.payload_bytes == 1100 + 9
    assert stats.sent_bytes == link.bytes_sent
    assert 0 < stats.computing_s < stats.seconds
    assert stats.capacity_bytes_per_s is None  # no line of a rate


def test_requests_need_a_hello():
    client, _ = client_of(PretendBoard(MODEL))
    with pytest.raises(RuntimeError, match="hello comes first"):
        client.run(0, DATA)


def test_silence_is_said_so():
    client, _ = client_of(lambda frame: [])
    with pytest.raises(LinkError, match=r"^scripted://: is silent: nothing received in 0\.3 s; try: "):
        client.hello()


def test_silence_at_another_rate_tells_of_the_rate_to_which_a_chip_falls_back():
    client, link = client_of(lambda frame: [])
    link.baud = 921600
    with pytest.raises(
        LinkError, match=r"whose PLL does not lock falls back to 115200: generate without --baud$"
    ):
        client.hello()


def test_garbage_is_shown():
    client, _ = client_of(lambda frame: [b"login: \r\n"])
    with pytest.raises(
        LinkError, match=r"something else than protocol frames \(\d+ bytes, first 6c 6f 67 69 6e"
    ):
        client.hello()


def test_endless_garbage_ends_early():
    client, _ = client_of(lambda frame: [b"\x55" * 4096] * 100, Patience(hello_s=60))
    with pytest.raises(LinkError, match="something else than protocol frames"):
        client.hello()


def test_a_loop_is_recognised():
    client, _ = client_of(lambda frame: [encode_frame(frame)])
    with pytest.raises(LinkError, match="sends back what it receives"):
        client.hello()


def test_a_board_that_speaks_but_never_answers_hello():
    client, _ = client_of(lambda frame: [encode_frame(Frame(MessageType.STATS_ANSWER, 1, 1))])
    with pytest.raises(LinkError, match="speaks the protocol, but does not answer HELLO"):
        client.hello()


def test_another_protocol_version_is_a_mismatch():
    client, _ = client_of(
        lambda frame: [encode_frame(Frame(MessageType.ERROR, frame.session, 0, bytes(8), version=2))]
    )
    with pytest.raises(MismatchError, match="speaks protocol version 2, expected 1"):
        client.hello()


def test_answers_to_others_are_no_answers_to_hello():
    old_words = [boot(), b"\x00junk\x00"]

    def stale(board, frame):
        other = dataclasses.replace(frame, session=frame.session ^ 1)
        before, old_words[:] = [*old_words], []
        return [board.answer(other), *before, board.answer(frame)]

    client, _ = talking_to({MessageType.HELLO: stale})
    assert client.run(0, DATA).output == MODEL.expected_output(DATA)


def test_hello_takes_another_session_number_when_its_own_is_in_use():
    sessions = []

    def busy_at_first(board, frame):
        sessions.append(frame.session)
        if len(sessions) == 1:
            return [encode_frame(Frame(MessageType.NACK, frame.session, 0, report(9, 0)))]
        return [board.answer(frame)]

    client, _ = talking_to({MessageType.HELLO: busy_at_first})
    assert sessions[0] != sessions[1]
    assert client.echo(b"x") == b"x"


@pytest.mark.parametrize(
    "hello", [{"max_payload": 63}, {"max_payload": 4097}, {"credit": 0}, {"tick_source": 9}]
)
def test_impossible_limits_in_hello_are_refused(hello):
    with pytest.raises(LinkError, match="breaks the protocol"):
        talking_to(**hello)


def test_a_lost_answer_is_asked_for_again_and_disturbs_the_measurement():
    seen = []

    def lose_the_first(board, frame):
        seen.append(frame)
        return [] if len(seen) == 1 else [board.answer(frame)]

    client, _ = talking_to({MessageType.INFER: lose_the_first})
    client._inference_time.measured(0.001)
    answer = client.run(0, DATA)
    assert not answer.undisturbed
    assert seen[0] == seen[1]
    assert client.link_stats().retries == 1


def test_a_board_that_falls_silent_ends_the_wait():
    client, _ = talking_to({MessageType.STATS: lambda board, frame: []})
    with pytest.raises(LinkError, match=r"no answer to STATS seq 1 in 0\.3 s: the firmware hangs"):
        client.stats()


def test_a_board_that_takes_no_input_ends_the_wait():
    client, _ = talking_to({MessageType.INPUT: lambda board, frame: []})
    with pytest.raises(LinkError, match=r"no answer to INPUT seq \d in 0\.3 s"):
        client.run(0, DATA)


def test_endless_chatter_of_others_does_not_prolong_the_wait():
    def chatter(board, frame):
        return [encode_frame(Frame(MessageType.STATS_ANSWER, frame.session ^ 1, 1))] * 50_000

    client, _ = talking_to({MessageType.STATS: chatter})
    with pytest.raises(LinkError, match="no answer to STATS"):
        client.stats()


def test_a_restart_in_the_middle_of_a_run_is_a_fault():
    client, _ = talking_to({MessageType.INFER: lambda board, frame: [boot()]})
    with pytest.raises(DeviceFaultError, match=r"restarted in the middle of the run \(unknown\)"):
        client.run(0, DATA)


def test_a_restart_after_a_fault_names_its_registers():
    values = {
        "reset_cause": 3,
        "reserved": b"",
        "fault_pc": 0x8000123,
        "fault_lr": 1,
        "fault_cfsr": 2,
        "fault_hfsr": 3,
    }
    wire = encode_frame(Frame(MessageType.BOOT, 0, 0, LAYOUTS["BOOT"].pack(values)))
    client, _ = talking_to({MessageType.INPUT: lambda board, frame: [wire]})
    with pytest.raises(DeviceFaultError, match=r"\(software, after a fault at pc 0x08000123, lr 0x0"):
        client.run(0, DATA)


def test_an_old_announcement_that_the_line_repeats_is_no_restart():
    repeated = [boot()]

    def echo_of_the_past(board, frame):
        old, repeated[:] = [*repeated], []
        return [*old, board.answer(frame)]

    for kind in (MessageType.INPUT, MessageType.INFER, MessageType.STATS):
        repeated[:] = [boot()]
        client, _ = talking_to({kind: echo_of_the_past})
        assert client.run(0, DATA).output == MODEL.expected_output(DATA)
        assert client.stats().inferences == 1


def test_a_restart_is_confirmed_by_asking_again():
    answers = []

    def restart(board, frame):
        answers.append(frame)
        return [boot()] if len(answers) == 1 else [refusal(frame, ErrorCode.NO_SESSION)]

    client, _ = talking_to({MessageType.STATS: restart})
    with pytest.raises(DeviceFaultError, match="restarted in the middle of the run"):
        client.stats()
    assert len(answers) == 2


def test_a_lost_session_is_a_fault():
    client, _ = talking_to({MessageType.INFER: lambda board, frame: [refusal(frame, ErrorCode.NO_SESSION)]})
    with pytest.raises(DeviceFaultError, match="has forgotten the session"):
        client.run(0, DATA)


@pytest.mark.parametrize("code", [ErrorCode.BAD_INPUT_CRC, ErrorCode.BAD_STATE])
def test_an_input_that_arrived_wrong_is_sent_again(code):
    refused = []

    def refuse_once(board, frame):
        if not refused:
            refused.append(frame)
            return [refusal(frame, code)]
        return [board.answer(frame)]

    client, link = talking_to({MessageType.INFER: refuse_once})
    assert client.run(0, DATA).output == MODEL.expected_output(DATA)
    assert [frame.type for frame in link.requests].count(MessageType.INPUT) == 6


def test_an_input_that_always_arrives_wrong_is_an_error():
    client, _ = talking_to(
        {MessageType.INFER: lambda board, frame: [refusal(frame, ErrorCode.BAD_INPUT_CRC)]}
    )
    with pytest.raises(LinkError, match=r"INFER refused with BAD_INPUT_CRC \(detail 0x0\)"):
        client.run(0, DATA)


def test_a_failing_engine_is_a_fault_with_its_code():
    client, _ = talking_to(
        {MessageType.INFER: lambda board, frame: [refusal(frame, ErrorCode.ENGINE, 0xFFFFFFF9)]}
    )
    with pytest.raises(DeviceFaultError, match="engine failed: code -7"):
        client.run(0, DATA)


def test_a_refused_input_is_an_error():
    client, _ = talking_to(
        {MessageType.INPUT: lambda board, frame: [refusal(frame, ErrorCode.OUT_OF_RANGE, 5)]}
    )
    with pytest.raises(LinkError, match=r"INPUT refused with OUT_OF_RANGE \(detail 0x5\)"):
        client.run(0, DATA)


def test_an_unknown_refusal_is_shown_by_number():
    client, _ = talking_to({MessageType.STATS: lambda board, frame: [refusal(frame, 200)]})
    with pytest.raises(LinkError, match="STATS refused with error 200"):
        client.stats()


def answer_with(payload):
    def change(board, frame):
        return [board.wrap(frame, payload)]

    return change


@pytest.mark.parametrize(
    ("kind", "payload", "problem"),
    [
        (MessageType.INFER, inference(6, b"123456789"), "answer for sample 6, expected 5"),
        (MessageType.INFER, b"short", "payload of 5 bytes, expected at least 16"),
        (MessageType.INFER, inference(5, b"more than nine"), "14 output bytes, expected at most 9"),
        (MessageType.INPUT, report(60, 0), "seq 60 next and 0 bytes received cannot be"),
        (MessageType.INPUT, report(1, 1101), "seq 1 next and 1101 bytes received cannot be"),
        (MessageType.INPUT, b"", "payload of 0 bytes, expected 8"),
    ],
)
def test_answers_that_cannot_be_are_refused(kind, payload, problem):
    client, _ = talking_to({kind: answer_with(payload)})
    with pytest.raises(LinkError, match=f"breaks the protocol: {problem}"):
        client.run(5, DATA)


def test_an_output_that_is_not_the_announced_one_is_a_fault():
    good = MODEL.expected_output(DATA)
    flipped = bytes([good[0] ^ 1]) + good[1:]
    wrong = inference(5, flipped, output_crc=crc32(good))
    client, _ = talking_to({MessageType.INFER: answer_with(wrong)})
    with pytest.raises(DeviceFaultError, match="output of sample 5 has not the CRC-32"):
        client.run(5, DATA)


def test_output_chunks_that_were_not_asked_for_are_refused():
    model = dataclasses.replace(MODEL, output_bytes=600)
    part = model.expected_output(DATA)[:496]
    first = inference(0, part, output_crc=0)
    chunk = LAYOUTS["OUTPUT_ANSWER"].pack({"offset": 500}, bytes(104))
    changes = {MessageType.INFER: answer_with(first), MessageType.OUTPUT: answer_with(chunk)}
    client, _ = talking_to(changes, model)
    with pytest.raises(LinkError, match="breaks the protocol: 104 output bytes at 500"):
        client.run(0, DATA)


def test_a_nack_sends_the_rest_again_in_shorter_frames():
    state = {"nacked": False}

    def nack_once(board, frame):
        if frame.seq == 2 and not state["nacked"]:
            state["nacked"] = True
            return [encode_frame(Frame(MessageType.NACK, frame.session, 2, report(2, board.received)))]
        if frame.seq == 3 and board.received < 508:
            return []
        values, _ = LAYOUTS["INPUT"].unpack(frame.payload)
        return [board.answer(frame)] if values["offset"] == board.received else []

    client, link = talking_to({MessageType.INPUT: nack_once})
    assert client.run(0, DATA).output == MODEL.expected_output(DATA)
    assert client.link_stats().retries > 0
    longest = max(len(frame.payload) for frame in link.requests[4:])
    assert longest < 4 + 400


def test_frames_grow_again_after_a_clean_input():
    client, link = talking_to()
    client._chunk_bytes = 127
    for _ in range(4):
        client.run(0, DATA)
    lengths = [max(len(f.payload) for f in link.requests if f.type == MessageType.INPUT)]
    assert lengths == [4 + 508]


def test_echo_and_stats():
    client, _ = talking_to()
    assert client.echo(b"\0\1\2") == b"\0\1\2"
    with pytest.raises(ValueError, match="echo of 513 bytes, limit 512"):
        client.echo(bytes(513))
    client.run(0, DATA)
    assert client.stats().inferences == 1


def test_the_wait_for_an_answer_follows_the_round_trips_and_doubles_twice():
    trip = RoundTrip()
    assert trip.wait_s(0) == 0.5
    for _ in range(200):
        trip.measured(0.4)
    assert trip.wait_s(0) == pytest.approx(0.4, abs=0.01)
    assert trip.wait_s(1) == pytest.approx(0.8, abs=0.02)
    assert trip.wait_s(2) == trip.wait_s(50) == pytest.approx(1.6, abs=0.04)
    trip.measured(0.8)
    assert trip.wait_s(0) > 0.8  # one late answer widens the margin at once
    for _ in range(200):
        trip.measured(0.001)
    assert trip.wait_s(0) == 0.1


def test_the_wait_for_an_inference_follows_the_slowest():
    times = InferenceTime()
    assert times.wait_s(0) == 2.0
    times.measured(0.001)
    assert times.wait_s(0) == 0.25
    times.measured(1.0)
    times.measured(0.5)
    assert times.wait_s(0) == 8.0
    assert times.wait_s(9) == 32.0


def test_a_model_slower_than_the_first_guess_is_measured_in_the_end():
    times = InferenceTime()
    times.repeated(3.0)
    assert times.wait_s(0) == 6.0
    times.repeated(30.0)
    assert times.wait_s(0) == 16.0
    times.measured(3.0)
    assert times.wait_s(0) == 24.0


def test_a_quick_model_whose_first_answer_was_damaged_is_not_waited_for_long():
    times = InferenceTime()
    times.repeated(0.01)
    assert times.wait_s(0) == 0.25
