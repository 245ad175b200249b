# SPDX-License-Identifier: Apache-2.0
"""Clock tree of STM32L4 and L4+: RCC, PWR and the flash interface.

Sources: RM0351 (L475, L476) and RM0432 (L4R5), chapters RCC, PWR and embedded flash memory; register layout
    as in
ST's cmsis_device_l4.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.unicorn_board.clocks import Clocks
from tests.unicorn_board.registers import (
    ChipViolation,
    Gate,
    Lagging,
    Register,
    RegisterBlock,
    ahb_divider,
    apb_divider,
    field,
    mask,
    require_range,
    wait_states,
)

MHZ = 1_000_000
HSI16_HZ = 16 * MHZ
# MSIRANGE 0 to 11, RM0351 RCC_CR.
MSI_HZ = (100_000, 200_000, 400_000, 800_000, 1 * MHZ, 2 * MHZ, 4 * MHZ, 8 * MHZ, 16 * MHZ, 24 * MHZ, 32 *
MHZ,
          48 * MHZ)  # fmt: skip


@dataclass(frozen=True)
class PartL4:
    """What differs between the parts.

    Attributes:
        normal_hz: Highest clock in range 1; `boost_hz` in its boost mode, or the same without one.
        wait_state_hz: Highest clock for 0, 1, 2, ... wait states in range 1.
        m_bits: Width of PLLM.
        n: Range of PLLN.
    """

    name: str
    normal_hz: int
    boost_hz: int
    wait_state_hz: tuple[int, ...]
    m_bits: int
    n: tuple[int, int]

    @property
    def has_boost(self) -> bool:
        return self.boost_hz > self.normal_hz


L476 = PartL4("STM32L475/476", 80 * MHZ, 80 * MHZ, tuple(16 * MHZ * n for n in range(1, 6)), 3, (8, 86))
L4R5 = PartL4("STM32L4R5", 80 * MHZ, 120 * MHZ, tuple(20 * MHZ * n for n in range(1, 7)), 4, (8, 127))

_MSI, _HSI16, _PLL = 0, 1, 3
_ENABLE_REGISTERS = ("AHB1ENR", "AHB2ENR", "AHB3ENR", "APB1ENR1", "APB1ENR2", "APB2ENR")
_RESET_FLAGS = mask((31, 24))
_VOS_RANGE_1 = 1
_BOOST_STEP_S = 1e-6


def _rcc(part: PartL4) -> RegisterBlock:
    pllcfgr = mask((1, 0), (3 + part.m_bits, 4), (14, 8), 16, 17, (22, 20), (26, 24), (31, 27))
    return RegisterBlock(
        "RCC",
        0x4002_1000,
        {
            0x00: Register(
                "CR", 0x63, mask(0, (9, 2), 11, 16, 18, 19, 24, 26, 28), mask(1, 10, 17, 25, 27, 29)
            ),
            0x04: Register("ICSCR", 0x1000_0000, mask((15, 8), (30, 24)), mask((7, 0), (23, 16))),
            0x08: Register("CFGR", 0, mask((1, 0), (13, 4), 15, (30, 24)), mask((3, 2))),
            0x0C: Register("PLLCFGR", 0x1000, pllcfgr),
            0x48: Register("AHB1ENR", 0x100),
            0x4C: Register("AHB2ENR"),
            0x50: Register("AHB3ENR"),
            0x58: Register("APB1ENR1"),
            0x5C: Register("APB1ENR2"),
            0x60: Register("APB2ENR"),
            0x88: Register("CCIPR"),
            0x94: Register("CSR", 0x600, mask(0, (11, 8), 23), mask(1) | _RESET_FLAGS),
        },
    )


def _pwr(part: PartL4) -> RegisterBlock:
    registers = {
        0x00: Register("CR1", 0x200, mask((2, 0), 4, 8, (10, 9), 14)),
        0x04: Register("CR2", 0, mask((10, 9), (7, 0))),
        0x14: Register("SR2", 0, 0, mask((15, 8))),
    }
    if part.has_boost:
        registers[0x80] = Register("CR5", 0x100, mask(8))
    return RegisterBlock("PWR", 0x4000_7000, registers, Gate("APB1ENR1", 28))


class ClocksL4(Clocks):
    """An STM32L4 or L4+ that runs from MSI at 4 MHz after reset."""

    FLAGS = ("MSIRDY", "HSIRDY", "PLLRDY", "VOSF", "SWS", "LATENCY")

    def __init__(self, part: PartL4, stuck: frozenset[str] = frozenset()) -> None:
        super().__init__(stuck)
        self.part = part
        self.rcc = _rcc(part)
        self.pwr = _pwr(part)
        latency = mask((3, 0)) if part.has_boost else mask((2, 0))
        self.flash = RegisterBlock(
            "FLASH", 0x4002_2000, {0x00: Register("ACR", 0x600, latency | mask((14, 8)))}, Gate("AHB1ENR", 8)
        )
        self._msi = Lagging("MSIRDY" not in stuck, stuck="MSIRDY" in stuck)
        self._hsi = Lagging(False, stuck="HSIRDY" in stuck)
        self._pll = Lagging(False, stuck="PLLRDY" in stuck)
        self._changing = Lagging("VOSF" in stuck, stuck="VOSF" in stuck)
        self._sws = Lagging(_MSI, stuck="SWS" in stuck)
        self._latency = Lagging(0, stuck="LATENCY" in stuck)
        self._on_pll_since: float | None = None
        self._attach()

    @property
    def blocks(self) -> tuple[RegisterBlock, ...]:
        return self.rcc, self.pwr, self.flash

    @property
    def core_hz(self) -> int:
        return round(self._hclk(self._sws.value))

    @property
    def timer_hz(self) -> int:
        divider = apb_divider(field(self.rcc.values["CFGR"], 10, 8))
        return self.core_hz if divider == 1 else 2 * self.core_hz // divider

    def require_pin_supply(self, port: str, pin: int) -> None:
        if port == "G" and pin >= 2 and not self.pwr.values["CR2"] >> 9 & 1:
            raise ChipViolation(f"P{port}{pin} is cut off from its supply (PWR_CR2 IOSV)")

    def kernel_hz(self, kernel: str) -> int:
        bus, _, selector = kernel.partition(":")
        choice = self.rcc.values["CCIPR"] >> int(selector) & 3
        if choice == 3:
            raise ChipViolation("RCC_CCIPR: the UART is clocked by LSE, which is off")
        if choice == 2:
            if not self._hsi.value:
                raise ChipViolation("RCC_CCIPR: the UART is clocked by HSI16, which is off")
            return HSI16_HZ
        if choice == 1:
            return round(self._sysclk(self._sws.value))
        high, low = {"pclk1": (10, 8), "pclk2": (13, 11)}[bus]
        return self.core_hz // apb_divider(field(self.rcc.values["CFGR"], high, low))

    def set_reset_cause(self, *, software: bool) -> None:
        self.rcc.values["CSR"] |= mask(28, 26) if software else mask(27, 26)

    def _attach(self) -> None:
        self.watch_gates(_ENABLE_REGISTERS)
        self.rcc.on_read["CR"] = lambda: (
            self.rcc.values["CR"] & ~mask(1, 10, 25)
            | self._msi.poll() << 1
            | self._hsi.poll() << 10
            | self._pll.poll() << 25
        )
        self.rcc.on_write["CR"] = self._write_cr
        self.rcc.on_write["PLLCFGR"] = self._write_pllcfgr
        self.rcc.on_read["CFGR"] = self._read_cfgr
        self.rcc.on_write["CFGR"] = self._write_cfgr
        self.rcc.on_write["CSR"] = self._write_csr
        self.pwr.on_write["CR1"] = self._write_cr1
        self.pwr.on_read["SR2"] = lambda: self._changing.poll() << 10
        if self.part.has_boost:
            self.pwr.on_write["CR5"] = lambda old, new: self._require_legal()
        self.flash.on_read["ACR"] = lambda: self.flash.values["ACR"] & ~0xF | self._latency.poll()
        self.flash.on_write["ACR"] = self._write_acr

    def _write_cr(self, _old: int, new: int) -> None:
        pll_on, hsi_on = bool(new >> 24 & 1), bool(new >> 8 & 1)
        if not new & 1 and self._source == _MSI:
            raise ChipViolation("RCC_CR: MSI is switched off while the core runs from it")
        if not hsi_on and self._source == _HSI16:
            raise ChipViolation("RCC_CR: HSI16 is switched off while the core runs from it")
        if not pll_on and self._source == _PLL:
            raise ChipViolation("RCC_CR: the PLL is switched off while the core runs from it")
        if pll_on and not self._pll.value:
            self._pll_hz()
            if not self._hsi.value:
                raise ChipViolation(
                    "RCC_CR: the PLL is switched on before its input, HSI16, is ready (HSIRDY)"
                )
        self._hsi.aim(hsi_on)
        self._pll.aim(pll_on)
        self._msi.aim(bool(new & 1))
        self._require_legal()

    def _write_pllcfgr(self, old: int, new: int) -> None:
        # RM0351, RCC_PLLCFGR: the output enables may change while the PLL runs, the rest not.
        if (old ^ new) & ~mask(16, 20, 24) and (self.rcc.values["CR"] >> 24 & 1 or self._pll.value):
            raise ChipViolation("RCC_PLLCFGR is written while the PLL is on")

    def _read_cfgr(self) -> int:
        before = self._sws.value
        after = self._sws.poll()
        if after != before:
            self._on_pll_since = self.now() if after == _PLL else None
        return self.rcc.values["CFGR"] & ~mask((3, 2)) | after << 2

    def _write_cfgr(self, _old: int, new: int) -> None:
        source = new & 3
        if source == 2:
            raise ChipViolation("RCC_CFGR: SW selects HSE, which not every board has")
        if source == _PLL and not self._pll.value:
            raise ChipViolation("RCC_CFGR: switched to a PLL that is not ready (PLLRDY)")
        if source == _HSI16 and not self._hsi.value:
            raise ChipViolation("RCC_CFGR: switched to HSI16, which is not ready (HSIRDY)")
        self._require_legal()
        self._require_step()
        self._sws.aim(source)

    def _require_step(self) -> None:
        """RM0432, "increasing the system clock to above 80 MHz": half of it for a microsecond first."""
        if self._source != _PLL or self._hclk(_PLL) <= self.part.normal_hz:
            return
        if self._on_pll_since is None:
            raise ChipViolation(
                f"RCC_CFGR: the core jumps to {self._hclk(_PLL):.0f} Hz; above {self.part.normal_hz} Hz "
                "HPRE = /2 comes first, for 1 us"
            )
        waited = self.now() - self._on_pll_since
        if waited < _BOOST_STEP_S:
            raise ChipViolation(f"RCC_CFGR: HPRE = /2 lasted {waited * 1e6:.2f} us, needed 1 us")

    def _write_csr(self, _old: int, new: int) -> None:
        if new >> 23 & 1:
            self.rcc.values["CSR"] &= ~(_RESET_FLAGS | mask(23))

    def _write_cr1(self, old: int, new: int) -> None:
        if field(new, 10, 9) not in {1, 2}:
            raise ChipViolation(f"PWR_CR1: voltage range VOS = {field(new, 10, 9)} is reserved")
        if (old ^ new) & mask((10, 9)):
            self._changing.value = True
            self._changing.aim(False)
        self._require_legal()

    def _write_acr(self, old: int, new: int) -> None:
        if new & 0xF < old & 0xF:
            self._latency.value = new & 0xF
        self._latency.aim(new & 0xF)
        self._require_legal()

    @property
    def _source(self) -> int:
        return self.rcc.values["CFGR"] & 3

    def _pll_hz(self) -> float:
        pllcfgr = self.rcc.values["PLLCFGR"]
        if pllcfgr & 3 != 2:
            raise ChipViolation(f"RCC_PLLCFGR: PLLSRC = {pllcfgr & 3}, expected HSI16 (2)")
        m = field(pllcfgr, 3 + self.part.m_bits, 4) + 1
        n = field(pllcfgr, 14, 8)
        if not self.part.n[0] <= n <= self.part.n[1]:
            raise ChipViolation(f"RCC_PLLCFGR: PLLN = {n}, allowed {self.part.n[0]} to {self.part.n[1]}")
        require_range("the input of the VCO", HSI16_HZ / m, 4 * MHZ, 16 * MHZ)
        require_range("the VCO", HSI16_HZ / m * n, 64 * MHZ, 344 * MHZ)
        return HSI16_HZ / m * n / (2 * field(pllcfgr, 26, 25) + 2)

    def _sysclk(self, source: int) -> float:
        if source == _PLL:
            if not self.rcc.values["PLLCFGR"] >> 24 & 1:
                raise ChipViolation("RCC_PLLCFGR: PLLREN is off, so the PLL does not reach the core")
            return self._pll_hz()
        return HSI16_HZ if source == _HSI16 else MSI_HZ[field(self.rcc.values["CR"], 7, 4)]

    def _hclk(self, source: int) -> float:
        return self._sysclk(source) / ahb_divider(field(self.rcc.values["CFGR"], 7, 4))

    def _require_legal(self) -> None:
        hclk = self._hclk(self._source)
        limit = self.part.normal_hz
        if self.part.has_boost and not self.pwr.values["CR5"] >> 8 & 1:
            limit = self.part.boost_hz
        if field(self.pwr.values["CR1"], 10, 9) != _VOS_RANGE_1:
            limit = 26 * MHZ
        if hclk > limit:
            what = (
                "PWR: range 1 in boost mode (R1MODE) is needed for" if self.part.has_boost else "PWR allows"
            )
            raise ChipViolation(f"{what} {hclk:.0f} Hz; now at most {limit} Hz")
        needed = wait_states(hclk, self.part.wait_state_hz)
        if self._latency.value < needed:
            raise ChipViolation(
                f"FLASH_ACR: {self._latency.value} wait states at {hclk:.0f} Hz, {needed} are needed"
            )
        if self._source == _PLL and self._changing.value:
            raise ChipViolation("PWR: the clock is raised while the voltage is still changing (VOSF)")
