# SPDX-License-Identifier: Apache-2.0
"""The `build` section of a board file for an FPGA image of Arm's MPS boards (MPS2, MPS3)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mcu_ser.board.baud import DividedUart
from mcu_ser.board.section import Address, CFlag, Hertz, Section, Source


class UartCmsdk(DividedUart):
    """UART of the Cortex-M System Design Kit (DDI 0479 section 4.3).

    Attributes:
        driver: The C file of the template.
        instance: Its name in the application note.
        base: First register.
        irq: Number of its receive interrupt.
        clock_hz: What it divides to the bit rate.
    """

    driver: Literal["uart_cmsdk"]
    instance: Annotated[str, Field(pattern=r"^UART[0-9]$")]
    base: Address
    irq: Annotated[int, Field(ge=0, le=239)]
    clock_hz: Hertz
    source: Source

    @property
    def divisors(self) -> tuple[int, int]:
        """Least and greatest value of BAUDDIV: 16 clock cycles per bit, 20 bits."""
        return 16, 0xFFFFF


class MpsBuild(Section):
    """How a firmware for an MPS image is compiled, and its serial port. Clocks are fixed by the image."""

    cflags: tuple[CFlag, ...]
    uart: UartCmsdk

    @property
    def uart_hz(self) -> int:
        """Clock that the UART divides."""
        return self.uart.clock_hz

    def baud_error_fraction(self, baud: int) -> float:
        """Relative error of the bit rate."""
        return self.uart.baud_error_fraction(self.uart_hz, baud)
