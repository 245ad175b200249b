# SPDX-License-Identifier: Apache-2.0
"""What belongs to the core: system control block, interrupts, SysTick, cycle counter, caches; and TIM2.

Sources: Armv7-M Architecture Reference Manual (DDI 0403), part B; Cortex-M7 technical reference manual.
    `unicorn` has
the CPU alone, so exceptions are entered and left here.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from unicorn import Uc
from unicorn.arm_const import (
    UC_ARM_REG_CONTROL,
    UC_ARM_REG_D0,
    UC_ARM_REG_D1,
    UC_ARM_REG_D2,
    UC_ARM_REG_D3,
    UC_ARM_REG_D4,
    UC_ARM_REG_D5,
    UC_ARM_REG_D6,
    UC_ARM_REG_D7,
    UC_ARM_REG_FPSCR,
    UC_ARM_REG_IPSR,
    UC_ARM_REG_LR,
    UC_ARM_REG_PC,
    UC_ARM_REG_R0,
    UC_ARM_REG_R1,
    UC_ARM_REG_R2,
    UC_ARM_REG_R3,
    UC_ARM_REG_R12,
    UC_ARM_REG_SP,
    UC_ARM_REG_XPSR,
)

from tests.unicorn_board.registers import ChipViolation, Gate, Register, RegisterBlock, mask

FPU_FULL_ACCESS = 0xF << 20
_LAR_KEY = 0xC5ACCE55
_RESET_KEY = 0x05FA
LINE_BYTES = 32  # of a Cortex-M7's caches
HARD_FAULT = 3
SYSTICK_EXCEPTION = 15
FIRST_INTERRUPT = 16
_FRAME = (
    UC_ARM_REG_R0, UC_ARM_REG_R1, UC_ARM_REG_R2, UC_ARM_REG_R3, UC_ARM_REG_R12, UC_ARM_REG_LR,
)  # fmt: skip
_FP_FRAME = (
    UC_ARM_REG_D0, UC_ARM_REG_D1, UC_ARM_REG_D2, UC_ARM_REG_D3, UC_ARM_REG_D4, UC_ARM_REG_D5, UC_ARM_REG_D6,
    UC_ARM_REG_D7,
)  # fmt: skip
_THREAD, _THREAD_FP = 0xFFFFFFF9, 0xFFFFFFE9
_FPCA = 1 << 2


@dataclass(frozen=True)
class CoreFacts:
    """A Cortex-M4 or M7; `data_cache` and `instruction_cache` are (sets, ways), None without caches."""

    name: str
    cpuid: int
    data_cache: tuple[int, int] | None = None


CORTEX_M4 = CoreFacts("cortex-m4", 0x410FC241)
CORTEX_M7_F767 = CoreFacts("cortex-m7", 0x411FC270, (128, 4))
CORTEX_M7_H743 = CoreFacts("cortex-m7", 0x411FC271, (128, 4))


class SystemControl(RegisterBlock):
    """0xE000E000: SysTick, NVIC and SCB; `cycles` counts core cycles, `broken` names what stands still."""

    size = 0x1000

    def __init__(self, core: CoreFacts, cycles: Callable[[], int], broken: frozenset[str]) -> None:
        caches = mask(16, 17) if core.data_cache else 0
        registers = {
            0x008: Register("ACTLR"),
            0x010: Register("SYST_CSR", 0, mask((2, 0)), mask(16)),
            0x014: Register("SYST_RVR", 0, 0xFFFFFF),
            0x018: Register("SYST_CVR", 0, 0xFFFFFF),
            0xD00: Register("CPUID", core.cpuid, 0),
            0xD04: Register("ICSR", 0, mask(31, 28, 27, 26, 25)),
            0xD08: Register("VTOR", 0, 0xFFFFFF80),
            0xD0C: Register("AIRCR", 0xFA050000),
            0xD10: Register("SCR", 0, mask(1, 2, 4)),
            0xD14: Register(
                "CCR", 0x200 | (0x40000 if core.data_cache else 0), mask(0, 1, 3, 4, 8, 9) | caches, mask(18)
            ),
            0xD24: Register("SHCSR", 0, mask((18, 16)), mask((15, 0))),
            0xD28: Register("CFSR", 0, 0),
            0xD2C: Register("HFSR", 0, 0),
            0xD34: Register("MMFAR", 0, 0),
            0xD38: Register("BFAR", 0, 0),
            0xD88: Register("CPACR", 0, FPU_FULL_ACCESS),
            0xDFC: Register("DEMCR", 0, mask(24, (10, 0))),
            0xF34: Register("FPCCR", 0xC0000000),
            **{0x100 + 4 * n: Register(f"NVIC_ISER{n}") for n in range(8)},
            **{0x180 + 4 * n: Register(f"NVIC_ICER{n}") for n in range(8)},
            **{0x200 + 4 * n: Register(f"NVIC_ISPR{n}") for n in range(8)},
            **{0x280 + 4 * n: Register(f"NVIC_ICPR{n}") for n in range(8)},
            **{0x400 + 4 * n: Register(f"NVIC_IPR{n}") for n in range(60)},
            **{0xD18 + 4 * n: Register(f"SHPR{n + 1}") for n in range(3)},
        }
        if core.data_cache:
            registers |= {
                0xD78: Register("CLIDR", 0x09000003, 0),
                0xD7C: Register("CTR", 0x8303C003, 0),
                0xD80: Register("CCSIDR", 0, 0),
                0xD84: Register("CSSELR", 0, 0xF),
                0xF50: Register("ICIALLU"),
                0xF58: Register("ICIMVAU"),
                0xF5C: Register("DCIMVAC"),
                0xF60: Register("DCISW"),
                0xF68: Register("DCCMVAC"),
                0xF70: Register("DCCIMVAC"),
                0xF74: Register("DCCISW"),
                0xF90: Register("ITCMCR", 1),
                0xF94: Register("DTCMCR", 1),
            }
        super().__init__("SCS", 0xE000E000, registers)
        self.core = core
        self.reset_requested = False
        self.enabled: set[int] = set()
        self.software_pending: set[int] = set()
        self._cycles = cycles
        self._systick_broken = "SYSTICK" in broken
        self._systick_from = 0
        self._systick_wraps_seen = 0
        self.cleaned_lines: set[int] = set()
        self._instructions_invalidated = False
        self._sets_invalidated: set[int] = set()
        self._attach()

    @property
    def data_cache_on(self) -> bool:
        return bool(self.values["CCR"] >> 16 & 1)

    def record_fault(self, address: int | None) -> None:
        """Bus fault at `address`, else undefined instruction; either is a HardFault (B3.2.15, B3.2.16)."""
        self.values["CFSR"] |= 1 << 16 if address is None else 1 << 15 | 1 << 9
        self.values["BFAR"] = address or 0
        self.values["HFSR"] |= 1 << 30

    @property
    def fpu_on(self) -> bool:
        return self.values["CPACR"] & FPU_FULL_ACCESS == FPU_FULL_ACCESS

    @property
    def vector_table(self) -> int:
        return self.values["VTOR"]

    def systick_pending(self) -> bool:
        """Whether the counter has wrapped since the last exception, and shall say so."""
        if self.values["SYST_CSR"] & 3 != 3 or self._systick_broken:
            return False
        return self._systick_wraps() > self._systick_wraps_seen

    def next_systick(self) -> int | None:
        """The cycle of the next wrap that raises an exception."""
        if self.values["SYST_CSR"] & 3 != 3 or self._systick_broken:
            return None
        return self._systick_from + (self._systick_wraps() + 1) * (self.values["SYST_RVR"] + 1)

    def take_systick(self) -> None:
        self._systick_wraps_seen = self._systick_wraps()

    def _systick_wraps(self) -> int:
        return (self._cycles() - self._systick_from) // (self.values["SYST_RVR"] + 1)

    def _attach(self) -> None:
        self.on_write["AIRCR"] = self._write_aircr
        self.on_write["SYST_CVR"] = lambda old, new: self._restart_systick()
        self.on_write["SYST_CSR"] = self._write_syst_csr
        self.on_read["SYST_CVR"] = self._read_cvr
        for n in range(8):
            self.on_write[f"NVIC_ISER{n}"] = lambda old, new, n=n: self.enabled.update(_numbers(n, new))
            self.on_write[f"NVIC_ICER{n}"] = lambda old, new, n=n: self.enabled.difference_update(
                _numbers(n, new)
            )
            self.on_write[f"NVIC_ISPR{n}"] = lambda old, new, n=n: self.software_pending.update(
                _numbers(n, new)
            )
            self.on_write[f"NVIC_ICPR{n}"] = lambda old, new, n=n: self.software_pending.difference_update(
                _numbers(n, new)
            )
        if self.core.data_cache:
            self.on_read["CCSIDR"] = self._read_ccsidr
            self.on_write["ICIALLU"] = lambda old, new: setattr(self, "_instructions_invalidated", True)
            self.on_write["DCISW"] = lambda old, new: self._sets_invalidated.add(new)
            self.on_write["CCR"] = self._write_ccr
            for name in ("DCCMVAC", "DCCIMVAC"):
                self.on_write[name] = lambda old, new: self.cleaned_lines.add(new & ~(LINE_BYTES - 1))

    def _write_aircr(self, _old: int, new: int) -> None:
        self.values["AIRCR"] = 0xFA050000
        if new >> 16 != _RESET_KEY:
            raise ChipViolation("SCB_AIRCR is written without its key")
        self.reset_requested = bool(new & 4)

    def _restart_systick(self) -> None:
        self._systick_from, self._systick_wraps_seen = self._cycles(), 0

    def _write_syst_csr(self, old: int, new: int) -> None:
        if new & 1 and not old & 1:
            if not new >> 2 & 1:
                raise ChipViolation("SYST_CSR: the external clock of SysTick is not modelled (CLKSOURCE)")
            self._restart_systick()

    def _read_cvr(self) -> int:
        if self._systick_broken or not self.values["SYST_CSR"] & 1:
            return 0
        period = self.values["SYST_RVR"] + 1
        return (self.values["SYST_RVR"] - (self._cycles() - self._systick_from)) % period

    def _read_ccsidr(self) -> int:
        assert self.core.data_cache is not None
        sets, ways = self.core.data_cache
        if self.values["CSSELR"] & 1:
            return 0xF0000001 | (2 * sets - 1) << 13 | (ways // 2 - 1) << 3
        return 0xF0000001 | (sets - 1) << 13 | (ways - 1) << 3

    def _write_ccr(self, old: int, new: int) -> None:
        rising = new & ~old
        if rising >> 17 & 1 and not self._instructions_invalidated:
            raise ChipViolation("SCB_CCR: the instruction cache is switched on without ICIALLU")
        if rising >> 16 & 1:
            assert self.core.data_cache is not None
            sets, ways = self.core.data_cache
            way_shift = 32 - (ways - 1).bit_length()
            wanted = {way << way_shift | line << 5 for way in range(ways) for line in range(sets)}
            if not wanted <= self._sets_invalidated:
                left = len(wanted - self._sets_invalidated)
                raise ChipViolation(
                    f"SCB_CCR: the data cache is switched on with {left} lines not invalidated"
                )


class CycleCounter(RegisterBlock):
    """0xE0001000: the cycle counter of DWT; a Cortex-M7 has a lock on it."""

    size = 0x1000

    def __init__(
        self,
        core: CoreFacts,
        system: SystemControl,
        cycles: Callable[[], int],
        broken: frozenset[str],
    ) -> None:
        registers = {
            0x000: Register("CTRL", 0x40000000, mask(0, (12, 5), (22, 16)), mask((31, 28))),
            0x004: Register("CYCCNT"),
            0xFB0: Register("LAR"),
            0xFB4: Register("LSR", 3, 0),
        }
        super().__init__("DWT", 0xE0001000, registers)
        self._system = system
        self._cycles = cycles
        self._locked = core.data_cache is not None
        self._broken = "DWT" in broken
        self._base = 0
        self.on_read["CYCCNT"] = self._count
        self.on_write["CYCCNT"] = self._set
        self.on_write["CTRL"] = self._write_ctrl
        self.on_write["LAR"] = self._write_lar

    def _count(self) -> int:
        running = self.values["CTRL"] & 1 and not self._broken
        if running and not self._system.values["DEMCR"] >> 24 & 1:
            raise ChipViolation("DWT: the cycle counter is read without DEMCR.TRCENA")
        return (self._cycles() - self._base) & 0xFFFFFFFF if running else 0

    def _set(self, _old: int, new: int) -> None:
        if not self._locked:
            self._base = self._cycles() - new

    def _write_ctrl(self, old: int, _new: int) -> None:
        if self._locked:
            self.values["CTRL"] = old  # what hardware does, so the counter stands still

    def _write_lar(self, _old: int, new: int) -> None:
        if new == _LAR_KEY:
            self._locked = False


class Tim2(RegisterBlock):
    """TIM2 as a free-running 32-bit counter; `ticks` counts its clock."""

    def __init__(self, gate_register: str, ticks: Callable[[], int], broken: frozenset[str]) -> None:
        registers = {
            0x00: Register("CR1", 0, 0x3FF),
            0x14: Register("EGR", 0, 0x5F),
            0x24: Register("CNT"),
            0x28: Register("PSC", 0, 0xFFFF),
            0x2C: Register("ARR", 0xFFFFFFFF),
        }
        super().__init__("TIM2", 0x40000000, registers, Gate(gate_register, 0))
        self._ticks = ticks
        self._broken = "TIM2" in broken
        self._from = 0
        self.on_read["CNT"] = self._count
        self.on_write["CR1"] = self._start

    def _start(self, old: int, new: int) -> None:
        if new & ~old & 1:
            self._from = self._ticks()

    def _count(self) -> int:
        if self._broken or not self.values["CR1"] & 1:
            return 0
        return (self._ticks() - self._from) // (self.values["PSC"] + 1) & 0xFFFFFFFF


def enter_exception(uc: Uc, number: int, handler: int) -> None:
    """Stack the frame and start the handler (DDI 0403, B1.5.6), from thread mode on the main stack."""
    sp, pc, xpsr = (uc.reg_read(reg) for reg in (UC_ARM_REG_SP, UC_ARM_REG_PC, UC_ARM_REG_XPSR))
    control = uc.reg_read(UC_ARM_REG_CONTROL)
    with_fpu = bool(control & _FPCA)
    frame_bytes = 104 if with_fpu else 32
    top = sp - frame_bytes
    realigned = top & 4
    top &= ~7
    words = [uc.reg_read(reg) for reg in _FRAME] + [pc & ~1, xpsr | (1 << 9 if realigned else 0)]
    frame = struct.pack("<8I", *words)
    if with_fpu:
        frame += b"".join(uc.reg_read(reg).to_bytes(8, "little") for reg in _FP_FRAME)
        frame += struct.pack("<2I", uc.reg_read(UC_ARM_REG_FPSCR), 0)
    uc.mem_write(top, frame)
    uc.reg_write(UC_ARM_REG_SP, top)
    uc.reg_write(UC_ARM_REG_LR, _THREAD_FP if with_fpu else _THREAD)
    uc.reg_write(UC_ARM_REG_CONTROL, control & ~_FPCA)
    uc.reg_write(UC_ARM_REG_IPSR, number)
    # The flags of the handler are undefined; ITSTATE must be clear.
    uc.reg_write(UC_ARM_REG_PC, handler | 1)


def leave_exception(uc: Uc, exc_return: int) -> int:
    """Unstack the frame; returns where the program goes on.

    Raises:
        ChipViolation: `exc_return` is none that this chip can have at this point.
    """
    if exc_return not in {_THREAD, _THREAD_FP}:
        raise ChipViolation(f"an exception returns with {exc_return:#010x}")
    sp = uc.reg_read(UC_ARM_REG_SP)
    words = struct.unpack("<8I", uc.mem_read(sp, 32))
    control = uc.reg_read(UC_ARM_REG_CONTROL)
    if exc_return == _THREAD_FP:
        data = bytes(uc.mem_read(sp + 32, 72))
        for index, reg in enumerate(_FP_FRAME):
            uc.reg_write(reg, int.from_bytes(data[8 * index : 8 * index + 8], "little"))
        uc.reg_write(UC_ARM_REG_FPSCR, int.from_bytes(data[64:68], "little"))
        control |= _FPCA
    frame_bytes = 104 if exc_return == _THREAD_FP else 32
    xpsr = words[7]
    for reg, value in zip(_FRAME, words, strict=False):
        uc.reg_write(reg, value)
    uc.reg_write(UC_ARM_REG_IPSR, 0)
    uc.reg_write(UC_ARM_REG_XPSR, xpsr & ~0x200 & ~0x1FF)
    uc.reg_write(UC_ARM_REG_CONTROL, control)
    uc.reg_write(UC_ARM_REG_SP, sp + frame_bytes + (4 if xpsr & 0x200 else 0))
    return int(words[6])


def _numbers(register: int, bits: int) -> set[int]:
    return {32 * register + bit for bit in range(32) if bits >> bit & 1}
