# SPDX-License-Identifier: Apache-2.0
"""The serial port of an STM32 board: which UART, on which pins, gated by which bits; and its bit rates."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mcu_ser.board.section import Address, Bit, Section, Source

# Sender and receiver together may be about 5 % apart; 2 % leaves the other side its share.
MAX_BAUD_ERROR_FRACTION = 0.02


class RegisterBit(Section):
    """One bit of a 32-bit register, e.g. a clock enable."""

    register_address: Annotated[Address, Field(alias="register")]
    bit: Bit


class Pin(Section):
    """A pin in its alternate function: base address of its GPIO port, pin 0 to 15, function 0 to 15."""

    gpio: Address
    pin: Annotated[int, Field(ge=0, le=15)]
    alternate_function: Annotated[int, Field(ge=0, le=15)]


class Uart(Section):
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
        """Parts of a clock cycle in which the divisor counts: 256 for an LPUART (RM0432), else 1."""
        return 256 if self.instance.startswith("LP") else 1

    @property
    def divisors(self) -> tuple[int, int]:
        """Least and greatest value of BRR: 16 samples per bit in 16 bits; LPUART: 3 cycles, 20 bits."""
        return (0x300, 0xFFFFF) if self.instance.startswith("LP") else (16, 0xFFFF)

    def divisor(self, clock_hz: int, baud: int) -> int:
        """The value of BRR that comes nearest to `baud`."""
        least, greatest = self.divisors
        return min(greatest, max(least, (clock_hz * self.clock_multiplier + baud // 2) // baud))

    def baud_error_fraction(self, clock_hz: int, baud: int) -> float:
        """How far the nearest bit rate is from `baud`, relative."""
        return abs(clock_hz * self.clock_multiplier / self.divisor(clock_hz, baud) - baud) / baud

    def nearest_bauds(self, clock_hz: int, baud: int) -> tuple[int, ...]:
        """The bit rates below and above `baud` that the divisor can give, in bit/s, rising."""
        least, greatest = self.divisors
        middle = clock_hz * self.clock_multiplier // baud
        near = {min(greatest, max(least, divisor)) for divisor in (middle, middle + 1)}
        return tuple(sorted(round(clock_hz * self.clock_multiplier / divisor) for divisor in near))


class UartV1(Uart):
    """USART with SR and DR registers (STM32F1, F2, F4; RM0090 section 30)."""

    driver: Literal["uart_v1"]


class UartV2(Uart):
    """USART or LPUART with ISR, RDR and TDR registers (STM32F7, L4, H7; RM0351 section 40)."""

    driver: Literal["uart_v2"]
