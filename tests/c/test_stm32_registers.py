# SPDX-License-Identifier: Apache-2.0
"""STM32 drivers on a model of the registers: what no emulator has (clock tree, overrun, reset flags)."""

import ctypes
import enum
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mcu_ser.board import load_board
from mcu_ser.board.stm32 import Stm32Build
from mcu_ser.generate.project import Project
from mcu_ser.resources import firmware_templates_dir
from tests.stm32_firmware import generate_tiny

HERE = Path(__file__).parent
HSI_HZ = 16_000_000
RCC_CR, RCC_PLLCFGR, RCC_CFGR, RCC_CSR = 0x40023800, 0x40023804, 0x40023808, 0x40023874
FLASH_ACR, PWR_CR = 0x40023C00, 0x40007000
UART_SR, UART_DR, UART_BRR, UART_CR1, UART_CR2, UART_CR3 = 0x00, 0x04, 0x08, 0x0C, 0x10, 0x14
UART_CR1_UE = 1 << 13
ORE, RXNE = 1 << 3, 1 << 5


class Broken(enum.IntFlag):
    """Ready flags that never come; the bits of `broken` in stm32_register_model.c."""

    HSI = 1 << 0
    PLL = 1 << 1
    VOLTAGE = 1 << 2
    SWITCH = 1 << 3
    OVER_DRIVE = 1 << 4
    OVER_DRIVE_SWITCH = 1 << 5
    FLASH_WAIT_STATES = 1 << 6


class Clocks(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("core_hz", "apb1_hz", "apb2_hz", "tim2_hz", "known")]

    def as_dict(self) -> dict[str, int]:
        return {name: getattr(self, name) for name, _ in self._fields_}


class Chip:
    """The drivers of a project, compiled for the host on top of the register model."""

    def __init__(self, project: Project, directory: Path) -> None:
        gcc = shutil.which("gcc")
        if gcc is None:
            pytest.skip("gcc is not installed")
        port = project.root / "src" / "port"
        library = directory / "chip.so"
        subprocess.run(
            [
                *(gcc, "-shared", "-fPIC", "-O1", "-std=c99", "-Wall", "-Wextra", "-Werror"),
                *("-fsanitize=undefined", "-fno-sanitize-recover=all"),
                *("-include", HERE / "stm32_register_model.h"),
                *(f"-I{HERE}", f"-I{port}", f"-I{project.root / 'src' / 'runtime'}"),
                *(HERE / "stm32_register_model.c", port / "clock_f4.c", port / "uart_v1.c"),
                port / "rx_ring.c",
                port / "uart_pins.c",
                *("-o", library),
            ],
            check=True,
            timeout=60,
        )
        self.c = ctypes.CDLL(str(library))
        self.c.clock_init.restype = Clocks
        self.c.model_read.restype = ctypes.c_uint32
        self.c.model_error.restype = ctypes.c_char_p
        self.c.uart_overruns.restype = ctypes.c_uint32
        self.c.uart_read.restype = ctypes.c_size_t
        self.board = project.board
        build: Any = project.board.build
        self.build: Stm32Build = build

    def read(self, address: int) -> int:
        return int(self.c.model_read(ctypes.c_uint32(address)))

    def write(self, address: int, value: int) -> None:
        self.c.model_write(ctypes.c_uint32(address), ctypes.c_uint32(value))

    def start_clock(self, broken: int = 0) -> dict[str, int]:
        self.c.model_reset(ctypes.c_uint32(broken))
        answer = self.c.clock_init().as_dict()
        assert self.c.model_error() is None
        return dict(answer)

    def running_hz(self) -> dict[str, int]:
        """The clocks, decoded from the registers as RM0090 has them."""
        cfgr, pllcfgr = self.read(RCC_CFGR), self.read(RCC_PLLCFGR)
        if cfgr >> 2 & 3 == 2:
            core = HSI_HZ // (pllcfgr & 63) * (pllcfgr >> 6 & 511) // (((pllcfgr >> 16 & 3) + 1) * 2)
        else:
            core = HSI_HZ

        def bus(field: int) -> int:
            return core // {4: 2, 5: 4, 6: 8, 7: 16}.get(field, 1)

        apb1 = bus(cfgr >> 10 & 7)
        return {
            "core_hz": core,
            "apb1_hz": apb1,
            "apb2_hz": bus(cfgr >> 13 & 7),
            "tim2_hz": core if apb1 == core else 2 * apb1,
        }

    def receive(self, byte: int, status: int = RXNE) -> None:
        """A byte arrives; the interrupt handler runs."""
        self.write(self.build.uart.base + UART_SR, status)
        self.write(self.build.uart.base + UART_DR, byte)
        self.c.uart_interrupt()

    def take(self, count: int = 4096) -> bytes:
        """What uart_read() gives."""
        buffer = (ctypes.c_uint8 * count)()
        return bytes(buffer[: self.c.uart_read(buffer, ctypes.c_size_t(count))])


