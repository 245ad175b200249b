# SPDX-License-Identifier: Apache-2.0
"""Harness and emulator control on the emulated STM32: what a board may do in the middle of a run."""

import dataclasses
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from mcu_ser.board import load_board
from mcu_ser.device.emulator import QemuEmulator
from mcu_ser.device.link import Link
from mcu_ser.errors import DeviceFaultError, LinkError
from mcu_ser.generate.project import Project
from mcu_ser.toolchain.cmake_gcc import build
from mcu_ser.verify.client import Client
from mcu_ser.verify.harness import Expectation, run_samples
from mcu_ser.verify.messages import ResetCause, TickSource
from mcu_ser.verify.patience import Patience
from tests.lossy_link import Faults, LossyLink
from tests.native_firmware import ENGINE, TestModel
from tests.stm32_firmware import generate_tiny, require_tools

pytestmark = pytest.mark.emulator

MODEL = TestModel(input_bytes=60, output_bytes=3)
MACHINE = "netduinoplus2"


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    """The tiny classifier's firmware with the obedient engine in place of the generated one."""
    board = load_board(MACHINE)
    require_tools(board, emulator=True)
    project = generate_tiny(tmp_path_factory.mktemp("obedient"), board)
    (project.root / "src" / "runtime" / "engine_aot.c").write_bytes(ENGINE.read_bytes())
    build(project)
    return project


@pytest.fixture
def expected(project) -> Expectation:
    return dataclasses.replace(Expectation.of(project), arena_bytes=4096)


@pytest.fixture
def emulator(project):
    with QemuEmulator(project.elf_path, MACHINE) as emulator:
        yield emulator


def misbehaving(letter):
    x = MODEL.samples(4)
    x[2, :2] = np.frombuffer(b"!" + letter, np.int8)
    return x


def test_samples_are_run_and_an_equal_input_takes_equally_many_instructions(emulator, expected):
    x = np.repeat(MODEL.samples(3), 2, axis=0)
    with Link(emulator) as link:
        result = run_samples(Client(link), expected, x)
    assert [bytes(row) for row in result.outputs] == [MODEL.expected_output(bytes(row)) for row in x]
    assert result.hello.tick_source == TickSource.TIM2
    assert result.undisturbed.all()
    assert (result.ticks[0::2] == result.ticks[1::2]).all()
    assert (result.ticks > 60 * 3).all()
    assert result.device.rx_overruns == 0
    assert 0 < result.device.stack_high_water < result.device.stack_bytes


def test_a_fault_in_the_middle_of_a_run_names_registers_and_sample(emulator, expected):
    with Link(emulator) as link, pytest.raises(DeviceFaultError) as caught:
        run_samples(Client(link), expected, misbehaving(b"c"))
    text = str(caught.value)
    assert "restarted in the middle of the run (software, after a fault at pc 0x080" in text
    assert "cfsr 0x00010000" in text  # UNDEFINSTR: the engine's trap instruction
    assert "(sample 2 of 4, last message INFER seq" in text


def test_the_next_run_works_and_hello_still_tells_of_the_fault(emulator, expected):
    with Link(emulator) as link, pytest.raises(DeviceFaultError):
        run_samples(Client(link), expected, misbehaving(b"c"))
    with Link(emulator) as link:
        result = run_samples(Client(link), expected, MODEL.samples(2))
    assert result.hello.fault is not None
    assert result.device.inferences == 2


def test_a_restart_in_the_middle_of_a_run_is_a_fault(emulator, expected):
    with Link(emulator) as link, pytest.raises(DeviceFaultError, match=r"\(software\) \(sample 2 of 4, "):
        run_samples(Client(link), expected, misbehaving(b"r"))


def test_a_hang_in_the_middle_of_a_run_ends(emulator, expected):
    with Link(emulator) as link, pytest.raises(LinkError, match=r"no answer to INFER .* \(sample 2 of 4, "):
        run_samples(Client(link, Patience(inference_s=1.0)), expected, misbehaving(b"h"))


def test_a_reset_is_asked_for_and_announced(emulator):
    with Link(emulator) as link:
        client = Client(link)
        client.hello()
        boot = client.reset()
        assert boot is not None
        assert (boot.reset_cause, boot.fault) == (ResetCause.SOFTWARE, None)
        assert client.hello().reset_cause == ResetCause.SOFTWARE


def test_an_emulator_that_is_killed_in_the_middle_of_a_run(emulator, expected):
    with Link(emulator) as link:
        client = Client(link)
        client.hello()
        os.kill(emulator.pid, signal.SIGKILL)
        with pytest.raises(DeviceFaultError, match=r"^netduinoplus2: QEMU ended \(killed by SIGKILL\)"):
            client.run(0, bytes(60))


def test_a_bad_line_costs_retries_and_nothing_else(emulator, expected):
    faults = Faults(drop=0.001, flip=0.002, double=0.001)
    x = MODEL.samples(12)
    with LossyLink(emulator, faults, seed=5) as link:
        result = run_samples(Client(link), expected, x)
    assert [bytes(row) for row in result.outputs] == [MODEL.expected_output(bytes(row)) for row in x]
    assert result.link.retries > 0


def test_firmware_that_locks_up_ends_with_qemus_last_words(tmp_path):
    # An empty vector table: the core jumps to address 0 and cannot even take the fault.
    image = tmp_path / "empty.bin"
    image.write_bytes(bytes(64))
    with QemuEmulator(image, MACHINE) as emulator, Link(emulator) as link:
        with pytest.raises(DeviceFaultError, match=r"the firmware crashed \(qemu: fatal: Lockup: .* R15=0"):
            Client(link).hello()


def test_a_machine_that_qemu_does_not_know(project):
    with pytest.raises(
        DeviceFaultError, match=r"^nonsense: QEMU ended \(exit status 1\): .*unsupported machine"
    ):
        QemuEmulator(project.elf_path, "nonsense").__enter__()


def test_two_emulators_have_two_ports_on_the_loopback_interface(project):
    with QemuEmulator(project.elf_path, MACHINE) as one, QemuEmulator(project.elf_path, MACHINE) as other:
        assert one.url != other.url
        for emulator in (one, other):
            port = int(emulator.url.rpartition(":")[2])
            sockets = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
            assert f"0100007F:{port:04X}" in sockets
            assert f"00000000:{port:04X}" not in sockets


def test_nothing_is_left_behind(project):
    with QemuEmulator(project.elf_path, MACHINE) as emulator:
        pid = emulator.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
