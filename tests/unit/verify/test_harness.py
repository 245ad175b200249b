# SPDX-License-Identifier: Apache-2.0
"""The harness against the real server on good, bad and dying boards."""

import dataclasses
import os
import re
import signal
import struct

import numpy as np
import pytest

from mcu_ser.device.host_process import HostProcess
from mcu_ser.device.link import Link
from mcu_ser.errors import DeviceFaultError, LinkError, MismatchError, SamplesError
from mcu_ser.verify.client import Client
from mcu_ser.verify.harness import Expectation, run_samples
from mcu_ser.verify.messages import TickSource
from mcu_ser.verify.patience import Patience
from mcu_ser.verify.protocol import MessageType, crc32
from tests.lossy_link import Faults, LossyLink, PretendBoard, ScriptedLink, inference
from tests.native_firmware import TestModel, build_native_firmware

MODEL = TestModel(input_bytes=1500, output_bytes=600)
MODEL_SMALL = TestModel(input_bytes=20, output_bytes=5)
SHORT = Patience(hello_s=2.0, answer_s=2.0, inference_s=1.0)


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return build_native_firmware(tmp_path_factory.mktemp("harness"), MODEL)


def expectation(model=MODEL, **changes):
    bits = struct.unpack("<I", struct.pack("<f", model.scale))[0]
    expected = Expectation(
        board_id=model.board,
        engine=model.engine,
        model_sha256=model.model_sha256,
        build_id=model.build_id,
        input_bytes=model.input_bytes,
        output_bytes=model.output_bytes,
        input_shape=(1, model.input_bytes),
        output_shape=(1, model.output_bytes),
        input_scale_bits=bits,
        input_zero_point=model.zero_point,
        output_scale_bits=bits,
        output_zero_point=model.zero_point,
        arena_bytes=4096,
    )
    return dataclasses.replace(expected, **changes)


def expected_outputs(x, model=MODEL):
    rows = [np.frombuffer(model.expected_output(row.tobytes()), np.int8) for row in x]
    return np.stack(rows)


def test_every_sample_is_run_and_counted(program):
    x = MODEL.samples(12)
    with HostProcess(program) as device, Link(device) as link:
        result = run_samples(Client(link), expectation(), x)
    np.testing.assert_array_equal(result.outputs, expected_outputs(x))
    assert result.outputs.dtype == np.int8
    assert result.ticks.dtype == np.uint64
    assert (result.ticks > 0).all()
    assert result.undisturbed.all()
    assert result.hello.tick_source == TickSource.HOST
    assert result.device.inferences == 12
    assert result.link.retries == 0
    # HELLO, 2 STATS, and per sample 3 INPUT, INFER, 2 OUTPUT; the first HELLO may meet a starting board.
    assert result.link.frames - (3 + 12 * 6) in {0, 1}


def test_a_second_run_counts_from_where_the_first_ended(program):
    with HostProcess(program) as device:
        for _ in range(2):
            with Link(device) as link:
                result = run_samples(Client(link), expectation(), MODEL.samples(2))
    assert result.device.inferences == 4


def test_progress_is_one_step_per_sample(program):
    steps = []

    class Track:
        def __init__(self, what, total):
            steps.append((what, total))

        def __enter__(self):
            return steps.append

        def __exit__(self, *error):
            pass

    with HostProcess(program) as device, Link(device) as link:
        run_samples(Client(link), expectation(), MODEL.samples(3), Track)
    assert steps == [("verify", 3), 1, 1, 1]


@pytest.mark.parametrize(
    ("faults", "seed"),
    [
        (Faults(drop=0.002), 1),
        (Faults(flip=0.002), 2),
        (Faults(double=0.002), 3),
        (Faults(noise=0.002), 4),
        (Faults(repeat_frame=0.3), 5),
        (Faults(drop=0.001, flip=0.002, double=0.001, noise=0.001, repeat_frame=0.05), 6),
    ],
    ids=lambda value: None if isinstance(value, int) else str(value)[7:-1].replace(" ", ""),
)
def test_a_bad_line_costs_retries_and_nothing_else(program, faults, seed):
    model = MODEL
    x = model.samples(8, seed)
    with HostProcess(program) as device, LossyLink(device, faults, seed) as link:
        result = run_samples(
            Client(link, Patience(hello_s=30, answer_s=30, inference_s=60)), expectation(), x
        )
    np.testing.assert_array_equal(result.outputs, expected_outputs(x))
    assert result.device.inferences == 8 + result.reruns  # none lost, none counted twice
    repeated = result.device.duplicates + result.device.frames_bad + result.link.bad_frames
    assert repeated > 0, "the faults did not happen"
    # Repeating must not call up more repeating: a storm once sent 150,000 frames for these samples.
    assert result.link.frames < 5000


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"board_id": "nano33ble"}, "the board has board id 'host', expected 'nano33ble'"),
        ({"engine": "tflm"}, "engine 'aot', expected 'tflm'"),
        ({"model_sha256": "00" * 32}, f"model SHA-256 '{'ab' * 32}', expected '{'00' * 32}'"),
        ({"build_id": "00" * 16}, f"build id '{'cd' * 16}', expected '{'00' * 16}'"),
        ({"input_shape": (1, 10, 150)}, "input shape 1x1500, expected 1x10x150"),
        ({"output_shape": ()}, "output shape 1x600, expected none"),
        ({"output_bytes": 601}, "output bytes 600, expected 601"),
        ({"input_scale_bits": 0x3E800000}, "input scale 0.5 (0x3f000000), expected 0.25 (0x3e800000)"),
        ({"input_zero_point": 4}, "input zero point -3, expected 4"),
        ({"output_scale_bits": 1}, "output scale 0.5 (0x3f000000), expected"),
        ({"output_zero_point": 4}, "output zero point -3, expected 4"),
        ({"arena_bytes": 1}, "arena bytes 4096, expected 1"),
    ],
)
def test_another_firmware_is_refused_before_a_sample_is_sent(program, changes, problem):
    with HostProcess(program) as device, Link(device) as link:
        client = Client(link)
        with pytest.raises(MismatchError, match=re.escape(problem)) as caught:
            run_samples(client, expectation(**changes), MODEL.samples(1))
        assert client.last_message == "HELLO seq 0"
    assert "build and flash" in str(caught.value)


