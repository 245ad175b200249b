# SPDX-License-Identifier: Apache-2.0
"""Everything of a board that has registers, as it is after a reset, and which of it an address belongs to."""

from __future__ import annotations

import bisect
from collections.abc import Callable

from tests.unicorn_board.clocks import Clocks
from tests.unicorn_board.core import (
    FIRST_INTERRUPT,
    SYSTICK_EXCEPTION,
    CycleCounter,
    SystemControl,
    Tim2,
)
from tests.unicorn_board.facts import BoardFacts, Pin, UartFacts
from tests.unicorn_board.gpio import Gpio
from tests.unicorn_board.registers import ChipViolation, Gate, RegisterBlock
from tests.unicorn_board.timeline import Timeline
from tests.unicorn_board.uart import Lpuart, Uart, UartV1, UartV2


class Peripherals:
    """The register blocks of a board between two resets.

    Args:
        facts: What the board is.
        baud: Bit rate of the host.
        time: Of the board.
        stuck: Status bits that never come, and counters that stand still.
        on_sent: Takes each byte that the board sends.
        before: The peripherals before the reset, None after power-on.
    """

    def __init__(
        self,
        facts: BoardFacts,
        baud: int,
        time: Timeline,
        stuck: frozenset[str],
        on_sent: Callable[[int], None],
        before: Peripherals | None,
    ) -> None:
        chip = facts.chip
        self.facts = facts
        self._baud = baud
        self._time = time
        self._on_sent = on_sent
        self.clocks: Clocks = chip.clocks(stuck=stuck)
        self.clocks.now = lambda: time.now
        self.clocks.set_reset_cause(software=before is not None)
        if before is not None:
            self.clocks.keep(before.clocks)
        self.system = SystemControl(chip.core, lambda: time.cycles, stuck)
        self.ports = {letter: self._new_port(letter, index) for index, letter in enumerate(chip.ports)}
        self.uarts = {name: self._new_uart(name, uart) for name, uart in chip.uarts.items()}
        counter = CycleCounter(chip.core, self.system, lambda: time.cycles, stuck)
        timer = Tim2(chip.tim2_enable, lambda: time.cycles * self.clocks.timer_hz // time.hz, stuck)
        others = (*self.clocks.blocks, *self.ports.values(), *self.uarts.values())
        self._blocks = sorted((self.system, counter, timer, *others), key=lambda block: block.base)
        self._bases = [block.base for block in self._blocks]

    @property
    def uart(self) -> Uart:
        """The UART of the board's serial port."""
        return self.uarts[self.facts.uart]

    def block_at(self, address: int, size: int) -> tuple[RegisterBlock, int]:
        """The block that answers at `address`, and the offset in it.

        Raises:
            ChipViolation: None does, or not to `size` bytes, or its clock is off.
        """
        index = bisect.bisect_right(self._bases, address) - 1
        block = self._blocks[index] if index >= 0 else None
        if block is None or address >= block.base + block.size:
            raise ChipViolation(f"access to {address:#010x}, where the model of this chip has nothing")
        if size != 4:
            raise ChipViolation(f"access of {size} bytes to {block.name_at(address - block.base)}")
        self.clocks.require_clock(block)
        return block, address - block.base

    def pending(self) -> int | None:
        """Number of the exception that would be taken now; all have the same priority."""
        if self.system.systick_pending():
            return SYSTICK_EXCEPTION
        for uart in self.uarts.values():
            if uart.interrupt and uart.irq in self.system.enabled:
                return FIRST_INTERRUPT + uart.irq
        raised = self.system.software_pending & self.system.enabled
        return FIRST_INTERRUPT + min(raised) if raised else None

    def receive(self, byte: int) -> None:
        """A byte from the host has arrived at the pin."""
        self.clocks.require_clock(self.uart)
        self.uart.arrive(byte)

    def why_silent(self) -> str:
        """What keeps a sleeping board from answering."""
        uart = self.uart
        if uart.holds_byte and not uart.interrupt:
            return f"{uart.name} holds a byte and raises no interrupt (RXNEIE)"
        if uart.interrupt and uart.irq not in self.system.enabled:
            return f"{uart.name} raises interrupt {uart.irq}, which NVIC does not let through"
        return "the firmware sleeps and does not answer"

    def _new_port(self, letter: str, index: int) -> Gpio:
        chip = self.facts.chip
        gate = Gate(chip.gpio_enable, index)
        return Gpio(letter, chip.gpio_base + 0x400 * index, gate, analog_reset=chip.analog_reset)

    def _new_uart(self, name: str, facts: UartFacts) -> Uart:
        where = {"irq": facts.irq, "host_baud": self._baud}
        uart: Uart
        if facts.kind == "v1":
            uart = UartV1(name, facts.base, facts.gate, **where)
        elif facts.kind == "lpuart":
            uart = Lpuart(name, facts.base, facts.gate, fifo=True, **where)
        else:
            uart = UartV2(name, facts.base, facts.gate, fifo=facts.kind == "fifo", **where)
        uart.kernel_hz = lambda: self.clocks.kernel_hz(facts.kernel)
        uart.now = lambda: self._time.now
        uart.skip_to = self._time.skip_to
        uart.on_sent = self._on_sent
        uart.require_wired = self._require_wired
        return uart

    def _require_wired(self, uart: Uart, direction: str) -> None:
        if uart is not self.uart:
            raise ChipViolation(f"{uart.name} is used, the board's serial port is {self.facts.uart}")
        pin: Pin = self.facts.tx if direction == "TX" else self.facts.rx
        self.clocks.require_pin_supply(pin.port, pin.number)
        self.ports[pin.port].require_function(pin.number, pin.function, f"{uart.name} {direction}")
