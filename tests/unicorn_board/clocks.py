# SPDX-License-Identifier: Apache-2.0
"""What the clock models of all families share: clock-enable bits, and the questions the board asks them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from tests.unicorn_board.registers import ChipViolation, Gate, RegisterBlock


class Clocks(ABC):
    """Clock tree, voltage and flash wait states of one chip.

    Attributes:
        FLAGS: Status fields that can be broken by `stuck`, as the manual calls them.
        now: Time since the chip was switched on, in seconds; the board sets it.
    """

    FLAGS: tuple[str, ...] = ()

    def __init__(self, stuck: frozenset[str]) -> None:
        self.stuck = stuck
        self.now: Callable[[], float] = lambda: 0.0
        self.rcc: RegisterBlock
        self._unsettled: set[Gate] = set()

    @property
    @abstractmethod
    def blocks(self) -> tuple[RegisterBlock, ...]:
        """RCC, the power controller, the flash interface, ..."""

    @property
    @abstractmethod
    def core_hz(self) -> int:
        """The clock the core runs at now."""

    @abstractmethod
    def kernel_hz(self, kernel: str) -> int:
        """The clock that a UART divides; `kernel` as in `facts.Uart`."""

    @property
    @abstractmethod
    def timer_hz(self) -> int:
        """The clock that TIM2 counts."""

    @abstractmethod
    def set_reset_cause(self, *, software: bool) -> None:
        """Set the reset flags: power-on, or a system reset that the firmware asked for."""

    def keep(self, before: Clocks) -> None:  # noqa: B027 - most chips keep nothing
        """Take over what a system reset does not reset; `before` is the same chip before it."""

    def require_pin_supply(self, port: str, pin: int) -> None:  # noqa: B027 - most have one supply
        """Raise if pin `pin` of port `port` (a letter) has no supply."""

    def watch_gates(self, names: tuple[str, ...]) -> None:
        """Follow the clock-enable registers of RCC: a clock needs a read back before it is there."""
        for name in names:
            self.rcc.on_write[name] = lambda old, new, name=name: self._enable(name, old, new)
            self.rcc.on_read[name] = lambda name=name: self._settle(name)

    def require_clock(self, block: RegisterBlock) -> None:
        """Raise if the registers of `block` do not answer."""
        gate = block.gate
        if gate is None:
            return
        if not self.rcc.values[gate.register] >> gate.bit & 1:
            raise ChipViolation(f"{block.name} is used while its clock is off ({gate})")
        if gate in self._unsettled:
            raise ChipViolation(
                f"{block.name} is used right after its clock was enabled: read back {gate} first"
            )

    def _enable(self, name: str, old: int, new: int) -> None:
        self._unsettled |= {Gate(name, bit) for bit in range(32) if new & ~old & 1 << bit}

    def _settle(self, name: str) -> int:
        self._unsettled = {gate for gate in self._unsettled if gate.register != name}
        return self.rcc.values[name]
