# SPDX-License-Identifier: Apache-2.0
"""The UARTs: USART with SR and DR (F4), USART with ISR and TDR (F7, L4, H7), and LPUART.

Sources: RM0090 chapter USART; RM0410, RM0432 and RM0433 chapters USART and LPUART.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

from tests.unicorn_board.registers import ChipViolation, Gate, Register, RegisterBlock, mask

# Host and board may be apart by about 5 % together; 2 % is the board's share.
MAX_BAUD_ERROR = 0.02
BITS_PER_FRAME = 10
# Reads of a busy status flag before time jumps to its end: polling must not cost the model its speed.
_POLLS_BEFORE_JUMP = 4

ORE, RXNE, TC, TXE = 1 << 3, 1 << 5, 1 << 6, 1 << 7


class Uart(RegisterBlock):
    """One UART, seen from the wire and from the core.

    Attributes:
        irq: Its interrupt.
        host_baud: Bit rate of the host.
        kernel_hz: Gives the clock that it divides, in Hz.
        now, skip_to: Give and advance the time in seconds.
        on_sent: Takes each byte, when the firmware hands it over.
        require_wired: Raises if a direction ("TX" or "RX") is not connected to the board's pin.
    """

    def __init__(
        self, name: str, base: int, registers: dict[int, Register], gate: Gate, *, irq: int, host_baud: int
    ) -> None:
        super().__init__(name, base, registers, gate)
        self.irq = irq
        self.host_baud = host_baud
        self.kernel_hz: Callable[[], int]
        self.now: Callable[[], float]
        self.skip_to: Callable[[float], None]
        self.on_sent: Callable[[int], None]
        self.require_wired: Callable[[Uart, str], None]
        self._received: list[int] = []
        self._depth = 1
        self._overrun = False
        self._sending_until = 0.0
        self._holding: int | None = None
        self._busy_polls = 0

    @property
    @abstractmethod
    def baud(self) -> float:
        """The bit rate that the registers give; raises on a forbidden divisor."""

    @property
    @abstractmethod
    def _enabled(self) -> bool: ...

    @property
    @abstractmethod
    def _transmitter_on(self) -> bool: ...

    @property
    @abstractmethod
    def _receiver_on(self) -> bool: ...

    @property
    def interrupt(self) -> bool:
        """Whether the interrupt line is active: a byte or an overrun, and RXNEIE."""
        return bool(self.values["CR1"] >> 5 & 1) and (bool(self._received) or self._overrun)

    @property
    def holds_byte(self) -> bool:
        return bool(self._received)

    def arrive(self, byte: int) -> None:
        """A byte from the host is complete."""
        if not self._enabled or not self._receiver_on:
            raise ChipViolation(f"{self.name}: a byte arrives while the receiver is off (UE, RE)")
        self.require_wired(self, "RX")
        self._require_baud()
        if len(self._received) >= self._depth:
            self._overrun = True
        else:
            self._received.append(byte)

    def require_idle(self) -> None:
        """Raise if a reset would cut off a byte that is being sent."""
        if self._sending:
            raise ChipViolation(f"{self.name}: the chip is reset while a byte is still being sent (TC)")

    def _status(self) -> int:
        if self._sending:
            self._busy_polls += 1
            if self._busy_polls > _POLLS_BEFORE_JUMP:
                self.skip_to(self._sending_until)
                self._busy_polls = 0
        sending = self._sending
        status = ORE * self._overrun | RXNE * bool(self._received)
        return status | TXE * (self._holding is None) | TC * (not sending and self._holding is None)

    def _take(self) -> int:
        return self._received.pop(0) if self._received else 0

    def _send(self, byte: int) -> None:
        if not self._enabled or not self._transmitter_on:
            raise ChipViolation(f"{self.name}: a byte is sent while the transmitter is off (UE, TE)")
        self.require_wired(self, "TX")
        self._require_baud()
        if self._sending and self._holding is not None:
            raise ChipViolation(f"{self.name}: a byte is written before the last one was taken (TXE)")
        if self._sending:
            self._holding = byte
        else:
            self._shift(self.now())
        self.on_sent(byte & 0xFF)

    @property
    def _sending(self) -> bool:
        """Whether the shift register is busy; moves the waiting byte into it when it is free."""
        if self._holding is not None and self.now() >= self._sending_until:
            self._holding = None
            self._shift(self._sending_until)
        return self.now() < self._sending_until

    def _shift(self, start: float) -> None:
        self._sending_until = start + BITS_PER_FRAME / self.baud

    def _require_baud(self) -> None:
        error = (self.baud - self.host_baud) / self.host_baud
        if abs(error) > MAX_BAUD_ERROR:
            raise ChipViolation(
                f"{self.name} runs at {self.baud:.0f} baud from {self.kernel_hz()} Hz, {error:+.1%} off "
                f"{self.host_baud}, allowed {MAX_BAUD_ERROR:.0%}"
            )

    def _divided(self, clocks: int) -> float:
        if clocks < 16:
            raise ChipViolation(f"{self.name}_BRR: divisor {clocks}, at least 16")
        return self.kernel_hz() / clocks


class UartV1(Uart):
    """USART of the F4: reading SR, then DR, clears the overrun."""

    def __init__(self, name: str, base: int, gate: Gate, *, irq: int, host_baud: int) -> None:
        registers = {
            0x00: Register("SR", 0xC0, mask(5, 6, 8, 9), mask((9, 0))),
            0x04: Register("DR", 0, 0x1FF),
            0x08: Register("BRR", 0, 0xFFFF),
            0x0C: Register("CR1", 0, mask((13, 0), 15)),
            0x10: Register("CR2", 0, 0x7F6F),
            0x14: Register("CR3", 0, 0xFFF),
            0x18: Register("GTPR", 0, 0xFFFF),
        }
        super().__init__(name, base, registers, gate, irq=irq, host_baud=host_baud)
        self._status_was_read = False
        self.on_read["SR"] = self._read_sr
        self.on_read["DR"] = self._read_dr
        self.on_write["DR"] = lambda old, new: self._send(new)

    @property
    def baud(self) -> float:
        if self.values["CR1"] >> 15 & 1:
            raise ChipViolation(f"{self.name}_CR1: OVER8 is not modelled")
        return self._divided(self.values["BRR"])

    @property
    def _enabled(self) -> bool:
        return bool(self.values["CR1"] >> 13 & 1)

    @property
    def _transmitter_on(self) -> bool:
        return bool(self.values["CR1"] >> 3 & 1)

    @property
    def _receiver_on(self) -> bool:
        return bool(self.values["CR1"] >> 2 & 1)

    def _read_sr(self) -> int:
        self._status_was_read = True
        return self._status()

    def _read_dr(self) -> int:
        if self._status_was_read:
            self._overrun = False
        self._status_was_read = False
        return self._take()


class UartV2(Uart):
    """USART of F7, L4 and H7; `fifo` where FIFOEN and PRESC exist (L4+, H7)."""

    def __init__(self, name: str, base: int, gate: Gate, *, irq: int, host_baud: int, fifo: bool) -> None:
        cr1 = mask((28, 0)) | (mask((31, 29)) if fifo else 0)
        registers = {
            0x00: Register("CR1", 0, cr1),
            0x04: Register("CR2", 0, 0xFFFFFF79),
            0x08: Register("CR3"),
            0x0C: Register("BRR", 0, 0xFFFFF),
            0x18: Register("RQR", 0, 0x1F),
            0x1C: Register("ISR", 0xC0, 0, mask((27, 0))),
            0x20: Register("ICR", 0, mask((13, 0), 17, 20)),
            0x24: Register("RDR", 0, 0, 0x1FF),
            0x28: Register("TDR", 0, 0x1FF),
        }
        if fifo:
            registers[0x2C] = Register("PRESC", 0, 0xF)
        super().__init__(name, base, registers, gate, irq=irq, host_baud=host_baud)
        self.on_write["CR1"] = self._write_cr1
        self.on_write["BRR"] = lambda old, new: self._require_disabled("BRR")
        self.on_write["CR2"] = lambda old, new: self._require_disabled("CR2")
        self.on_write["PRESC"] = lambda old, new: self._require_disabled("PRESC")
        self.on_read["ISR"] = lambda: (
            self._status() | self._transmitter_ready << 21 | self._receiver_ready << 22
        )
        self.on_write["ICR"] = self._write_icr
        self.on_read["RDR"] = self._take
        self.on_write["TDR"] = lambda old, new: self._send(new)
        self.on_write["RQR"] = self._write_rqr

    @property
    def baud(self) -> float:
        if self.values["CR1"] >> 15 & 1:
            raise ChipViolation(f"{self.name}_CR1: OVER8 is not modelled")
        return self._divided(self.values["BRR"] & 0xFFFF) / self._prescaler

    @property
    def _prescaler(self) -> int:
        code = self.values.get("PRESC", 0)
        return (1, 2, 4, 6, 8, 10, 12, 16, 32, 64, 128, 256)[code]

    @property
    def _enabled(self) -> bool:
        return bool(self.values["CR1"] & 1)

    @property
    def _transmitter_on(self) -> bool:
        return bool(self.values["CR1"] >> 3 & 1)

    @property
    def _receiver_on(self) -> bool:
        return bool(self.values["CR1"] >> 2 & 1)

    @property
    def _transmitter_ready(self) -> int:
        return int(self._enabled and self._transmitter_on)

    @property
    def _receiver_ready(self) -> int:
        return int(self._enabled and self._receiver_on)

    def _require_disabled(self, register: str) -> None:
        if self._enabled:
            raise ChipViolation(f"{self.name}_{register} is written while the UART is on (UE)")

    def _write_cr1(self, old: int, new: int) -> None:
        locked = mask((13, 12), 15, (28, 28), 29)  # M0, WAKE..., OVER8, M1, FIFOEN
        if old & 1 and new & 1 and (old ^ new) & locked:
            raise ChipViolation(f"{self.name}_CR1: frame format or FIFO changes while the UART is on (UE)")
        self._depth = 8 if new >> 29 & 1 else 1
        if not new & 1:
            self._received.clear()
            self._overrun = False

    def _write_icr(self, _old: int, new: int) -> None:
        if new & ORE:
            self._overrun = False
        self.values["ICR"] = 0

    def _write_rqr(self, _old: int, new: int) -> None:
        if new >> 3 & 1:
            self._received.clear()
        self.values["RQR"] = 0


class Lpuart(UartV2):
    """LPUART1: the same registers, another divisor (RM0432, "LPUART baud rate generation")."""

    @property
    def baud(self) -> float:
        divisor = self.values["BRR"]
        if divisor < 0x300:
            raise ChipViolation(f"{self.name}_BRR: divisor {divisor:#x}, at least 0x300")
        baud = 256 * self.kernel_hz() / self._prescaler / divisor
        if not 3 * baud <= self.kernel_hz() / self._prescaler <= 4096 * baud:
            raise ChipViolation(f"{self.name}: {self.kernel_hz()} Hz is not 3 to 4096 times {baud:.0f} baud")
        return baud
