# SPDX-License-Identifier: Apache-2.0
"""The client for audio against boards that are functions: every answer that a board should not give."""

import numpy as np
import pytest

from mcu_ser.errors import DeviceFaultError, LinkError, MismatchError
from mcu_ser.verify.audio_client import AudioClient
from mcu_ser.verify.harness import run_boards
from mcu_ser.verify.heard import Heard
from mcu_ser.verify.journal import Journal, RunIdentity
from mcu_ser.verify.messages import LAYOUTS
from mcu_ser.verify.patience import Patience
from mcu_ser.verify.protocol import ErrorCode, MessageType, crc32
from mcu_ser.verify.shards import Ledger
from tests.lossy_link import PretendBoard, ScriptedLink, refusal, report
from tests.unit.verify.test_harness import MODEL_SMALL, SHORT, expectation

PCM = np.arange(-600, 600, dtype=np.int16)
FEATURES = bytes(range(20))
OUTPUT = b"abcde"


class HearingBoard(PretendBoard):
    """A board whose front end makes always the same features of anything."""

    audio = b""

    def _audio(self, frame):
        values, data = LAYOUTS["AUDIO"].unpack(frame.payload)
        self.audio = self.audio[: 2 * values["offset"]] + data
        return report(frame.seq + 1, len(self.audio) // 2)

    def _hear(self, frame):
        values, _ = LAYOUTS["HEAR"].unpack(frame.payload)
        assert values["audio_crc"] == crc32(self.audio)
        return hearing(values["sample"])

    def _feature_map(self, frame):
        values, _ = LAYOUTS["FEATURE_MAP"].unpack(frame.payload)
        return LAYOUTS["FEATURE_MAP_ANSWER"].pack(
            {"offset": values["offset"]}, FEATURES[values["offset"] :][: values["length"]]
        )


def hearing(sample=0, output=OUTPUT, **changes):
    values = {
        "sample": sample, "ticks_low": 7, "ticks_high": 1, "output_crc": crc32(OUTPUT),
        "features_crc": crc32(FEATURES), "rows": 3, "front_end_ticks": 90,
    }  # fmt: skip
    return LAYOUTS["HEAR_ANSWER"].pack(values | changes, output)


def answers(payload):
    return lambda board, frame: [board.wrap(frame, payload)]


def client_of(changes=None, patience=SHORT):
    client = AudioClient(ScriptedLink(HearingBoard(MODEL_SMALL, changes)), patience)
    client.hello()
    return client


def test_a_good_board_is_believed() -> None:
    answer = client_of().hear(5, PCM, FEATURES)
    assert (answer.output, answer.ticks, answer.undisturbed) == (OUTPUT, (1 << 32) + 7, True)
    assert answer.heard == Heard(None, 3, 90, undisturbed=False)
    assert client_of().hear(5, PCM, FEATURES, alone=True).heard.undisturbed


def test_other_features_are_fetched() -> None:
    assert client_of().hear(5, PCM, bytes(20)).heard.wrong_features == FEATURES


BAD = {
    "another sample": (hearing(6), "answer for sample 6, expected 5"),
    "too much output": (hearing(5, b"abcdef"), "6 output bytes, expected at most 5"),
    "half an answer": (hearing(5)[:20], "payload of 20 bytes, expected at least 28"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_breaks_the_protocol(name) -> None:
    payload, problem = BAD[name]
    with pytest.raises(LinkError, match=f"the board breaks the protocol: {problem}"):
        client_of({MessageType.HEAR: answers(payload)}).hear(5, PCM, FEATURES)


def test_an_output_with_another_crc_is_no_result() -> None:
    with pytest.raises(
        DeviceFaultError, match="output of sample 5 has not the CRC-32 that the board announced"
    ):
        client_of({MessageType.HEAR: answers(hearing(5, output_crc=1))}).hear(5, PCM, FEATURES)


def test_a_map_with_another_crc_is_no_result() -> None:
    lying = client_of({MessageType.HEAR: answers(hearing(5, features_crc=1))})
    with pytest.raises(
        DeviceFaultError, match="feature map of sample 5 has not the CRC-32 that the board announced"
    ):
        lying.hear(5, PCM, FEATURES)


def test_a_board_that_has_more_audio_than_was_sent() -> None:
    too_much = {
        MessageType.AUDIO: lambda board, frame: [board.wrap(frame, report(frame.seq + 1, len(PCM) + 1))]
    }
    with pytest.raises(LinkError, match=r"breaks the protocol: .* 1201 bytes received cannot be"):
        client_of(too_much).hear(5, PCM, FEATURES)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("code", [ErrorCode.BAD_INPUT_CRC, ErrorCode.BAD_STATE])
def test_audio_that_arrived_wrong_is_sent_again_from_its_start(code, stream) -> None:
    refused = []

    def hear(board, frame):
        if len(refused) < 1:
            refused.append(frame)
            return [refusal(frame, code)]
        return [board.answer(frame)]

    link = ScriptedLink(HearingBoard(MODEL_SMALL, {MessageType.HEAR: hear}))
    client = AudioClient(link, SHORT)
    client.hello()
    assert client.hear(5, PCM, FEATURES, stream=stream).output == OUTPUT
    offsets = [
        LAYOUTS["AUDIO"].unpack(frame.payload)[0]["offset"]
        for frame in link.requests
        if frame.type == MessageType.AUDIO
    ]
    assert offsets.count(0) == 2


def test_audio_that_never_arrives_right_ends_the_run() -> None:
    never = {MessageType.HEAR: lambda board, frame: [refusal(frame, ErrorCode.BAD_INPUT_CRC, 3)]}
    with pytest.raises(LinkError, match=r"HEAR refused with BAD_INPUT_CRC \(detail 0x3\)"):
        client_of(never).hear(5, PCM, FEATURES)


def test_an_engine_that_fails_is_named() -> None:
    fails = {MessageType.HEAR: lambda board, frame: [refusal(frame, ErrorCode.ENGINE, 5)]}
    with pytest.raises(DeviceFaultError, match="the inference engine failed: INVOKE_FAILED"):
        client_of(fails).hear(5, PCM, FEATURES)


def test_a_board_without_a_front_end_is_named() -> None:
    lacks = {MessageType.AUDIO: lambda board, frame: [refusal(frame, ErrorCode.UNKNOWN_TYPE, frame.type)]}
    with pytest.raises(MismatchError, match="the firmware has no front end"):
        client_of(lacks).hear(5, PCM, FEATURES)


def test_a_lost_hear_answer_disturbs_the_time_alone() -> None:
    lost = []

    def hear(board, frame):
        if not lost:
            lost.append(frame)
            return []
        return [board.answer(frame)]

    answer = client_of({MessageType.HEAR: hear}, Patience()).hear(5, PCM, FEATURES, alone=True)
    assert (answer.output, answer.undisturbed, answer.heard.undisturbed) == (OUTPUT, False, False)


COUNT = 8
X = np.tile(np.frombuffer(FEATURES, np.int8), (COUNT, 1))
X[3] += 1  # the board's features of this one are not the host's
CLIPS = [PCM[: 100 + index] for index in range(COUNT)]


class CountingBoard(HearingBoard):
    """Counts what it heard, and falls silent after so many."""

    most = 10**6

    def __call__(self, frame):
        if frame.type == MessageType.HEAR and frame not in self.answers:
            if self.inferences == self.most:
                return []
            self.inferences += 1
        return super().__call__(frame)


def hearing_of(frame, **changes):
    return hearing(LAYOUTS["HEAR"].unpack(frame.payload)[0]["sample"], **changes)


def no_features():
    return LAYOUTS["FEATURE_MAP_ANSWER"].pack({"offset": 0}, bytes(20))


def run(directory, *, most=10**6, resume=False, changes=None):
    identity = RunIdentity.of(model_sha256="", build_id="", x=X, output_bytes=5, repeat_every=3, clips=CLIPS)
    journal, known = (
        Journal.resume(directory, identity) if resume else (Journal.begin(directory, identity), ())
    )
    board = CountingBoard(MODEL_SMALL, changes)
    board.most = most
    with journal:
        ledger = Ledger(COUNT, 5, ["a"], repeat_every=3, journal=journal, known=known)
        client = AudioClient(ScriptedLink(board), SHORT)
        return board, run_boards([client], expectation(MODEL_SMALL), X, ledger, clips=CLIPS)


@pytest.mark.parametrize("heard", [1, 4, 8, 9])
def test_a_run_that_was_interrupted_goes_on(tmp_path, heard) -> None:
    _, whole = run(tmp_path / "whole")
    with pytest.raises(LinkError, match=r"no answer to HEAR .*sample \d of 8"):
        run(tmp_path / "part", most=heard)
    board, resumed = run(tmp_path / "part", resume=True)
    # What is left, and one that shows that the board hears what the journal says.
    assert board.inferences == COUNT + 3 - heard + 1
    assert resumed.outputs.tolist() == whole.outputs.tolist()
    assert resumed.repeats == whole.repeats
    for result in (whole, resumed):
        assert {index: said.wrong_features for index, said in result.heard.items()} == {
            index: FEATURES if index == 3 else None for index in range(COUNT)
        }
        assert [index for index, said in result.heard.items() if said.undisturbed] == [0]


def test_a_board_with_other_features_does_not_go_on(tmp_path) -> None:
    with pytest.raises(LinkError):
        run(tmp_path, most=4)
    changed = {
        MessageType.HEAR: lambda board, frame: [
            board.wrap(frame, hearing_of(frame, features_crc=crc32(bytes(20))))
        ]
    }
    with pytest.raises(DeviceFaultError, match="sample 3 gives other features than before"):
        run(tmp_path, resume=True, changes=changed | {MessageType.FEATURE_MAP: answers(no_features())})