@pytest.fixture(scope="module", params=["netduinoplus2", "nucleo_f446re"])
def compiled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Chip:
    board = load_board(request.param)
    directory = tmp_path_factory.mktemp("chip")
    return Chip(generate_tiny(directory, board), directory)


@pytest.fixture
def chip(compiled: Chip) -> Chip:
    compiled.c.model_reset(ctypes.c_uint32(0))
    compiled.take()
    return compiled


def test_clock_reaches_what_the_board_promises(chip: Chip) -> None:
    answer = chip.start_clock()
    assert answer.pop("known") == 1
    assert answer == chip.running_hz()
    assert answer["core_hz"] == chip.board.mcu.clock_hz
    assert chip.read(FLASH_ACR) & 15 == chip.build.clock.flash_wait_states
    assert chip.read(PWR_CR) >> 14 & 3 == chip.build.clock.voltage_scale
    assert bool(chip.read(PWR_CR) >> 17 & 1) == chip.build.clock.over_drive


@pytest.mark.parametrize("broken", list(Broken))
def test_step_that_never_completes_leaves_the_reset_clock(chip: Chip, broken: Broken) -> None:
    answer = chip.start_clock(broken)
    over_drive = {Broken.OVER_DRIVE, Broken.OVER_DRIVE_SWITCH}
    if broken in over_drive and not chip.build.clock.over_drive:
        assert answer["core_hz"] == chip.board.mcu.clock_hz
        return
    assert answer.pop("known") == (broken is not Broken.HSI)
    assert answer == dict.fromkeys(("core_hz", "apb1_hz", "apb2_hz", "tim2_hz"), HSI_HZ)
    assert chip.running_hz() == answer
    assert chip.read(RCC_CFGR) & 3 == 0


def test_pll_that_a_boot_loader_left_on_is_set_up_anew(chip: Chip) -> None:
    chip.c.model_reset(ctypes.c_uint32(0))
    chip.write(RCC_CR, chip.read(RCC_CR) | 1 << 24)
    chip.c.model_error()
    answer = chip.c.clock_init().as_dict()
    assert chip.c.model_error() is None
    assert answer["core_hz"] == chip.board.mcu.clock_hz
    assert chip.read(RCC_PLLCFGR) == chip.build.clock.pllcfgr


@pytest.mark.parametrize(
    ("flags", "cause"),
    [
        (0, 0),
        (1 << 26, 2),
        (1 << 26 | 1 << 27 | 1 << 25, 1),
        (1 << 26 | 1 << 25, 1),
        (1 << 26 | 1 << 28, 3),
        (1 << 26 | 1 << 29, 4),
        (1 << 26 | 1 << 30, 4),
        (1 << 26 | 1 << 31, 5),
    ],
)
def test_reset_cause_is_the_most_telling_flag(chip: Chip, flags: int, cause: int) -> None:
    chip.write(RCC_CSR, flags)
    assert chip.c.clock_reset_cause() == cause
    assert chip.read(RCC_CSR) >> 24 & 1, "flags are cleared for the next reset"


