# SPDX-License-Identifier: Apache-2.0
"""What the STM32 template prints: register values of a board as finished text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcu_ser.board.stm32 import FAMILIES
from mcu_ser.generate.cortex_m import hex_word

if TYPE_CHECKING:
    from mcu_ser.board import Board
    from mcu_ser.board.stm32 import Stm32Build
    from mcu_ser.board.uart import RegisterBit


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
    clock_driver: str
    uart_driver: str
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


def stm32_values(board: Board, build: Stm32Build, baud: int) -> Stm32Values:
    """The template's values for a board with flash, RAM and a budget (`Board` has checked that)."""
    clock, uart = build.clock, build.uart
    return Stm32Values(
        registers=FAMILIES[build.family].registers,
        clock_driver=clock.driver,
        uart_driver=uart.driver,
        reset_hz=str(clock.reset_hz),
        core_hz=str(clock.core_hz),
        apb1_hz=str(clock.apb1_hz),
        apb2_hz=str(clock.apb2_hz),
        tim2_hz=str(clock.tim2_hz),
        clock_registers=tuple(Define(name, hex_word(value)) for name, value in clock.registers.items()),
        clock_switches=tuple(Define(name, str(int(on))) for name, on in clock.switches.items()),
        uart_base=hex_word(uart.base),
        uart_irq=str(uart.irq),
        uart_apb=uart.bus.removeprefix("apb"),
        uart_multiplier=str(uart.clock_multiplier),
        uart_baud=str(baud),
        uart_reset_baud=str(build.reset_baud(baud, board.serial.baud)),
        uart_enable_register=hex_word(uart.clock_enable.register_address),
        uart_enable_bit=str(uart.clock_enable.bit),
        gpio_enable_register=hex_word(uart.gpio_clock_enable.register_address),
        gpio_enable_bit=str(uart.gpio_clock_enable.bit),
        io_supply=_register_bit(uart.io_supply),
        tx_gpio=hex_word(uart.tx.gpio),
        tx_pin=str(uart.tx.pin),
        tx_function=str(uart.tx.alternate_function),
        rx_gpio=hex_word(uart.rx.gpio),
        rx_pin=str(uart.rx.pin),
        rx_function=str(uart.rx.alternate_function),
    )


def _register_bit(bit: RegisterBit | None) -> RegisterBitValues | None:
    return None if bit is None else RegisterBitValues(hex_word(bit.register_address), str(bit.bit))
