# SPDX-License-Identifier: Apache-2.0
"""A board: the CPU of `unicorn`, the memory and peripherals of its chip, and a host on its serial port."""

from __future__ import annotations

import random
from collections import deque
from pathlib import Path

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

from tests.unicorn_board.core import (
    FIRST_INTERRUPT,
    HARD_FAULT,
    LINE_BYTES,
    SYSTICK_EXCEPTION,
    enter_exception,
    leave_exception,
)
from tests.unicorn_board.facts import BoardFacts
from tests.unicorn_board.image import Image
from tests.unicorn_board.peripherals import Peripherals
from tests.unicorn_board.registers import ChipViolation
from tests.unicorn_board.timeline import Timeline
from tests.unicorn_board.uart import BITS_PER_FRAME

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
        self._time = Timeline(facts.reset_hz)
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
        self._image = Image(elf)
        self._program()
        self._start_chip()

    def send(self, data: bytes) -> None:
        """The host sends `data`, one byte after the other at its bit rate."""
        start = max(self._time.now, self._line_free_s)
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
            if self.chip.system.reset_requested:
                self._reset()
            elif self._exit_requested:
                self._leave()
            elif self._asleep() and not self._wake():
                return

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

    def _program(self) -> None:
        for address, data in self._image.parts:
            if not FLASH <= address <= FLASH + self.facts.chip.flash_bytes - len(data):
                raise ChipViolation(
                    f"the image has {len(data)} bytes at {address:#010x}, outside of the flash"
                )
            self._uc.mem_write(address, data)

    def _reset(self) -> None:
        self.chip.uart.require_idle()
        self.resets += 1
        if self.chip.system.data_cache_on:
            self._lose_cached_writes()
        self._start_chip()

    def _lose_cached_writes(self) -> None:
        """What no one has cleaned out of the data cache may never have reached the RAM behind it."""
        for memory in self.facts.chip.ram:
            if memory.cached:
                end = memory.origin + memory.bytes
                kept = [line for line in self.chip.system.cleaned_lines if memory.origin <= line < end]
                lines = {line: bytes(self._uc.mem_read(line, LINE_BYTES)) for line in kept}
                self._uc.mem_write(memory.origin, self._noise.randbytes(memory.bytes))
                for line, data in lines.items():
                    self._uc.mem_write(line, data)

    def _start_chip(self) -> None:
        before = getattr(self, "chip", None)
        self.chip = Peripherals(self.facts, self.baud, self._time, self._stuck, self.output.append, before)
        self._rebase()
        self._uc.reg_write(UC_ARM_REG_IPSR, 0)
        self._uc.reg_write(UC_ARM_REG_PRIMASK, 0)
        self._uc.reg_write(UC_ARM_REG_CONTROL, 0)
        stack, entry = (int.from_bytes(self._uc.mem_read(FLASH + at, 4), "little") for at in (0, 4))
        self._uc.reg_write(UC_ARM_REG_SP, stack)
        self._uc.reg_write(UC_ARM_REG_PC, entry | 1)

    # Time.

    def _rebase(self) -> None:
        self._time.change_clock(self.chip.clocks.core_hz)
        self._plan_stop()

    def _plan_stop(self) -> None:
        """The CPU stops at the next arrival of a byte, or the next wrap of SysTick."""
        arrival = self._time.cycles_at(self._incoming[0][0]) if self._incoming else _NEVER
        wrap = self.chip.system.next_systick()
        self._stop_at = min(arrival, _NEVER if wrap is None else wrap)

    def _take_arrivals(self) -> None:
        while self._incoming and self._incoming[0][0] <= self._time.now:
            self.chip.receive(self._incoming.popleft()[1])
        self._plan_stop()

    # Exceptions.

    def _can_enter(self) -> bool:
        reg_read = self._uc.reg_read
        busy = reg_read(UC_ARM_REG_PRIMASK) & 1 or reg_read(UC_ARM_REG_IPSR)
        return not busy and not reg_read(UC_ARM_REG_XPSR) & _IT_STATE

    def _enter_pending(self) -> None:
        number = self.chip.pending()
        if number is None:
            return
        if not self._can_enter():
            self._stop_at = self._time.cycles + 1  # look again behind the next block
            return
        if number == SYSTICK_EXCEPTION:
            self.chip.system.take_systick()
        else:
            self.chip.system.software_pending.discard(number - FIRST_INTERRUPT)
        enter_exception(self._uc, number, self._handler(number))

    def _handler(self, number: int) -> int:
        table = self.chip.system.vector_table or FLASH
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
        while self.chip.pending() is None:
            wrap = self.chip.system.next_systick()
            moments = [self._incoming[0][0]] if self._incoming else []
            if wrap is not None and self._incoming:
                moments.append(self._time.moment_of(wrap))
            if not moments:
                return False
            self._time.skip_to(min(moments))
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
        self.chip.system.record_fault(address)
        enter_exception(self._uc, HARD_FAULT, self._handler(HARD_FAULT))

    def _stop(self) -> None:
        self._stopped = True
        self._uc.emu_stop()

    def _on_block(self, _uc: Uc, address: int, size: int, _data: object) -> None:
        if self._time.cycles >= self._stop_at and not self._stopped:
            self._stop()
            return
        self._place = address
        self._time.cycles += size >> 1
        self._blocks += 1
        if not self.chip.system.fpu_on:
            try:
                self._require_no_fpu()
            except ChipViolation as violation:
                self._fail(violation)
        if self._blocks > _MAX_BLOCKS:
            self._fail(ChipViolation("the firmware neither sleeps nor answers"))

    def _require_no_fpu(self) -> None:
        if self._uc.reg_read(UC_ARM_REG_CONTROL) & 4:
            raise ChipViolation("a floating-point instruction runs before the FPU is on (CPACR)")

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
            block, at = self.chip.block_at(base + offset, size)
            value = block.read(at)
        except ChipViolation as violation:
            self._fail(violation)
            return 0
        if block is self.chip.clocks.rcc and self.chip.clocks.core_hz != self._time.hz:
            self._rebase()
        return value & 0xFFFFFFFF

    def _write(self, _uc: Uc, offset: int, size: int, value: int, base: int) -> None:
        if self._violation is not None:
            return
        try:
            block, at = self.chip.block_at(base + offset, size)
            if block is self.chip.system and not self.chip.system.fpu_on:
                self._require_no_fpu()  # the write may switch it on
            block.write(at, value & 0xFFFFFFFF)
        except ChipViolation as violation:
            self._fail(violation)
            return
        if block in self.chip.clocks.blocks and self.chip.clocks.core_hz != self._time.hz:
            self._rebase()
        if block is self.chip.system:
            self._stop_at = 0 if self.chip.pending() is not None else self._stop_at
            if self.chip.system.reset_requested:
                self._stop()

    def _fail(self, violation: ChipViolation) -> None:
        if self._violation is None:
            self._violation = violation
        self._stop()

    def function_at(self, address: int) -> str:
        """The function that `address` lies in."""
        return self._image.function_at(address)
