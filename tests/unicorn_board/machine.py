# SPDX-License-Identifier: Apache-2.0
"""A board: the CPU of `unicorn`, the memory and peripherals of its chip, and a host on its serial port."""

from __future__ import annotations

import bisect
import math
import random
from collections import deque
from pathlib import Path

from elftools.elf.elffile import ELFFile
from unicorn import (
    UC_ARCH_ARM,
    UC_HOOK_BLOCK,
    UC_HOOK_INTR,
    UC_HOOK_MEM_INVALID,
    UC_MODE_MCLASS,
    UC_MODE_THUMB,
    UC_PROT_EXEC,
    UC_PROT_READ,
    UC_PROT_WRITE,
    Uc,
    UcError,
)
from unicorn.arm_const import (
    UC_ARM_REG_CONTROL,
    UC_ARM_REG_IPSR,
    UC_ARM_REG_PC,
    UC_ARM_REG_PRIMASK,
    UC_ARM_REG_SP,
    UC_ARM_REG_XPSR,
    UC_CPU_ARM_CORTEX_M4,
    UC_CPU_ARM_CORTEX_M7,
)

from tests.unicorn_board.clocks import Clocks
from tests.unicorn_board.core import (
    FIRST_INTERRUPT,
    HARD_FAULT,
    LINE_BYTES,
    SYSTICK_EXCEPTION,
    CycleCounter,
    SystemControl,
    Tim2,
    enter_exception,
    leave_exception,
)
from tests.unicorn_board.facts import BoardFacts, Pin, UartFacts
from tests.unicorn_board.gpio import Gpio
from tests.unicorn_board.registers import ChipViolation, Gate, RegisterBlock
from tests.unicorn_board.uart import BITS_PER_FRAME, Lpuart, Uart, UartV1, UartV2

FLASH = 0x0800_0000
_PERIPHERALS = (0x4000_0000, 0x2000_0000)
_PRIVATE = (0xE000_0000, 0x0010_0000)
_EXCEPTION_EXIT = 8  # unicorn's number for a return from an exception
_NOWHERE = 0xFFFF_FFF0
_WFI = b"\x30\xbf"
# Blocks between two signs of life: the longest bounded wait of a driver takes far less.
_MAX_BLOCKS = 3_000_000
_IT_STATE = 0x0600_FC00
_NEVER = 1 << 62


