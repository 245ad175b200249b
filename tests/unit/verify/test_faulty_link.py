# SPDX-License-Identifier: Apache-2.0
"""Runs over a line on which everything happens that lines do: right to the last byte, or an error."""

import random

import numpy as np
import pytest

from mcu_ser.device.host_process import HostProcess
from mcu_ser.device.link import Link
from mcu_ser.errors import DeviceError, DeviceFaultError, LinkError
from mcu_ser.verify.client import Client
from mcu_ser.verify.harness import run_samples
from mcu_ser.verify.patience import Patience
from tests.link_faults import KINDS, FaultProxy, FaultyStream
from tests.native_firmware import TestModel, build_native_firmware
from tests.unit.verify.test_harness import expectation

MODEL = TestModel(input_bytes=60, output_bytes=70)  # an output that comes in two messages
# Bytes per fault, and how many samples then: a thousand in all, on ten lines.
SAMPLES = {200: 20, 500: 30, 2000: 50}
PATIENT = Patience(hello_s=20, answer_s=20, inference_s=20)
SHORT = Patience(hello_s=1, answer_s=1, inference_s=1)


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return build_native_firmware(tmp_path_factory.mktemp("faulty"), MODEL)


def outputs_of(x):
    return [MODEL.expected_output(row.tobytes()) for row in x]


@pytest.mark.parametrize("kinds", [KINDS, *((kind,) for kind in KINDS)], ids=lambda k: "+".join(k)[:9])
@pytest.mark.parametrize("distance", SAMPLES, ids=lambda distance: f"1 in {distance}")
def test_no_sample_is_wrong_lost_or_counted_twice(program, kinds, distance):
    x = MODEL.samples(SAMPLES[distance], seed=distance)
    with HostProcess(program) as device, FaultProxy(device, kinds=kinds, rate=1 / distance, seed=7) as proxy:
        with Link(proxy) as link:
            result = run_samples(Client(link, PATIENT), expectation(MODEL), x)
    assert [row.tobytes() for row in result.outputs] == outputs_of(x)
    assert proxy.faults.total() > 0
    assert set(proxy.faults) <= set(kinds)


@pytest.mark.parametrize("seed", range(8))
def test_a_port_that_closes_ends_the_run(program, seed):
    # From the middle of HELLO to the last sample.
    close_after = random.Random(seed).randrange(20, 6000)
    x = MODEL.samples(60)
    with HostProcess(program) as device:
        with FaultProxy(device, rate=1 / 2000, seed=seed, close_after=close_after) as proxy:
            with pytest.raises(LinkError) as caught, Link(proxy) as link:
                run_samples(Client(link, PATIENT), expectation(MODEL), x)
    assert caught.value.exit_code == 4
    assert proxy.url in str(caught.value)


@pytest.mark.parametrize("seed", range(6))
def test_a_board_that_restarts_at_a_random_sample_over_a_bad_line_is_noticed(program, seed):
    at = random.Random(seed).randrange(30)
    x = MODEL.samples(30)
    x[at, :2] = np.frombuffer(b"!r", np.int8)
    with HostProcess(program) as device, FaultProxy(device, rate=1 / 1000, seed=seed) as proxy:
        with Link(proxy) as link, pytest.raises(DeviceFaultError) as caught:
            run_samples(Client(link, PATIENT), expectation(MODEL), x)
    assert f"(sample {at} of 30, last message INFER seq" in str(caught.value)
    assert caught.value.exit_code == 4


def test_a_line_that_loses_everything_after_a_while_ends_in_time(program):
    state = {"left": 3000}

    def cut(data, from_device):
        state["left"] -= len(data)
        return data if state["left"] > 0 else b""

    with HostProcess(program) as device, FaultProxy(device, rewrite=cut) as proxy, Link(proxy) as link:
        with pytest.raises(LinkError, match=r"no answer to .* in 1 s: .* \(sample \d+ of 60, last message "):
            run_samples(Client(link, SHORT), expectation(MODEL), MODEL.samples(60))


def test_a_line_too_bad_to_be_used_ends_in_time(program):
    with HostProcess(program) as device, FaultProxy(device, kinds=("flip",), rate=0.5) as proxy:
        with Link(proxy) as link, pytest.raises(DeviceError) as caught:
            run_samples(Client(link, SHORT), expectation(MODEL), MODEL.samples(2))
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "delay"])
def test_each_fault_changes_a_stream_as_often_as_it_should(kind):
    data = bytes(index % 251 for index in range(100_000))
    stream = FaultyStream((kind,), 1 / 500, random.Random(1))
    out = b"".join(stream.pass_on(data[at : at + 333]) for at in range(0, len(data), 333))
    assert out != data
    assert 130 < stream.count[kind] < 260


def test_the_same_seed_gives_the_same_faults_and_none_without_a_rate():
    data = bytes(range(256)) * 40
    kinds = tuple(kind for kind in KINDS if kind != "delay")
    once, again = (FaultyStream(kinds, 1 / 50, random.Random(5)).pass_on(data) for _ in range(2))
    assert once == again != data
    assert FaultyStream(kinds, 0, random.Random(5)).pass_on(data) == data
