# SPDX-License-Identifier: Apache-2.0
"""The STM32 port by itself, run on the emulated STM32F405: start-up, serial ring, counters, faults."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mcu_ser.board import load_board
from mcu_ser.device.emulator import QemuEmulator
from mcu_ser.device.link import Link
from mcu_ser.toolchain.build_record import BuildResult
from tests.stm32_firmware import Probe, build_probe, require_tools

pytestmark = pytest.mark.emulator

SOFTWARE_RESET = 3
TICKS_TIM2, TICKS_SYSTICK = 2, 3
# Armv7-M B3.2.15: bits of the Configurable Fault Status Register.
STKERR, PRECISERR, UNDEFINSTR, INVSTATE = 1 << 12, 1 << 9, 1 << 16, 1 << 17
HFSR_FORCED = 1 << 30


@pytest.fixture(scope="module")
def probe_build(tmp_path_factory: pytest.TempPathFactory) -> BuildResult:
    board = load_board("netduinoplus2")
    require_tools(board, emulator=True)
    return build_probe(tmp_path_factory.mktemp("probe"), board)


@pytest.fixture
def probe(probe_build: BuildResult) -> Iterator[Probe]:
    with QemuEmulator(probe_build.elf, "netduinoplus2") as emulator, Link(emulator) as link:
        probe = Probe(link)
        assert probe.line() == [0, 0, 0, 0, 0, 0], "first boot: unknown cause, no fault"
        yield probe


def test_data_is_copied_bss_is_clear_and_the_fpu_is_on(probe: Probe) -> None:
    assert probe.ask(b"d") == [0x11111111, 0, 0x22222222, 0, 0x33333333, 0]
    assert probe.ask(b"f") == [475]


def test_every_byte_comes_back_in_order(probe: Probe) -> None:
    letters = bytes(range(ord("0"), ord("9") + 1)) * 500
    probe.send(letters)
    assert probe.take(len(letters)) == letters
    assert probe.ask(b"n") == [0]


def test_ring_that_overflows_keeps_the_first_bytes_and_counts_the_rest(probe: Probe) -> None:
    (ring_bytes,) = probe.ask(b"o")
    assert ring_bytes == 2048
    digits = b"0123456789" * (ring_bytes // 10 + 2)
    probe.send(digits[: ring_bytes + 10])
    # The command's own line ends once ten bytes are lost; what the ring held is echoed after it.
    assert probe.take(1) == b"\n"
    assert probe.take(ring_bytes) == digits[:ring_bytes]
    assert probe.ask(b"n") == [10]


def test_counter_is_tim2_and_counts_instructions_exactly(probe: Probe) -> None:
    source, tick_hz, core_hz, short, long = probe.ask(b"t")
    assert source == TICKS_TIM2
    # QEMU has no clock controller, so no frequency can be vouched for.
    assert (tick_hz, core_hz) == (0, 0)
    assert long - short == 4 * (100000 - 1000)
    assert probe.ask(b"t")[3:] == [short, long]


def test_stack_use_is_measured(probe: Probe) -> None:
    size, before, after = probe.ask(b"s")
    assert size == 8192
    assert 0 < before < 1024
    assert after >= before + 20 * 64
    assert after < 4096


def test_wanted_reset_is_told_from_a_fault(probe: Probe) -> None:
    assert probe.ask(b"R") == [SOFTWARE_RESET, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("command", "cfsr", "hfsr"),
    [
        (b"!", PRECISERR, HFSR_FORCED),
        (b"u", UNDEFINSTR, HFSR_FORCED),
        (b"j", INVSTATE, HFSR_FORCED),
        (b"v", 0, 0),
    ],
    ids=["bad address", "undefined instruction", "jump into data", "unexpected exception"],
)
def test_fault_is_recorded_and_the_firmware_starts_again(
    probe: Probe, command: bytes, cfsr: int, hfsr: int
) -> None:
    cause, faulted, pc, lr, found_cfsr, found_hfsr = probe.ask(command)
    assert (cause, faulted) == (SOFTWARE_RESET, 1)
    assert found_cfsr & cfsr == cfsr
    assert found_hfsr == hfsr
    place = 0x20000000 if command == b"j" else 0x08000000
    assert place <= pc < place + 0x10000
    assert 0x08000000 <= lr < 0x20010000
    # The record stays readable, and is gone after a reset without a fault.
    assert probe.ask(b"b") == [cause, faulted, pc, lr, found_cfsr, found_hfsr]
    assert probe.ask(b"R") == [SOFTWARE_RESET, 0, 0, 0, 0, 0]


def test_stack_overflow_faults_and_is_recorded(probe: Probe) -> None:
    """The stack lies at the start of RAM: an overflow leaves RAM instead of running into data."""
    cause, faulted, pc, lr, cfsr, hfsr = probe.ask(b"S")
    assert (cause, faulted) == (SOFTWARE_RESET, 1)
    assert cfsr & STKERR
    assert (pc, lr) == (0, 0), "the frame could not be stacked, so there is nothing to report"
    assert hfsr == HFSR_FORCED
    assert probe.ask(b"d") == [0x11111111, 0, 0x22222222, 0, 0x33333333, 0]


def test_systick_takes_over_where_tim2_does_not_count(tmp_path: Path) -> None:
    board = load_board("netduinoplus2")
    require_tools(board, emulator=True)
    # The random number generator: QEMU reads it as zero.
    edits = {"src/port/stm32_registers.h": ("#define TIM2_BASE 0x40000000u", "#define TIM2_BASE 0x50060800u")}
    result = build_probe(tmp_path, board, edits)
    with QemuEmulator(result.elf, "netduinoplus2") as emulator, Link(emulator) as link:
        probe = Probe(link)
        probe.line()
        source, tick_hz, core_hz, short, long = probe.ask(b"t")
        assert (source, tick_hz, core_hz) == (TICKS_SYSTICK, 0, 0)
        # QEMU's SysTick runs at 168 MHz while one instruction takes 1 ns. Reading the counter takes a tick.
        assert abs(long - short - 4 * 99_000 * 168 // 1000) <= 2
        # 26.9 million ticks: more than the 24 bits of the counter, whose interrupt takes a few ticks itself.
        (ticks,) = probe.ask(b"T")
        assert abs(ticks - 4 * 40_000_000 * 168 // 1000) <= 10


def test_no_counter_gives_no_ticks(tmp_path: Path) -> None:
    board = load_board("netduinoplus2")
    require_tools(board, emulator=True)
    edits = {
        "src/port/stm32_registers.h": ("#define TIM2_BASE 0x40000000u", "#define TIM2_BASE 0x50060800u"),
        "src/port/cortex_m.h": ("#define SYST_CVR REG32(0xE000E018u)", "#define SYST_CVR REG32(0x50060818u)"),
    }
    result = build_probe(tmp_path, board, edits)
    with QemuEmulator(result.elf, "netduinoplus2") as emulator, Link(emulator) as link:
        probe = Probe(link)
        probe.line()
        assert probe.ask(b"t") == [0, 0, 0, 0, 0]


def test_another_f4_board_is_data_alone(tmp_path: Path) -> None:
    """The NUCLEO-F446RE: another clock tree, over-drive, and USART2. QEMU's F405 has that port too."""
    board = load_board("nucleo_f446re")
    require_tools(board, emulator=True)
    result = build_probe(tmp_path, board)
    with QemuEmulator(result.elf, "netduinoplus2", serial_index=1) as emulator, Link(emulator) as link:
        probe = Probe(link)
        assert probe.line() == [0, 0, 0, 0, 0, 0]
        probe.send(b"9876543210" * 10)
        assert probe.take(100) == b"9876543210" * 10
