# SPDX-License-Identifier: Apache-2.0
"""The host's client for audio, with the firmware's server compiled for the host with sanitizers."""

import dataclasses
from typing import ClassVar

import pytest

from mcu_ser.device.host_process import HostProcess
from mcu_ser.device.link import Link
from mcu_ser.errors import MismatchError
from mcu_ser.verify.audio_client import AudioClient
from mcu_ser.verify.messages import LAYOUTS
from mcu_ser.verify.protocol import FrameDecoder, MessageType
from tests.c.hearing_firmware import FRONT_END, HEARING, MAP_BYTES, NOISE, OBEYS, of_stream
from tests.hearing_model import SPEC
from tests.lossy_link import Faults, LossyLink
from tests.native_firmware import build_native_firmware

CLIPS = [NOISE[:length] for length in (1, 100, 511, 512, 513, 5000, 6400, 6401, 20000)]


@pytest.mark.parametrize("block_seed", [None, 1, 2])
def test_the_client_hears_clips_of_any_length(hearing_program, block_seed):
    with HostProcess(hearing_program) as device, Link(device) as link:
        client = AudioClient(link, block_seed=block_seed)
        client.hello()
        for index, pcm in enumerate(CLIPS):
            features = FRONT_END.run(pcm).tobytes()
            answer = client.hear(index, pcm, features, alone=index == 0)
            assert answer.output == HEARING.expected_output(features)
            assert answer.heard.wrong_features is None
            assert answer.heard.undisturbed == (index == 0)
            assert 1 <= answer.heard.rows <= SPEC.frames
        assert client.stats().inferences == len(CLIPS)


class Counting(Link):
    """Counts the samples that are sent."""

    sent = 0

    def write(self, data):
        for frame in FrameDecoder().feed(data):
            if frame.type == MessageType.AUDIO:
                self.sent += (len(frame.payload) - LAYOUTS["AUDIO"].bytes) // 2
        super().write(data)


@pytest.mark.parametrize("block_seed", [None, 1])
def test_the_client_goes_on_with_a_stream(hearing_program, block_seed):
    with HostProcess(hearing_program) as device, Counting(device) as link:
        client = AudioClient(link, block_seed=block_seed)
        client.hello()
        for index, length in enumerate((512, 768, 769, 5000, 5000, 20000)):
            answer = client.hear(index, NOISE[:length], of_stream(NOISE[:length]), stream=True)
            assert answer.heard.wrong_features is None
            # None is computed twice.
            assert answer.heard.rows == 1 + (length - 512) // 256
        assert link.sent == 20000
        # Another stream, then what the board no longer has, then a clip.
        for pcm, stream in ((NOISE[1:3000], True), (NOISE[:20000], True), (NOISE[:900], False)):
            expected = of_stream(pcm) if stream else FRONT_END.run(pcm).tobytes()
            assert client.hear(7, pcm, expected, stream=stream).heard.wrong_features is None
        assert link.sent == 20000 + 2999 + 20000 + 900
        client.hello()
        assert client.hear(8, NOISE[:900], of_stream(NOISE[:900]), stream=True).heard.rows == 2
        assert client.link_stats().payload_bytes == 2 * link.sent + 10 * HEARING.output_bytes


@pytest.mark.parametrize("seed", range(3))
def test_a_stream_over_a_bad_line(hearing_program, seed):
    faults = Faults(drop=0.0005, flip=0.0005, double=0.0002, noise=0.0002, repeat_frame=0.05)
    with HostProcess(hearing_program) as device, LossyLink(device, faults, seed) as link:
        client = AudioClient(link, block_seed=seed)
        client.hello()
        for index, length in enumerate(range(512, 12000, 1500)):
            features = of_stream(NOISE[:length])
            answer = client.hear(index, NOISE[:length], features, stream=True)
            assert answer.output == HEARING.expected_output(features)
            assert answer.heard.rows == 1 + (length - 512) // 256


def test_random_blocks_are_of_many_lengths(hearing_program):
    class Listening(Link):
        lengths: ClassVar[set[int]] = set()

        def write(self, data):
            self.lengths.add(len(data))
            super().write(data)

    with HostProcess(hearing_program) as device, Listening(device) as link:
        client = AudioClient(link, block_seed=1)
        client.hello()
        client.hear(0, NOISE, FRONT_END.run(NOISE).tobytes(), alone=True)
    assert len(Listening.lengths) > 50


@pytest.mark.parametrize("seed", range(4))
def test_a_bad_line_changes_nothing(hearing_program, seed):
    faults = Faults(drop=0.0005, flip=0.0005, double=0.0002, noise=0.0002, repeat_frame=0.05)
    with HostProcess(hearing_program) as device, LossyLink(device, faults, seed) as link:
        client = AudioClient(link)
        client.hello()
        for index, pcm in enumerate((NOISE[:6000], NOISE[:3000], NOISE[5000:5400])):
            features = FRONT_END.run(pcm).tobytes()
            answer = client.hear(index, pcm, features)
            assert answer.output == HEARING.expected_output(features)
            assert answer.heard.wrong_features is None
        assert client.stats().inferences == 3
        assert client.link_stats().retries > 0


def test_other_features_are_fetched(tmp_path):
    other = dataclasses.replace(FRONT_END, mean=FRONT_END.mean + 40)
    program = build_native_firmware(tmp_path, dataclasses.replace(HEARING, front_end=other), defines=OBEYS)
    with HostProcess(program) as device, Link(device) as link:
        client = AudioClient(link)
        client.hello()
        answer = client.hear(0, NOISE[:4000], FRONT_END.run(NOISE[:4000]).tobytes())
        of_board = other.run(NOISE[:4000]).tobytes()
        assert of_board != FRONT_END.run(NOISE[:4000]).tobytes()
        assert answer.heard.wrong_features == of_board
        assert answer.output == HEARING.expected_output(of_board)


def test_firmware_without_a_front_end_is_named(tmp_path):
    program = build_native_firmware(tmp_path, dataclasses.replace(HEARING, front_end=None))
    with HostProcess(program) as device, Link(device) as link:
        client = AudioClient(link)
        client.hello()
        with pytest.raises(MismatchError, match=r"the firmware has no front end; try: .* --front-end"):
            client.hear(0, NOISE[:100], bytes(MAP_BYTES))
