# SPDX-License-Identifier: Apache-2.0
"""Building blocks of the models: registers with reserved bits, and status bits that take a while."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

# Reads of its register until a status bit follows: more than one, so that nobody gets by without a loop.
POLLS = 3
WORD = 0xFFFFFFFF


class ChipViolation(Exception):
    """The firmware did what the real chip does not forgive; the text says what, and what is asked for."""


class Lagging(Generic[T]):
    """What a status field shows: it follows what it was told after `POLLS` reads, or never when stuck."""

    def __init__(self, value: T, *, stuck: bool = False) -> None:
        self.value = value
        self._target = value
        self._left = 0
        self._stuck = stuck

    def aim(self, target: T) -> None:
        """From now on the field is on its way to `target`."""
        if target != self._target:
            self._target, self._left = target, POLLS

    def poll(self) -> T:
        """One read of the field."""
        if self.value != self._target and not self._stuck:
            self._left -= 1
            if self._left <= 0:
                self.value = self._target
        return self.value


@dataclass(frozen=True)
class Gate:
    """The clock-enable bit of a peripheral: a register of RCC, by its name, and a bit."""

    register: str
    bit: int

    def __str__(self) -> str:
        return f"RCC_{self.register} bit {self.bit}"


@dataclass(frozen=True)
class Register:
    """A 32-bit register.

    Attributes:
        writable: Bits that hold what is written.
        status: Bits that only the chip sets; writing them back is allowed. All others are reserved.
    """

    name: str
    reset: int = 0
    writable: int = WORD
    status: int = 0


class RegisterBlock:
    """The registers of one peripheral; what is not listed does not exist.

    `on_read` and `on_write` give single registers a behaviour: a reader returns the value, a writer gets the
    old and the written one after the writable bits have been stored.
    """

    size = 0x400

    def __init__(
        self, name: str, base: int, registers: dict[int, Register], gate: Gate | None = None
    ) -> None:
        self.name = name
        self.base = base
        self.gate = gate
        self._registers = registers
        self.values = {register.name: register.reset for register in registers.values()}
        self.on_read: dict[str, Callable[[], int]] = {}
        self.on_write: dict[str, Callable[[int, int], None]] = {}

    def name_at(self, offset: int) -> str:
        """The register's name for messages, e.g. RCC_CR."""
        register = self._registers.get(offset)
        return f"{self.name}_{register.name}" if register else f"{self.name}+{offset:#x}"

    def read(self, offset: int) -> int:
        register = self._at(offset)
        reader = self.on_read.get(register.name)
        return reader() if reader else self.values[register.name]

    def write(self, offset: int, value: int) -> None:
        register = self._at(offset)
        old = self.values[register.name]
        reserved = (value ^ old) & value & ~(register.writable | register.status)
        if reserved:
            raise ChipViolation(f"{self.name}_{register.name}: reserved bits {reserved:#x} are set")
        self.values[register.name] = (value & register.writable) | (old & ~register.writable)
        writer = self.on_write.get(register.name)
        if writer:
            writer(old, value)

    def _at(self, offset: int) -> Register:
        if offset not in self._registers:
            raise ChipViolation(f"{self.name} has no register at offset {offset:#x}")
        return self._registers[offset]


def mask(*bits: int | tuple[int, int]) -> int:
    """A mask of single bits and of fields (highest, lowest bit)."""
    result = 0
    for item in bits:
        high, low = item if isinstance(item, tuple) else (item, item)
        result |= ((1 << (high - low + 1)) - 1) << low
    return result


def field(value: int, high: int, low: int) -> int:
    """Bits high..low of a word."""
    return value >> low & ((1 << (high - low + 1)) - 1)


def ahb_divider(code: int) -> int:
    """HPRE as in every STM32: 0xxx undivided, then 2 to 512 without 32."""
    return (2, 4, 8, 16, 64, 128, 256, 512)[code - 8] if code >= 8 else 1


def apb_divider(code: int) -> int:
    """PPRE as in every STM32: 0xx undivided, then 2 to 16."""
    return (2, 4, 8, 16)[code - 4] if code >= 4 else 1


def wait_states(hz: float, limits: Iterable[float]) -> int:
    """Flash wait states needed at `hz`; `limits` are the highest clocks in Hz for 0, 1, 2, ... of them."""
    for states, limit in enumerate(limits):
        if hz <= limit:
            return states
    raise ChipViolation(f"no number of flash wait states is enough for {hz:.0f} Hz")


def require_range(what: str, hz: float, low: float, high: float) -> None:
    """Raise unless low <= hz <= high."""
    if not low <= hz <= high:
        raise ChipViolation(f"{what} is {hz:.0f} Hz, allowed {low:.0f} to {high:.0f} Hz")