def test_uart_is_set_up_for_the_promised_baud_rate(chip: Chip) -> None:
    uart = chip.build.uart
    for clocks in (chip.start_clock(), chip.start_clock(Broken.PLL)):
        bus_hz = clocks[f"{uart.bus}_hz"]
        chip.c.uart_init(ctypes.c_uint32(bus_hz), ctypes.c_uint32(chip.board.serial.baud))
        divisor = chip.read(uart.base + UART_BRR)
        # The project's bound for a baud rate; the next line leaves no slack within it.
        assert bus_hz / divisor == pytest.approx(chip.board.serial.baud, rel=0.02)
        assert divisor == round(bus_hz / chip.board.serial.baud), "no nearer rate exists"
        assert divisor >= 16, "16 samples per bit"
    assert chip.read(uart.base + UART_CR1) == 1 << 13 | 1 << 5 | 1 << 3 | 1 << 2
    assert chip.read(0xE000E100 + 4 * (uart.irq // 32)) == 1 << uart.irq % 32
    for enable in (uart.clock_enable, uart.gpio_clock_enable):
        assert chip.read(enable.register_address) >> enable.bit & 1
    for pin in (uart.tx, uart.rx):
        assert chip.read(pin.gpio) >> 2 * pin.pin & 3 == 2, "alternate function"
        function = chip.read(pin.gpio + (0x20 if pin.pin < 8 else 0x24)) >> 4 * (pin.pin % 8) & 15
        assert function == pin.alternate_function


def test_uart_that_a_boot_loader_left_on_is_off_while_its_rate_is_set(chip: Chip) -> None:
    uart = chip.build.uart
    chip.write(uart.base + UART_CR1, UART_CR1_UE | 1 << 15 | 1 << 12)
    chip.write(uart.base + UART_CR2, 2 << 12)
    chip.write(uart.base + UART_CR3, 3 << 8 | 3 << 6)
    chip.c.uart_init(ctypes.c_uint32(HSI_HZ), ctypes.c_uint32(115200))
    assert chip.c.model_error() is None
    assert chip.read(uart.base + UART_CR1) == UART_CR1_UE | 1 << 5 | 1 << 3 | 1 << 2
    assert (chip.read(uart.base + UART_CR2), chip.read(uart.base + UART_CR3)) == (0, 0)


def test_other_pins_of_the_port_keep_their_function(chip: Chip) -> None:
    gpio = chip.build.uart.tx.gpio
    for offset in (0x00, 0x0C, 0x20, 0x24):
        chip.write(gpio + offset, 0xFFFFFFFF)
    chip.c.uart_init(ctypes.c_uint32(HSI_HZ), ctypes.c_uint32(115200))
    pins = {chip.build.uart.tx.pin, chip.build.uart.rx.pin}
    for pin in set(range(16)) - pins:
        assert chip.read(gpio) >> 2 * pin & 3 == 3
        assert chip.read(gpio + 0x0C) >> 2 * pin & 3 == 3
        assert chip.read(gpio + 0x20 + 4 * (pin // 8)) >> 4 * (pin % 8) & 15 == 15


def test_overrun_is_counted_and_the_good_byte_kept(chip: Chip) -> None:
    before = chip.c.uart_overruns()
    chip.receive(0x41)
    chip.receive(0x42, RXNE | ORE)
    chip.receive(0x00, ORE)
    chip.receive(0x99, 0)
    assert chip.take() == b"AB"
    assert chip.c.uart_overruns() - before == 2


def test_full_ring_drops_and_counts_and_goes_on(chip: Chip) -> None:
    before = chip.c.uart_overruns()
    for i in range(2048 + 3):
        chip.receive(i & 255)
    assert chip.c.uart_overruns() - before == 3
    assert chip.take(5) == bytes(range(5))
    chip.receive(7)
    assert chip.take() == bytes(i & 255 for i in range(5, 2048)) + b"\x07"
    assert chip.take() == b""


def test_transmit_writes_each_byte_to_the_data_register(chip: Chip) -> None:
    base = chip.build.uart.base
    chip.write(base + UART_SR, 1 << 7 | 1 << 6)
    chip.c.uart_write(b"xyz", ctypes.c_size_t(3))
    assert chip.read(base + UART_DR) == ord("z")
    chip.c.uart_flush()
    chip.write(base + UART_SR, 1 << 7)
    chip.c.uart_flush()  # returns although the last bit never leaves


def test_model_notices_a_careless_clock_change(chip: Chip) -> None:
    """The model itself: without this, every test above could pass for the wrong reason."""
    chip.write(RCC_CFGR, 2)
    assert chip.c.model_error() == b"switched to a PLL that is not ready"
    chip.c.model_reset(ctypes.c_uint32(0))
    chip.write(PWR_CR, 0x8000)
    assert chip.c.model_error() == b"PWR written before its clock is on"
    chip.c.model_reset(ctypes.c_uint32(0))
    chip.write(chip.build.uart.base + UART_CR1, UART_CR1_UE)
    chip.write(chip.build.uart.base + UART_BRR, 16)
    assert chip.c.model_error() == b"UART rate written while it is on"


def test_registers_of_the_model_are_those_of_the_firmware() -> None:
    text = (firmware_templates_dir() / "stm32" / "registers_stm32f4.h").read_text()
    for name, address in (
        ("RCC_CR", RCC_CR),
        ("RCC_PLLCFGR", RCC_PLLCFGR),
        ("RCC_CFGR", RCC_CFGR),
        ("RCC_CSR", RCC_CSR),
        ("FLASH_ACR", FLASH_ACR),
        ("PWR_CR", PWR_CR),
    ):
        assert f"#define {name} REG32(0x{address:08X}u)" in text
