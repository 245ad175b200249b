# SPDX-License-Identifier: Apache-2.0
"""The serial port of an STM32 board: which UART, on which pins, gated by which bits; and its bit rates."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mcu_ser.board.baud import DividedUart
from mcu_ser.board.section import Address, Bit, Section, Source


class RegisterBit(Section):
    """One bit of a 32-bit register, e.g. a clock enable."""

    register_address: Annotated[Address, Field(alias="register")]
    bit: Bit


class Pin(Section):
    """A pin in its alternate function: base address of its GPIO port, pin 0 to 15, function 0 to 15."""

    gpio: Address
    pin: Annotated[int, Field(ge=0, le=15)]
    alternate_function: Annotated[int, Field(ge=0, le=15)]


class Uart(DividedUart):
    """A UART; its class tells the registers.

    Attributes:
        driver: The C file of the template.
        instance: Name in the reference manual.
        base: First register.
        irq: Number of its interrupt.
        bus: Bus whose clock it divides (the kernel clock after reset).
        clock_enable: Bit that turns it on.
        gpio_clock_enable: Bit that turns the port of its pins on.
        io_supply: Bit that connects a supply of its own to the pins, None if they need none.
    """

    driver: str
    instance: Annotated[str, Field(pattern=r"^(USART|UART|LPUART)[1-8]$")]
    base: Address
    irq: Annotated[int, Field(ge=0, le=239)]
    bus: Literal["apb1", "apb2"]
    clock_enable: RegisterBit
    gpio_clock_enable: RegisterBit
    io_supply: RegisterBit | None = None
    tx: Pin
    rx: Pin
    source: Source

    @property
    def clock_multiplier(self) -> int:
        """Parts of a clock cycle in which BRR counts: 256 for an LPUART (RM0432), else 1."""
        return 256 if self.instance.startswith("LP") else 1

    @property
    def divisors(self) -> tuple[int, int]:
        """Least and greatest value of BRR: 16 samples per bit in 16 bits; LPUART: 3 cycles, 20 bits."""
        return (0x300, 0xFFFFF) if self.instance.startswith("LP") else (16, 0xFFFF)


class UartV1(Uart):
    """USART with SR and DR registers (STM32F1, F2, F4; RM0090 section 30)."""

    driver: Literal["uart_v1"]


class UartV2(Uart):
    """USART or LPUART with ISR, RDR and TDR registers (STM32F7, L4, H7; RM0351 section 40)."""

    driver: Literal["uart_v2"]