class Machine:
    """A board from power-on; `run` lets it work until it sleeps and nothing is on its way to it.

    Args:
        facts: What the board is.
        elf: The firmware.
        baud: Bit rate of the host.
        stuck: Status bits that never come (`Clocks.FLAGS`) and counters that stand still (DWT, TIM2,
            SYSTICK).
        faults: The firmware's fault handler runs when the core faults; otherwise that is a violation.
    """

    def __init__(
        self,
        facts: BoardFacts,
        elf: Path,
        baud: int,
        stuck: frozenset[str] = frozenset(),
        *,
        faults: bool = False,
    ) -> None:
        self.facts = facts
        self._faults = faults
        self.baud = baud
        self.output = bytearray()
        self.resets = 0
        self._stuck = stuck
        self._cycles = 0
        self._mark_cycles, self._mark_s, self._mark_hz = 0, 0.0, facts.reset_hz
        self._stop_at = 0
        self._blocks = 0
        self._place = FLASH
        self._violation: ChipViolation | None = None
        self._bad_address: int | None = None
        self._exit_requested = False
        self._incoming: deque[tuple[float, int]] = deque()
        self._line_free_s = 0.0
        self._noise = random.Random(1)
        self._uc = self._new_cpu()
        self._symbols = self._load(elf)
        self._power_on()

    def send(self, data: bytes) -> None:
        """The host sends `data`, one byte after the other at its bit rate."""
        start = max(self.now, self._line_free_s)
        for number, byte in enumerate(data, 1):
            self._incoming.append((start + number * BITS_PER_FRAME / self.baud, byte))
        self._line_free_s = start + len(data) * BITS_PER_FRAME / self.baud

    def run(self) -> None:
        """Run until the firmware sleeps and nothing will wake it.

        Raises:
            ChipViolation: The firmware did what the chip does not forgive.
        """
        self._blocks = 0
        while True:
            self._take_arrivals()
            self._enter_pending()
            self._step()
            if self.system.reset_requested:
                self._reset()
            elif self._exit_requested:
                self._leave()
            elif self._asleep() and not self._wake():
                return

    @property
    def now(self) -> float:
        """Seconds since power-on."""
        return self._mark_s + (self._cycles - self._mark_cycles) / self._mark_hz

    @property
    def uart(self) -> Uart:
        """The UART of the board's serial port."""
        return self.uarts[self.facts.uart]

    def why_silent(self) -> str:
        """What keeps a sleeping board from answering."""
        uart = self.uart
        if uart.holds_byte and not uart.interrupt:
            return f"{uart.name} holds a byte and raises no interrupt (RXNEIE)"
        if uart.interrupt and uart.irq not in self.system.enabled:
            return f"{uart.name} raises interrupt {uart.irq}, which NVIC does not let through"
        return "the firmware sleeps and does not answer"

    def _new_cpu(self) -> Uc:
        chip = self.facts.chip
        uc = Uc(UC_ARCH_ARM, UC_MODE_THUMB | UC_MODE_MCLASS)
        is_m7 = chip.core.name == "cortex-m7"
        uc.ctl_set_cpu_model(UC_CPU_ARM_CORTEX_M7 if is_m7 else UC_CPU_ARM_CORTEX_M4)
        uc.mem_map(FLASH, chip.flash_bytes, UC_PROT_READ | UC_PROT_EXEC)
        # What RAM holds after power-on is chance; it must not be zero by chance.
        for memory in chip.ram:
            access = UC_PROT_READ | UC_PROT_WRITE | (UC_PROT_EXEC if memory.executable else 0)
            uc.mem_map(memory.origin, memory.bytes, access)
            uc.mem_write(memory.origin, self._noise.randbytes(memory.bytes))
        for base, size in (_PERIPHERALS, _PRIVATE):
            uc.mmio_map(base, size, self._read, base, self._write, base)
        uc.hook_add(UC_HOOK_BLOCK, self._on_block)
        uc.hook_add(UC_HOOK_INTR, self._on_exception)
        uc.hook_add(UC_HOOK_MEM_INVALID, self._on_bad_access)
        return uc

    def _load(self, elf: Path) -> list[tuple[int, str]]:
        """Write the image into flash; returns where each function starts."""
        with elf.open("rb") as stream:
            file = ELFFile(stream)
            for segment in file.iter_segments("PT_LOAD"):
                data = segment.data()
                if data:
                    self._program(segment["p_paddr"], data)
            table = file.get_section_by_name(".symtab")
            functions = [s for s in table.iter_symbols() if s["st_info"]["type"] == "STT_FUNC"]
            return sorted((s["st_value"] & ~1, s.name) for s in functions)

    def _program(self, address: int, data: bytes) -> None:
        if not FLASH <= address <= FLASH + self.facts.chip.flash_bytes - len(data):
            raise ChipViolation(f"the image has {len(data)} bytes at {address:#010x}, outside of the flash")
        self._uc.mem_write(address, data)

    def _power_on(self) -> None:
        self._start_chip(software=False)

    def _reset(self) -> None:
        self.uart.require_idle()
        self.resets += 1
        if self.system.data_cache_on:
            self._lose_cached_writes()
        self._start_chip(software=True)

    def _lose_cached_writes(self) -> None:
        """What no one has cleaned out of the data cache may never have reached the RAM behind it."""
        for memory in self.facts.chip.ram:
            if memory.cached:
                end = memory.origin + memory.bytes
                kept = [line for line in self.system.cleaned_lines if memory.origin <= line < end]
                lines = {line: bytes(self._uc.mem_read(line, LINE_BYTES)) for line in kept}
                self._uc.mem_write(memory.origin, self._noise.randbytes(memory.bytes))
                for line, data in lines.items():
                    self._uc.mem_write(line, data)

    def _start_chip(self, *, software: bool) -> None:
        chip, stuck = self.facts.chip, self._stuck
        supply = (
            {"supply_set": True} if software and hasattr(getattr(self, "clocks", None), "supply_set") else {}
        )
        self.clocks: Clocks = chip.clocks(stuck=stuck & frozenset(_flags(chip.clocks)), **supply)
        self.clocks.now = lambda: self.now
        self.clocks.set_reset_cause(software=software)
        self.system = SystemControl(chip.core, lambda: self._cycles, stuck)
        counter = CycleCounter(chip.core, self.system, lambda: self._cycles, stuck)
        timer = Tim2(chip.tim2_enable, self._timer_ticks, stuck)
        self.ports = {
            letter: Gpio(letter, *self._port_at(index), analog_reset=chip.analog_reset)
            for index, letter in enumerate(chip.ports)
        }
        self.uarts = {name: self._new_uart(name, uart) for name, uart in chip.uarts.items()}
        blocks = (
            *self.clocks.blocks,
            self.system,
            counter,
            timer,
            *self.ports.values(),
            *self.uarts.values(),
        )
        self._blocks_by_base: list[RegisterBlock] = sorted(blocks, key=lambda block: block.base)
        self._bases = [block.base for block in self._blocks_by_base]
        self._rebase()
        self._uc.reg_write(UC_ARM_REG_IPSR, 0)
        self._uc.reg_write(UC_ARM_REG_PRIMASK, 0)
        self._uc.reg_write(UC_ARM_REG_CONTROL, 0)
        stack, entry = (int.from_bytes(self._uc.mem_read(FLASH + at, 4), "little") for at in (0, 4))
        self._uc.reg_write(UC_ARM_REG_SP, stack)
        self._uc.reg_write(UC_ARM_REG_PC, entry | 1)

    def _port_at(self, index: int) -> tuple[int, Gate]:
        chip = self.facts.chip
        return chip.gpio_base + 0x400 * index, Gate(chip.gpio_enable, index)

    def _new_uart(self, name: str, facts: UartFacts) -> Uart:
        where = {"irq": facts.irq, "host_baud": self.baud}
        uart: Uart
        if facts.kind == "v1":
            uart = UartV1(name, facts.base, facts.gate, **where)
        elif facts.kind == "lpuart":
            uart = Lpuart(name, facts.base, facts.gate, fifo=True, **where)
        else:
            uart = UartV2(name, facts.base, facts.gate, fifo=facts.kind == "fifo", **where)
        uart.kernel_hz = lambda: self.clocks.kernel_hz(facts.kernel)
        uart.now = lambda: self.now
        uart.skip_to = self._skip_to
        uart.on_sent = self.output.append
        uart.require_wired = self._require_wired
        return uart

    def _require_wired(self, uart: Uart, direction: str) -> None:
        if uart is not self.uart:
            raise ChipViolation(f"{uart.name} is used, the board's serial port is {self.facts.uart}")
        pin: Pin = self.facts.tx if direction == "TX" else self.facts.rx
        if pin.port == "G" and pin.number >= 2 and not getattr(self.clocks, "io_supply_2", True):
            raise ChipViolation(f"P{pin.port}{pin.number} is cut off from its supply (PWR_CR2 IOSV)")
        self.ports[pin.port].require_function(pin.number, pin.function, f"{uart.name} {direction}")

    # Time: cycles of the core; seconds since the last change of its clock.

    def _timer_ticks(self) -> int:
        return self._cycles * self.clocks.timer_hz // max(1, self._mark_hz)

    def _rebase(self) -> None:
        self._mark_s, self._mark_cycles, self._mark_hz = self.now, self._cycles, self.clocks.core_hz
        self._plan_stop()

    def _skip_to(self, moment_s: float) -> None:
        self._cycles = max(self._cycles, self._cycles_at(moment_s))

    def _cycles_at(self, moment_s: float) -> int:
        # One cycle to spare: seconds are rounded, and the moment must not lie ahead afterwards.
        return self._mark_cycles + math.ceil((moment_s - self._mark_s) * self._mark_hz) + 1

    def _plan_stop(self) -> None:
        """The CPU stops at the next arrival of a byte, or the next wrap of SysTick."""
        arrival = self._cycles_at(self._incoming[0][0]) if self._incoming else _NEVER
        wrap = self.system.next_systick()
        self._stop_at = min(arrival, _NEVER if wrap is None else wrap)

    def _take_arrivals(self) -> None:
        while self._incoming and self._incoming[0][0] <= self.now:
            if self.uart.gate is not None:
                self.clocks.require_clock(self.uart)
            self.uart.arrive(self._incoming.popleft()[1])
        self._plan_stop()

    # Exceptions.

    def _pending(self) -> int | None:
        """Number of the exception that would be taken now; all have the same priority."""
        if self.system.systick_pending():
            return SYSTICK_EXCEPTION
        for uart in self.uarts.values():
            if uart.interrupt and uart.irq in self.system.enabled:
                return FIRST_INTERRUPT + uart.irq
        raised = self.system.software_pending & self.system.enabled
        return FIRST_INTERRUPT + min(raised) if raised else None

    def _can_enter(self) -> bool:
        reg_read = self._uc.reg_read
        busy = reg_read(UC_ARM_REG_PRIMASK) & 1 or reg_read(UC_ARM_REG_IPSR)
        return not busy and not reg_read(UC_ARM_REG_XPSR) & _IT_STATE

    def _enter_pending(self) -> None:
        number = self._pending()
        if number is None:
            return
        if not self._can_enter():
            self._stop_at = self._cycles + 1  # look again behind the next block
            return
        if number == SYSTICK_EXCEPTION:
            self.system.take_systick()
        else:
            self.system.software_pending.discard(number - FIRST_INTERRUPT)
        enter_exception(self._uc, number, self._handler(number))

    def _handler(self, number: int) -> int:
        table = self.system.vector_table or FLASH
        handler = int.from_bytes(self._uc.mem_read(table + 4 * number, 4), "little")
        if not handler & 1:
            raise ChipViolation(f"exception {number} has no handler in the vector table: {handler:#010x}")
        return handler

    def _leave(self) -> None:
        self._exit_requested = False
        exc_return = self._uc.reg_read(UC_ARM_REG_PC) | 1
        self._uc.reg_write(UC_ARM_REG_PC, leave_exception(self._uc, exc_return) | 1)

    def _asleep(self) -> bool:
        """Whether the CPU stopped behind a WFI."""
        pc = self._uc.reg_read(UC_ARM_REG_PC)
        return self._slept and bytes(self._uc.mem_read(pc - 2, 2)) == _WFI

    def _wake(self) -> bool:
        """Let time pass until an interrupt ends the sleep, masked or not; False if there will be none."""
        while self._pending() is None:
            wrap = self.system.next_systick()
            moments = [self._incoming[0][0]] if self._incoming else []
            if wrap is not None and self._incoming:
                moments.append(self._mark_s + (wrap - self._mark_cycles) / self._mark_hz)
            if not moments:
                return False
            self._skip_to(min(moments))
            self._take_arrivals()
        return True

    # The CPU.

    def _step(self) -> None:
        self._stopped = False
        pc = self._uc.reg_read(UC_ARM_REG_PC)
        try:
            self._uc.emu_start(pc | 1, _NOWHERE)
        except UcError as error:
            if self._violation is None:
                self._fault(error)
        if self._violation is not None:
            raise ChipViolation(f"{self._violation} (in {self.function_at(self._place)})")
        self._slept = not self._stopped

    def _fault(self, error: UcError) -> None:
        address, self._bad_address = self._bad_address, None
        if not self._faults:
            what = str(error) if address is None else f"access to {address:#010x}, where nothing answers"
            self._violation = ChipViolation(f"{what}: the core faults")
            return
        self._stopped = True
        self.system.record_fault(address)
        enter_exception(self._uc, HARD_FAULT, self._handler(HARD_FAULT))

    def _stop(self) -> None:
        self._stopped = True
        self._uc.emu_stop()

    def _on_block(self, _uc: Uc, address: int, size: int, _data: object) -> None:
        if self._cycles >= self._stop_at and not self._stopped:
            self._stop()
            return
        self._place = address
        self._cycles += size >> 1
        self._blocks += 1
        if not self.system.fpu_on:
            self._require_no_fpu()
        if self._blocks > _MAX_BLOCKS:
            self._fail(ChipViolation("the firmware neither sleeps nor answers"))

    def _require_no_fpu(self) -> None:
        if self._uc.reg_read(UC_ARM_REG_CONTROL) & 4:
            self._fail(ChipViolation("a floating-point instruction runs before the FPU is on (CPACR)"))

    def _on_exception(self, _uc: Uc, number: int, _data: object) -> None:
        if number == _EXCEPTION_EXIT:
            self._exit_requested = True
            self._stop()
        else:
            self._fail(
                ChipViolation(f"the core takes exception {number}: undefined instruction, SVC or BKPT")
            )

    def _on_bad_access(
        self, _uc: Uc, access: int, address: int, size: int, _value: int, _data: object
    ) -> bool:
        self._bad_address = address
        return False

    def _read(self, _uc: Uc, offset: int, size: int, base: int) -> int:
        if self._violation is not None:
            return 0
        try:
            block, at = self._block_at(base + offset, size)
            value = block.read(at)
        except ChipViolation as violation:
            self._fail(violation)
            return 0
        if block is self.clocks.rcc and self.clocks.core_hz != self._mark_hz:
            self._rebase()
        return value & 0xFFFFFFFF

    def _write(self, _uc: Uc, offset: int, size: int, value: int, base: int) -> None:
        if self._violation is not None:
            return
        try:
            block, at = self._block_at(base + offset, size)
            block.write(at, value & 0xFFFFFFFF)
        except ChipViolation as violation:
            self._fail(violation)
            return
        if block in self.clocks.blocks and self.clocks.core_hz != self._mark_hz:
            self._rebase()
        if block is self.system:
            self._stop_at = 0 if self._pending() is not None else self._stop_at
            if self.system.reset_requested:
                self._stop()

    def _block_at(self, address: int, size: int) -> tuple[RegisterBlock, int]:
        index = bisect.bisect_right(self._bases, address) - 1
        block = self._blocks_by_base[index] if index >= 0 else None
        if block is None or address >= block.base + block.size:
            raise ChipViolation(f"access to {address:#010x}, where the model of this chip has nothing")
        if size != 4:
            raise ChipViolation(f"access of {size} bytes to {block.name_at(address - block.base)}")
        self.clocks.require_clock(block)
        return block, address - block.base

    def _fail(self, violation: ChipViolation) -> None:
        if self._violation is None:
            self._violation = violation
        self._stop()

    def function_at(self, address: int) -> str:
        """The function that `address` lies in."""
        index = bisect.bisect_right(self._symbols, (address, "\xff")) - 1
        return self._symbols[index][1] if index >= 0 else f"{address:#010x}"


def _flags(clocks: object) -> tuple[str, ...]:
    return getattr(clocks, "func", clocks).FLAGS  # type: ignore[attr-defined]
