# SPDX-License-Identifier: Apache-2.0
"""Clock tree of STM32F4 and STM32F7: RCC, PWR and the flash interface.

Sources: RM0090 (F405, F407), RM0368 (F401), RM0383 (F411), RM0390 (F446), RM0410 (F767), chapters RCC, PWR
and embedded flash memory; register layout as in ST's cmsis_device_f4 and cmsis_device_f7. The two families
have the same registers here; the F7 adds the choice of the UARTs' clocks and has an ART accelerator.
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

HSI_HZ = 16_000_000
MHZ = 1_000_000


@dataclass(frozen=True)
class PartF4:
    """What differs between the parts.

    Attributes:
        max_hz: Highest core clock; likewise for the buses.
        vco_hz: Range of the VCO; `n` is the range of its multiplier.
        wait_state_hz: Highest core clock for 0, 1, 2, ... wait states at 2.7 to 3.6 V.
        voltage_hz: VOS bits -> highest core clock without and with over-drive.
        voltage_reset: VOS bits after reset.
        has_r: PLLCFGR has the field PLLR.
        is_f7: Registers of the F7.
    """

    name: str
    max_hz: int
    apb1_hz: int
    apb2_hz: int
    vco_hz: tuple[int, int]
    n: tuple[int, int]
    wait_state_hz: tuple[int, ...]
    voltage_hz: dict[int, tuple[int, int]]
    voltage_reset: int
    has_over_drive: bool = False
    has_r: bool = False
    is_f7: bool = False


THIRTIES = tuple(30 * MHZ * (states + 1) for states in range(8))
VCO = (100 * MHZ, 432 * MHZ)

F405 = PartF4(
    "STM32F405/407", 168 * MHZ, 42 * MHZ, 84 * MHZ, VCO, (50, 432), THIRTIES,
    {0: (144 * MHZ, 0), 1: (168 * MHZ, 0)}, voltage_reset=1,
)  # fmt: skip
F401 = PartF4(
    "STM32F401", 84 * MHZ, 42 * MHZ, 84 * MHZ, (192 * MHZ, 432 * MHZ), (192, 432), THIRTIES,
    {1: (60 * MHZ, 0), 2: (84 * MHZ, 0)}, voltage_reset=2,
)  # fmt: skip
F411 = PartF4(
    "STM32F411", 100 * MHZ, 50 * MHZ, 100 * MHZ, VCO, (50, 432), (30 * MHZ, 64 * MHZ, 90 * MHZ, 100 * MHZ),
    {1: (64 * MHZ, 0), 2: (84 * MHZ, 0), 3: (100 * MHZ, 0)}, voltage_reset=2,
)  # fmt: skip
F446 = PartF4(
    "STM32F446", 180 * MHZ, 45 * MHZ, 90 * MHZ, VCO, (50, 432), THIRTIES,
    {1: (120 * MHZ, 0), 2: (144 * MHZ, 168 * MHZ), 3: (168 * MHZ, 180 * MHZ)}, voltage_reset=3,
    has_over_drive=True, has_r=True,
)  # fmt: skip
F767 = PartF4(
    "STM32F767", 216 * MHZ, 54 * MHZ, 108 * MHZ, VCO, (50, 432), THIRTIES,
    {1: (144 * MHZ, 0), 2: (168 * MHZ, 180 * MHZ), 3: (180 * MHZ, 216 * MHZ)}, voltage_reset=3,
    has_over_drive=True, has_r=True, is_f7=True,
)  # fmt: skip

_SW_HSI, _SW_PLL = 0, 2
_ENABLE_REGISTERS = ("AHB1ENR", "AHB2ENR", "AHB3ENR", "APB1ENR", "APB2ENR")
_RESET_FLAGS = mask((31, 25))


def _rcc(part: PartF4) -> RegisterBlock:
    pllcfgr = mask((27, 24), 22, (17, 16), (14, 6), (5, 0)) | (mask((30, 28)) if part.has_r else 0)
    registers = {
        0x00: Register("CR", 0x83, mask(0, (7, 3), 16, 18, 19, 24, 26, 28), mask(1, (15, 8), 17, 25, 27, 29)),
        # Bits 28 to 30 are set after reset even where PLLR does not exist.
        0x04: Register("PLLCFGR", 0x2400_3010, pllcfgr | mask((30, 28))),
        0x08: Register("CFGR", 0, mask((1, 0), (7, 4), (15, 10), (31, 16)), mask((3, 2))),
        0x30: Register("AHB1ENR", 0x0010_0000),
        0x34: Register("AHB2ENR"),
        0x38: Register("AHB3ENR"),
        0x40: Register("APB1ENR"),
        0x44: Register("APB2ENR"),
        0x74: Register("CSR", 0, mask(0, 24), mask(1) | _RESET_FLAGS),
    }
    if part.is_f7:
        registers[0x8C] = Register("DCKCFGR1")
        registers[0x90] = Register("DCKCFGR2")
    return RegisterBlock("RCC", 0x4002_3800, registers)


def _pwr(part: PartF4) -> RegisterBlock:
    vos = mask(14) if part.voltage_hz.keys() <= {0, 1} else mask((15, 14))
    over_drive = mask(16, 17) if part.has_over_drive else 0
    names = ("CR1", "CSR1") if part.is_f7 else ("CR", "CSR")
    return RegisterBlock(
        "PWR",
        0x4000_7000,
        {
            0x00: Register(names[0], part.voltage_reset << 14, mask((11, 0)) | vos | over_drive),
            0x04: Register(names[1], 0, mask(8, 9), mask((3, 0), 14, 16, 17)),
        },
        Gate("APB1ENR", 28),
    )


class ClocksF4(Clocks):
    """An STM32F4 or F7 that runs from HSI after reset."""

    FLAGS = ("HSIRDY", "PLLRDY", "VOSRDY", "ODRDY", "ODSWRDY", "SWS", "LATENCY")

    def __init__(self, part: PartF4, stuck: frozenset[str] = frozenset()) -> None:
        super().__init__(stuck)
        self.part = part
        self.rcc = _rcc(part)
        self.pwr = _pwr(part)
        acr = mask((3, 0), 8, 9, 11) | (0 if part.is_f7 else mask(10, 12))
        self.flash = RegisterBlock("FLASH", 0x4002_3C00, {0x00: Register("ACR", 0, acr)})
        self._hsi = Lagging("HSIRDY" not in stuck)
        self._pll = Lagging(False, stuck="PLLRDY" in stuck)
        self._vos = Lagging(False, stuck="VOSRDY" in stuck)
        self._od = Lagging(False, stuck="ODRDY" in stuck)
        self._odsw = Lagging(False, stuck="ODSWRDY" in stuck)
        self._sws = Lagging(_SW_HSI, stuck="SWS" in stuck)
        self._latency = Lagging(0, stuck="LATENCY" in stuck)
        self._attach()

    @property
    def blocks(self) -> tuple[RegisterBlock, ...]:
        return self.rcc, self.pwr, self.flash

    @property
    def core_hz(self) -> int:
        return round(self._hclk(self._sws.value))

    @property
    def timer_hz(self) -> int:
        divider = apb_divider(field(self.rcc.values["CFGR"], 12, 10))
        return self.core_hz if divider == 1 else 2 * self.core_hz // divider

    def kernel_hz(self, kernel: str) -> int:
        bus, _, selector = kernel.partition(":")
        if selector and self.part.is_f7:
            choice = self.rcc.values["DCKCFGR2"] >> int(selector) & 3
            if choice == 2:
                return HSI_HZ
            if choice:
                raise ChipViolation(f"DCKCFGR2 selects source {choice} for the UART, expected its bus or HSI")
        low, high = {"pclk1": (12, 10), "pclk2": (15, 13)}[bus][::-1]
        return self.core_hz // apb_divider(field(self.rcc.values["CFGR"], high, low))

    def set_reset_cause(self, *, software: bool) -> None:
        self.rcc.values["CSR"] |= mask(28, 26) if software else mask(27, 26, 25)

    def _attach(self) -> None:
        self.watch_gates(_ENABLE_REGISTERS)
        self.rcc.on_read["CR"] = self._read_cr
        self.rcc.on_write["CR"] = self._write_cr
        self.rcc.on_write["PLLCFGR"] = self._write_pllcfgr
        self.rcc.on_read["CFGR"] = lambda: self.rcc.values["CFGR"] | self._sws.poll() << 2
        self.rcc.on_write["CFGR"] = self._write_cfgr
        self.rcc.on_write["CSR"] = self._write_csr
        self._cr, csr = ("CR1", "CSR1") if self.part.is_f7 else ("CR", "CSR")
        self.pwr.on_write[self._cr] = self._write_pwr
        self.pwr.on_read[csr] = lambda: (
            self._vos.poll() << 14 | self._od.poll() << 16 | self._odsw.poll() << 17
        )
        self.flash.on_read["ACR"] = lambda: self.flash.values["ACR"] & ~0xF | self._latency.poll()
        self.flash.on_write["ACR"] = self._write_acr

    def _read_cr(self) -> int:
        return self.rcc.values["CR"] & ~mask(1) | self._hsi.poll() << 1 | self._pll.poll() << 25

    def _write_cr(self, old: int, new: int) -> None:
        if not new & 1:
            raise ChipViolation("RCC_CR: HSI, which everything runs from, is switched off")
        pll_on = bool(new >> 24 & 1)
        if pll_on and not old >> 24 & 1:
            self._pll_hz()
        if not pll_on and self._source == _SW_PLL:
            raise ChipViolation("RCC_CR: the PLL is switched off while the core runs from it")
        self._pll.aim(pll_on)
        # RM0390, PWR_CR: the programmed voltage is active only while the PLL is on.
        self._vos.aim(pll_on)

    def _write_pllcfgr(self, _old: int, _new: int) -> None:
        if self.rcc.values["CR"] >> 24 & 1 or self._pll.value:
            raise ChipViolation("RCC_PLLCFGR is written while the PLL is on")

    def _write_cfgr(self, _old: int, new: int) -> None:
        source = new & 3
        if source not in {_SW_HSI, _SW_PLL}:
            raise ChipViolation(f"RCC_CFGR: SW = {source}, neither HSI nor PLL")
        if source == _SW_PLL and not self._pll.value:
            raise ChipViolation("RCC_CFGR: switched to a PLL that is not ready (PLLRDY)")
        self._require_legal()
        self._sws.aim(source)

    def _write_csr(self, _old: int, new: int) -> None:
        if new >> 24 & 1:
            self.rcc.values["CSR"] &= ~(_RESET_FLAGS | mask(24))

    def _write_pwr(self, old: int, new: int) -> None:
        if (old ^ new) & mask((15, 14)) and self.rcc.values["CR"] >> 24 & 1:
            raise ChipViolation("PWR: the voltage scale (VOS) changes while the PLL is on")
        if new >> 17 & 1 and not self._od.value:
            raise ChipViolation("PWR: ODSWEN is set before over-drive is ready (ODRDY)")
        if (old ^ new) & mask(17) and self._source == _SW_PLL:
            raise ChipViolation("PWR: over-drive is switched while the core runs from the PLL")
        self._od.aim(bool(new >> 16 & 1))
        self._odsw.aim(bool(new >> 17 & 1))
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
        """The PLL's output; raises if its settings are outside of the data sheet."""
        pllcfgr = self.rcc.values["PLLCFGR"]
        m, n = pllcfgr & 63, field(pllcfgr, 14, 6)
        if pllcfgr >> 22 & 1:
            raise ChipViolation("RCC_PLLCFGR: the PLL is fed by HSE, which not every board has")
        if m < 2 or field(pllcfgr, 27, 24) < 2:
            raise ChipViolation(f"RCC_PLLCFGR = {pllcfgr:#010x}: PLLM or PLLQ below 2")
        if self.part.has_r and field(pllcfgr, 30, 28) < 2:
            raise ChipViolation(f"RCC_PLLCFGR = {pllcfgr:#010x}: PLLR below 2")
        if not self.part.n[0] <= n <= self.part.n[1]:
            raise ChipViolation(f"RCC_PLLCFGR: PLLN = {n}, allowed {self.part.n[0]} to {self.part.n[1]}")
        require_range("the input of the VCO", HSI_HZ / m, 0.95 * MHZ, 2.1 * MHZ)
        require_range("the VCO", HSI_HZ / m * n, *self.part.vco_hz)
        return HSI_HZ / m * n / (2 * field(pllcfgr, 17, 16) + 2)

    def _hclk(self, source: int) -> float:
        sysclk = self._pll_hz() if source == _SW_PLL else HSI_HZ
        return sysclk / ahb_divider(field(self.rcc.values["CFGR"], 7, 4))

    def _require_legal(self) -> None:
        """Voltage, wait states and bus clocks fit the clock that RCC_CFGR asks for."""
        cfgr = self.rcc.values["CFGR"]
        hclk = self._hclk(self._source)
        require_range("the core clock", hclk, 0, self.part.max_hz)
        require_range("APB1", hclk / apb_divider(field(cfgr, 12, 10)), 0, self.part.apb1_hz)
        require_range("APB2", hclk / apb_divider(field(cfgr, 15, 13)), 0, self.part.apb2_hz)
        needed = wait_states(hclk, self.part.wait_state_hz)
        if self._latency.value < needed:
            raise ChipViolation(
                f"FLASH_ACR: {self._latency.value} wait states at {hclk:.0f} Hz, {needed} are needed"
            )
        if self._source == _SW_PLL:
            self._require_voltage(hclk)

    def _require_voltage(self, hclk: float) -> None:
        vos = self.pwr.values[self._cr] >> 14 & 3
        if vos not in self.part.voltage_hz:
            raise ChipViolation(f"PWR: voltage scale VOS = {vos} is reserved")
        plain, boosted = self.part.voltage_hz[vos]
        limit = boosted if self._odsw.value else plain
        if hclk > limit:
            mode = "with" if self._odsw.value else "without"
            raise ChipViolation(
                f"PWR: {hclk:.0f} Hz at voltage scale VOS = {vos} {mode} over-drive, allowed {limit} Hz"
            )
        if not self._vos.value:
            raise ChipViolation("PWR: the clock is raised before the voltage is there (VOSRDY)")
