# SPDX-License-Identifier: Apache-2.0
"""Bit rates that a UART can divide its clock to, and the check of one that a user asks for."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from mcu_ser.board.section import Section
from mcu_ser.errors import ConfigError

if TYPE_CHECKING:
    from mcu_ser.board.model import Board

# Sender and receiver together may be about 5 % apart; 2 % leaves the other side its share.
MAX_BAUD_ERROR_FRACTION = 0.02
MIN_BAUD = 9600
# Faster than that, a receive interrupt has less than 10 us per byte, and no USB bridge here was tried.
MAX_BAUD = 921_600


class DividedUart(Section):
    """A UART whose bit rate is its clock divided by a whole number."""

    @property
    def clock_multiplier(self) -> int:
        """Parts of a clock cycle in which the divisor counts."""
        return 1

    @property
    @abstractmethod
    def divisors(self) -> tuple[int, int]:
        """Least and greatest divisor."""

    def divisor(self, clock_hz: int, baud: int) -> int:
        """The divisor that comes nearest to `baud`."""
        least, greatest = self.divisors
        return min(greatest, max(least, (clock_hz * self.clock_multiplier + baud // 2) // baud))

    def baud_error_fraction(self, clock_hz: int, baud: int) -> float:
        """How far the nearest bit rate is from `baud`, relative."""
        return abs(clock_hz * self.clock_multiplier / self.divisor(clock_hz, baud) - baud) / baud

    def nearest_bauds(self, clock_hz: int, baud: int) -> tuple[int, ...]:
        """The bit rates below and above `baud` that a divisor gives, in bit/s, rising; one if both are it."""
        least, greatest = self.divisors
        middle = clock_hz * self.clock_multiplier // baud
        near = {min(greatest, max(least, divisor)) for divisor in (middle, middle + 1)}
        return tuple(sorted(round(clock_hz * self.clock_multiplier / divisor) for divisor in near))


def require_baud(board: Board, baud: int) -> None:
    """Check that a firmware for the board can run its serial port at `baud`, once its clock is up.

    Raises:
        ConfigError: The port has no bit rate to choose, or the clock cannot be divided to this one.
    """
    build: Any = board.build
    uart = getattr(build, "uart", None)
    if not isinstance(uart, DividedUart):
        raise ConfigError(board.id, "has no serial port whose bit rate can be set", hint="leave out --baud")
    if not MIN_BAUD <= baud <= MAX_BAUD:
        raise ConfigError(board.id, f"cannot be set to {baud} bit/s", limit=f"{MIN_BAUD} to {MAX_BAUD} bit/s")
    error = uart.baud_error_fraction(build.uart_hz, baud)
    if error > MAX_BAUD_ERROR_FRACTION:
        nearest = " or ".join(map(str, uart.nearest_bauds(build.uart_hz, baud)))
        raise ConfigError(
            board.id,
            f"{baud} bit/s would be {error:.1%} off: its UART divides {build.uart_hz} Hz",
            limit=f"{MAX_BAUD_ERROR_FRACTION:.0%}",
            hint=f"--baud {nearest}",
        )
