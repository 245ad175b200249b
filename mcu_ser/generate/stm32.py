# SPDX-License-Identifier: Apache-2.0
"""What the STM32 template prints: register values and linker regions of a board as finished text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcu_ser.board.stm32 import FAMILIES

if TYPE_CHECKING:
    from mcu_ser.board import Board, MemoryRegion
    from mcu_ser.board.stm32 import Stm32Build
    from mcu_ser.board.uart import RegisterBit

# Ring of the receive interrupt: three frames of the largest size, rounded up to a power of two.
RX_RING_BYTES = 2048


@dataclass(frozen=True)
class LinkerRegion:
    """One line of the linker script's MEMORY."""

    name: str
    attributes: str
    origin: str
    length: str


@dataclass(frozen=True)
class Define:
    """One macro of board_config.h."""

    name: str
    value: str


@dataclass(frozen=True)
class RegisterBitValues:
    """One bit of a register."""

    register: str
    bit: str


@dataclass(frozen=True)
class Stm32Values:
    """Every field is the text that the template prints; `firmware_templates/stm32` says where."""

    registers: str
    cflags: str
    clock_driver: str
    uart_driver: str
    regions: tuple[LinkerRegion, ...]
    main_flash: str
    main_ram: str
    stack_bytes: str
    reset_hz: str
    core_hz: str
    apb1_hz: str
    apb2_hz: str
    tim2_hz: str
    clock_registers: tuple[Define, ...]
    clock_switches: tuple[Define, ...]
    uart_base: str
    uart_irq: str
    uart_apb: str
    uart_multiplier: str
    uart_baud: str
    uart_reset_baud: str
    uart_enable_register: str
    uart_enable_bit: str
    gpio_enable_register: str
    gpio_enable_bit: str
    io_supply: RegisterBitValues | None
    tx_gpio: str
    tx_pin: str
    tx_function: str
    rx_gpio: str
    rx_pin: str
    rx_function: str
    rx_ring_bytes: str


def stm32_values(board: Board, build: Stm32Build, baud: int) -> Stm32Values:
    """The template's values for a board with flash, RAM and a budget (`Board` has checked that)."""
    assert board.budget is not None
    clock, uart = build.clock, build.uart
    return Stm32Values(
        registers=FAMILIES[build.family].registers,
        cflags=" ".join(build.cflags),
        clock_driver=clock.driver,
        uart_driver=uart.driver,
        regions=tuple(_linker_region(region) for region in board.memory),
        main_flash=board.flash_regions[0].name,
        main_ram=board.ram_regions[0].name,
        stack_bytes=str(board.budget.stack_bytes),
        reset_hz=str(clock.reset_hz),
        core_hz=str(clock.core_hz),
        apb1_hz=str(clock.apb1_hz),
        apb2_hz=str(clock.apb2_hz),
        tim2_hz=str(clock.tim2_hz),
        clock_registers=tuple(Define(name, _word(value)) for name, value in clock.registers.items()),
        clock_switches=tuple(Define(name, str(int(on))) for name, on in clock.switches.items()),
        uart_base=_word(uart.base),
        uart_irq=str(uart.irq),
        uart_apb=uart.bus.removeprefix("apb"),
        uart_multiplier=str(uart.clock_multiplier),
        uart_baud=str(baud),
        uart_reset_baud=str(build.reset_baud(baud, board.serial.baud)),
        uart_enable_register=_word(uart.clock_enable.register_address),
        uart_enable_bit=str(uart.clock_enable.bit),
        gpio_enable_register=_word(uart.gpio_clock_enable.register_address),
        gpio_enable_bit=str(uart.gpio_clock_enable.bit),
        io_supply=_register_bit(uart.io_supply),
        tx_gpio=_word(uart.tx.gpio),
        tx_pin=str(uart.tx.pin),
        tx_function=str(uart.tx.alternate_function),
        rx_gpio=_word(uart.rx.gpio),
        rx_pin=str(uart.rx.pin),
        rx_function=str(uart.rx.alternate_function),
        rx_ring_bytes=str(RX_RING_BYTES),
    )


def _register_bit(bit: RegisterBit | None) -> RegisterBitValues | None:
    return None if bit is None else RegisterBitValues(_word(bit.register_address), str(bit.bit))


def _linker_region(region: MemoryRegion) -> LinkerRegion:
    attributes = "rx" if region.kind == "flash" else "rwx"
    return LinkerRegion(region.name, attributes, _word(region.origin), str(region.bytes))


def _word(value: int) -> str:
    return f"0x{value:08X}"
