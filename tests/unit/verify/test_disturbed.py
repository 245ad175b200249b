# SPDX-License-Identifier: Apache-2.0
"""Inferences whose time was disturbed by a request that arrived again are run again, and counted once."""

from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest

from mcu_ser.errors import CheckFailedError, DeviceFaultError
from mcu_ser.generate.project import Project
from mcu_ser.verify.client import Client
from mcu_ser.verify.harness import run_samples
from mcu_ser.verify.messages import LAYOUTS
from mcu_ser.verify.protocol import Frame, MessageType, encode_frame
from mcu_ser.verify.shards import Repeats
from mcu_ser.verify.verified_device import VerifiedDevice
from tests.lossy_link import PretendBoard, ScriptedLink, inference, report
from tests.unit.verify.test_harness import MODEL_SMALL, expectation, expected_outputs

X = MODEL_SMALL.samples(3)


class Disturbed(PretendBoard):
    """Asks again for the first `times` requests to infer sample 1; its n-th inference takes 100 + n ticks."""

    def __init__(self, times, outputs=lambda output, number: output):
        super().__init__(MODEL_SMALL, {MessageType.INFER: self.ask_again})
        self.times, self.outputs, self.asked = times, outputs, set()

    def ask_again(self, _, frame):
        sample = LAYOUTS["INFER"].unpack(frame.payload)[0]["sample"]
        if sample == 1 and frame.seq not in self.asked and len(self.asked) < self.times:
            self.asked.add(frame.seq)
            nack = Frame(MessageType.NACK, frame.session, frame.seq, report(frame.seq, 0))
            return [encode_frame(nack)]
        return [self.answer(frame)]

    def _infer(self, frame):
        sample = LAYOUTS["INFER"].unpack(frame.payload)[0]["sample"]
        self.inferences += 1
        output = self.outputs(self.model.expected_output(bytes(self.input)), self.inferences)
        said = bytearray(inference(sample, output))
        said[4:8] = (100 + self.inferences).to_bytes(4, "little")
        return bytes(said)


def run(board, **options):
    return run_samples(Client(ScriptedLink(board)), expectation(MODEL_SMALL), X, **options)


def test_a_disturbed_inference_is_run_again_and_counted_once():
    steps = []

    class Track:
        def __init__(self, what, total):
            steps.append(total)

        def __enter__(self):
            return steps.append

        def __exit__(self, *error):
            pass

    board = Disturbed(times=2)
    result = run(board, track=Track)
    np.testing.assert_array_equal(result.outputs, expected_outputs(X, MODEL_SMALL))
    assert result.undisturbed.all()
    assert result.ticks.tolist() == [101, 104, 105]  # the third of sample 1, which nothing disturbed
    assert board.inferences == result.device.inferences == 3 + result.reruns == 5
    assert steps == [3, 1, 1, 1]
    (share,) = result.boards
    assert (share.samples, share.ranges, share.repeats) == (3, "0-2", 0)
    assert result.repeats == Repeats(0, 0, 0)


def test_the_tries_end_and_the_sample_stays_disturbed():
    board = Disturbed(times=1000)
    result = run(board)
    assert result.undisturbed.tolist() == [True, False, True]
    assert board.inferences == 2 + 4
    np.testing.assert_array_equal(result.outputs, expected_outputs(X, MODEL_SMALL))


def test_a_repeat_is_not_measured_and_not_run_again():
    board = Disturbed(times=0)
    assert run(board, repeat_every=1).undisturbed.all()
    calm = board.inferences
    board = Disturbed(times=1)
    assert run(board, repeat_every=1).repeats.samples == 3
    assert (calm, board.inferences) == (6, 7)


def test_other_bytes_in_the_run_for_the_time_are_an_error():
    board = Disturbed(times=1, outputs=lambda output, number: bytes(len(output)) if number == 3 else output)
    with pytest.raises(DeviceFaultError, match="sample 1 gives other bytes than before, for the same input"):
        run(board)


def test_ticks_of_a_verified_device_are_of_every_sample_or_an_error():
    device = VerifiedDevice(mock.Mock(spec=Project, board=SimpleNamespace(id="netduinoplus2")))
    assert len(device.ticks) == 0
    device._last = run(Disturbed(times=1))
    assert device.ticks.tolist() == [101, 103, 104]
    device._last = run(Disturbed(times=1000))
    with pytest.raises(CheckFailedError, match=r"only 2 of 3 inferences were measured undisturbed; try: "):
        _ = device.ticks