@pytest.mark.parametrize(
    "x",
    [
        np.zeros((2, 1499), np.int8),
        np.zeros((2, 1500), np.uint8),
        np.zeros((0, 1500), np.int8),
        np.zeros(1500, np.int8),
    ],
    ids=["length", "dtype", "none", "rank"],
)
def test_wrong_samples_are_refused(x):
    link = ScriptedLink(PretendBoard(MODEL))
    with pytest.raises(SamplesError, match=re.escape("expected int8 of shape (n, 1500), n at least 1")):
        run_samples(Client(link), expectation(), x)
    assert link.requests == []


def misbehaving(letter, at=2, count=4):
    x = MODEL.samples(count)
    x[at, :2] = np.frombuffer(b"!" + letter, np.int8)
    return x


def test_a_crash_in_the_middle_of_a_run_names_signal_sample_and_message(program):
    with HostProcess(program) as device, Link(device) as link:
        with pytest.raises(DeviceFaultError) as caught:
            run_samples(Client(link, SHORT), expectation(), misbehaving(b"c"))
    text = str(caught.value)
    assert text.startswith("firmware: the firmware ended (killed by SIGILL)")
    assert "(sample 2 of 4, last message INFER seq 17)" in text
    assert caught.value.exit_code == 4


def test_a_process_that_is_killed_in_the_middle_of_a_run(program):
    def kill_at_the_second_sample(what, total):
        class Kill:
            def __enter__(self):
                return lambda count: os.kill(device.pid, signal.SIGKILL)

            def __exit__(self, *error):
                pass

        return Kill()

    with HostProcess(program) as device, Link(device) as link:
        with pytest.raises(DeviceFaultError, match=r"killed by SIGKILL\) \(sample 1 of 4, last message"):
            run_samples(Client(link, SHORT), expectation(), MODEL.samples(4), kill_at_the_second_sample)


def test_a_restart_in_the_middle_of_a_run_names_cause_sample_and_message(program):
    with HostProcess(program) as device, Link(device) as link:
        with pytest.raises(
            DeviceFaultError, match=r"restarted in the middle of the run \(software\) \(sample 2 of 4, "
        ):
            run_samples(Client(link, SHORT), expectation(), misbehaving(b"r"))


def test_a_hang_in_the_middle_of_a_run_ends_with_an_error(program):
    with HostProcess(program) as device, Link(device) as link:
        with pytest.raises(LinkError, match=r"no answer to INFER seq 17 in 1 s: .* \(sample 2 of 4, "):
            run_samples(Client(link, SHORT), expectation(), misbehaving(b"h"))


def test_an_engine_failure_names_the_sample(program):
    with HostProcess(program) as device, Link(device) as link:
        with pytest.raises(DeviceFaultError, match=r"engine failed: code -7 \(sample 2 of 4, "):
            run_samples(Client(link, SHORT), expectation(), misbehaving(b"f"))


def test_an_engine_that_did_not_start_is_a_fault():
    client = Client(ScriptedLink(PretendBoard(MODEL, engine_status=-2)))
    with pytest.raises(DeviceFaultError, match="engine did not start: code -2"):
        run_samples(client, expectation(), MODEL.samples(1))


def test_a_board_that_counts_other_inferences_than_the_host_fails_the_run():
    def count_twice(board, frame):
        board.inferences += 1
        return [board.answer(frame)]

    client = Client(ScriptedLink(PretendBoard(MODEL_SMALL, {MessageType.INFER: count_twice})))
    with pytest.raises(DeviceFaultError, match="counted 6 inferences in this run, the host 3"):
        run_samples(client, expectation(MODEL_SMALL), MODEL_SMALL.samples(3))


def test_a_flipped_output_byte_names_the_sample():
    def flip(board, frame):
        wrong = bytearray(board.model.expected_output(bytes(board.input)))
        crc = crc32(bytes(wrong))
        wrong[3] ^= 4
        payload = inference(int.from_bytes(frame.payload[:4], "little"), bytes(wrong), crc)
        return [board.wrap(frame, payload)]

    client = Client(ScriptedLink(PretendBoard(MODEL_SMALL, {MessageType.INFER: flip})))
    with pytest.raises(DeviceFaultError, match=r"output of sample 0 has not the CRC-32 .* \(sample 0 of 2, "):
        run_samples(client, expectation(MODEL_SMALL), MODEL_SMALL.samples(2))
