# SPDX-License-Identifier: Apache-2.0
"""Clock tree of the STM32H743: RCC, PWR, the flash interface, and SYSCFG's bit that raises the voltage.

Source: RM0433, chapters RCC, PWR and embedded flash memory; register layout as in ST's cmsis_device_h7. The
limits are those of every silicon revision: VOS1 at most, 400 MHz.
"""

from __future__ import annotations

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
)

MHZ = 1_000_000
HSI_HZ = 64 * MHZ

_HSI, _PLL1 = 0, 3
_ENABLE_REGISTERS = {
    0xD4: "AHB3ENR", 0xD8: "AHB1ENR", 0xDC: "AHB2ENR", 0xE0: "AHB4ENR", 0xE4: "APB3ENR", 0xE8: "APB1LENR",
    0xEC: "APB1HENR", 0xF0: "APB2ENR", 0xF4: "APB4ENR",
}  # fmt: skip
_RESET_FLAGS = mask((30, 17))
# VOS bits -> highest clock of the core, of AXI and AHB, of each APB.
_VOLTAGE = {
    1: (200 * MHZ, 100 * MHZ, 50 * MHZ),
    2: (300 * MHZ, 150 * MHZ, 75 * MHZ),
    3: (400 * MHZ, 200 * MHZ, 100 * MHZ),
}
# Per VOS bits: highest AXI clock in MHz, wait states and WRHIGHFREQ (RM0433, "number of wait states and
# programming delay").
_FLASH = {
    1: ((45, 0, 0), (90, 1, 1), (135, 2, 1), (180, 3, 2), (225, 4, 2)),
    2: ((55, 0, 0), (110, 1, 1), (165, 2, 1), (225, 3, 2)),
    3: ((70, 0, 0), (140, 1, 1), (185, 2, 1), (210, 2, 2), (225, 3, 2)),
}
# PLL1RGE -> range of the reference in MHz.
_RANGES = ((1, 2), (2, 4), (4, 8), (8, 16))


def _rcc() -> RegisterBlock:
    enables = {offset: Register(name) for offset, name in _ENABLE_REGISTERS.items()}
    return RegisterBlock(
        "RCC",
        0x5802_4400,
        {
            0x00: Register(
                "CR", mask(0, 2, 5, 14, 15), mask(0, 1, 3, 4, 7, 9, 12, 16, 18, 19, 24, 26, 28),
                mask(2, 5, 8, 13, 14, 15, 17, 25, 27, 29),
            ),
            0x10: Register("CFGR", 0, mask((2, 0), (15, 6), (31, 18)), mask((5, 3))),
            0x18: Register("D1CFGR", 0, mask((3, 0), (6, 4), (11, 8))),
            0x1C: Register("D2CFGR", 0, mask((6, 4), (10, 8))),
            0x20: Register("D3CFGR", 0, mask((6, 4))),
            0x28: Register("PLLCKSELR", 0x0202_0200, mask((1, 0), (9, 4), (17, 12), (25, 20))),
            0x2C: Register("PLLCFGR", 0x01FF_0000, mask((11, 0), (24, 16))),
            0x30: Register("PLL1DIVR", 0x0101_0280, mask((30, 24), (22, 16), (15, 0))),
            0x34: Register("PLL1FRACR", 0, mask((15, 3))),
            0x4C: Register("D1CCIPR"),
            0x50: Register("D2CCIP1R"),
            0x54: Register("D2CCIP2R"),
            0x58: Register("D3CCIPR"),
            0xD0: Register("RSR", 0, mask(16), _RESET_FLAGS),
            **enables,
        },
    )  # fmt: skip


def _pwr() -> RegisterBlock:
    return RegisterBlock(
        "PWR",
        0x5802_4800,
        {
            0x00: Register("CR1", 0xF000_C000, mask(0, 4, (9, 5), (18, 14)), mask((31, 28))),
            0x04: Register("CSR1", 0x4000, 0, mask(4, (16, 13))),
            0x0C: Register("CR3", 0x6, mask((2, 0), 8, 9, 24, 25), mask(26)),
            0x18: Register("D3CR", 0x4000, mask((15, 14)), mask(13)),
        },
    )


class ClocksH7(Clocks):
    """An STM32H743 that runs from HSI at 64 MHz and voltage scale 3 after reset."""

    FLAGS = ("HSIRDY", "PLL1RDY", "ACTVOSRDY", "VOSRDY", "SWS", "LATENCY")

    def __init__(self, stuck: frozenset[str] = frozenset()) -> None:
        super().__init__(stuck)
        self.rcc = _rcc()
        self.pwr = _pwr()
        self.flash = RegisterBlock("FLASH", 0x5200_2000, {0x00: Register("ACR", 0x37, mask((5, 0)))})
        self.syscfg = RegisterBlock(
            "SYSCFG", 0x5800_0400, {0x2C: Register("PWRCR", 0, mask(0))}, Gate("APB4ENR", 1)
        )
        self._hsi = Lagging("HSIRDY" not in stuck, stuck="HSIRDY" in stuck)
        self._pll = Lagging(False, stuck="PLL1RDY" in stuck)
        self._actual_vos_ready = Lagging(False, stuck="ACTVOSRDY" in stuck)
        self._vos_ready = Lagging("VOSRDY" not in stuck, stuck="VOSRDY" in stuck)
        self._sws = Lagging(_HSI, stuck="SWS" in stuck)
        self._acr = Lagging(0x37, stuck="LATENCY" in stuck)
        # PWR_CR3 can be written once after power-on.
        self.supply_set = False
        self._attach()

    @property
    def blocks(self) -> tuple[RegisterBlock, ...]:
        return self.rcc, self.pwr, self.flash, self.syscfg

    @property
    def core_hz(self) -> int:
        return round(self._cpu(self._sws.value))

    @property
    def timer_hz(self) -> int:
        divider = apb_divider(field(self.rcc.values["D2CFGR"], 6, 4))
        hclk = self._hclk(self._sws.value)
        return round(hclk if divider == 1 else 2 * hclk / divider)

    def kernel_hz(self, kernel: str) -> int:
        bus, _, selector = kernel.partition(":")
        choice = self.rcc.values["D2CCIP2R"] >> int(selector) & 7
        if choice == 3:
            return HSI_HZ
        if choice:
            raise ChipViolation(f"RCC_D2CCIP2R selects source {choice} for the UART, expected its bus or HSI")
        high, low = {"pclk1": (6, 4), "pclk2": (10, 8)}[bus]
        divider = apb_divider(field(self.rcc.values["D2CFGR"], high, low))
        return round(self._hclk(self._sws.value) / divider)

    def keep(self, before: Clocks) -> None:
        assert isinstance(before, ClocksH7)
        self.supply_set = before.supply_set
        self._actual_vos_ready.aim(self.supply_set)

    def set_reset_cause(self, *, software: bool) -> None:
        self.rcc.values["RSR"] |= mask(24, 22, 17) if software else mask((23, 19), 17)

    def _attach(self) -> None:
        self.watch_gates(tuple(_ENABLE_REGISTERS.values()))
        self.rcc.on_read["CR"] = lambda: (
            self.rcc.values["CR"] & ~mask(2, 25) | self._hsi.poll() << 2 | self._pll.poll() << 25
        )
        self.rcc.on_write["CR"] = self._write_cr
        for name in ("PLLCKSELR", "PLLCFGR", "PLL1DIVR"):
            self.rcc.on_write[name] = lambda old, new, name=name: self._write_pll(name, old, new)
        self.rcc.on_read["CFGR"] = lambda: self.rcc.values["CFGR"] & ~mask((5, 3)) | self._sws.poll() << 3
        self.rcc.on_write["CFGR"] = self._write_cfgr
        for name in ("D1CFGR", "D2CFGR", "D3CFGR"):
            self.rcc.on_write[name] = lambda old, new: self._require_legal()
        self.rcc.on_write["RSR"] = self._write_rsr
        self.pwr.on_write["CR3"] = self._write_cr3
        self.pwr.on_read["CSR1"] = lambda: (
            self.pwr.values["D3CR"] & mask((15, 14)) | self._actual_vos_ready.poll() << 13
        )
        self.pwr.on_write["D3CR"] = self._write_d3cr
        self.pwr.on_read["D3CR"] = lambda: self.pwr.values["D3CR"] & ~mask(13) | self._vos_ready.poll() << 13
        self.flash.on_read["ACR"] = self._acr.poll
        self.flash.on_write["ACR"] = self._write_acr
        self.syscfg.on_write["PWRCR"] = self._write_pwrcr

    def _write_cr(self, _old: int, new: int) -> None:
        if not new & 1:
            raise ChipViolation("RCC_CR: HSI, which everything runs from, is switched off")
        if field(new, 4, 3):
            raise ChipViolation("RCC_CR: HSIDIV is not the undivided HSI of the reset")
        pll_on = bool(new >> 24 & 1)
        if pll_on and not self._pll.value:
            self._pll_hz()
        if not pll_on and self._source == _PLL1:
            raise ChipViolation("RCC_CR: PLL1 is switched off while the core runs from it")
        self._pll.aim(pll_on)

    def _write_pll(self, name: str, _old: int, _new: int) -> None:
        if self.rcc.values["CR"] >> 24 & 1 or self._pll.value:
            raise ChipViolation(f"RCC_{name} is written while PLL1 is on")

    def _write_cfgr(self, _old: int, new: int) -> None:
        source = new & 7
        if source not in {_HSI, _PLL1}:
            raise ChipViolation(f"RCC_CFGR: SW = {source}, neither HSI nor PLL1")
        if source == _PLL1 and not self._pll.value:
            raise ChipViolation("RCC_CFGR: switched to a PLL that is not ready (PLL1RDY)")
        self._require_legal()
        self._sws.aim(source)

    def _write_rsr(self, _old: int, new: int) -> None:
        if new >> 16 & 1:
            self.rcc.values["RSR"] &= ~(_RESET_FLAGS | mask(16))

    def _write_cr3(self, old: int, new: int) -> None:
        if new & 7 != 0b110:
            raise ChipViolation(f"PWR_CR3 = {new:#x}: the board is supplied through the LDO (LDOEN, SCUEN)")
        if self.supply_set and new != old:
            raise ChipViolation("PWR_CR3 is changed a second time; only power-on opens it again")
        self.supply_set = True
        self._actual_vos_ready.aim(True)

    def _write_d3cr(self, old: int, new: int) -> None:
        vos = new >> 14 & 3
        if vos not in _VOLTAGE:
            raise ChipViolation(f"PWR_D3CR: voltage scale VOS = {vos} is reserved")
        if (old ^ new) & mask((15, 14)):
            if not self.supply_set:
                raise ChipViolation("PWR_D3CR: VOS changes before the supply is configured (PWR_CR3)")
            if not self._actual_vos_ready.value:
                raise ChipViolation("PWR_D3CR: VOS changes before the voltage is settled (ACTVOSRDY)")
            self._vos_ready.aim(False)
            self._vos_ready.value = False
            self._vos_ready.aim(True)
        self._require_legal()

    def _write_acr(self, old: int, new: int) -> None:
        if new & 0xF < old & 0xF:
            self._acr.value = new & 0x3F if "LATENCY" not in self.stuck else self._acr.value
        self._acr.aim(new & 0x3F)
        self._require_legal()

    def _write_pwrcr(self, _old: int, new: int) -> None:
        if new & 1:
            raise ChipViolation("SYSCFG_PWRCR: voltage scale 0 (ODEN) exists from silicon revision V on only")

    @property
    def _source(self) -> int:
        return self.rcc.values["CFGR"] & 7

    def _pll_hz(self) -> float:
        select, config = self.rcc.values["PLLCKSELR"], self.rcc.values["PLLCFGR"]
        dividers = self.rcc.values["PLL1DIVR"]
        m, n, p = field(select, 9, 4), field(dividers, 8, 0) + 1, field(dividers, 15, 9) + 1
        if select & 3:
            raise ChipViolation(f"RCC_PLLCKSELR: PLLSRC = {select & 3}, expected HSI (0)")
        if not 1 <= m <= 63:
            raise ChipViolation(f"RCC_PLLCKSELR: DIVM1 = {m}, allowed 1 to 63")
        if config & 1:
            raise ChipViolation("RCC_PLLCFGR: the fractional divider is not modelled")
        if not 4 <= n <= 512:
            raise ChipViolation(f"RCC_PLL1DIVR: DIVN1 = {n}, allowed 4 to 512")
        if p != 1 and p % 2:
            raise ChipViolation(f"RCC_PLL1DIVR: DIVP1 = {p}, odd dividers are not allowed")
        if not config >> 16 & 1:
            raise ChipViolation("RCC_PLLCFGR: DIVP1EN is off, so the PLL does not reach the core")
        low, high = _RANGES[field(config, 3, 2)]
        require_range("the input of PLL1 (PLL1RGE)", HSI_HZ / m, low * MHZ, high * MHZ)
        vco = (150, 420) if config >> 1 & 1 else (192, 836)
        require_range("the VCO", HSI_HZ / m * n, vco[0] * MHZ, vco[1] * MHZ)
        return HSI_HZ / m * n / p

    def _cpu(self, source: int) -> float:
        sysclk = self._pll_hz() if source == _PLL1 else HSI_HZ
        return sysclk / ahb_divider(field(self.rcc.values["D1CFGR"], 11, 8))

    def _hclk(self, source: int) -> float:
        return self._cpu(source) / ahb_divider(self.rcc.values["D1CFGR"] & 0xF)

    def _require_legal(self) -> None:
        cpu, hclk = self._cpu(self._source), self._hclk(self._source)
        vos = self.pwr.values["D3CR"] >> 14 & 3
        cpu_limit, hclk_limit, apb_limit = _VOLTAGE[vos]
        if cpu > cpu_limit:
            raise ChipViolation(f"PWR: {cpu:.0f} Hz at voltage scale VOS = {vos}, allowed {cpu_limit} Hz")
        require_range("AXI and AHB", hclk, 0, hclk_limit)
        if self._source == _HSI:
            apb_limit = max(apb_limit, HSI_HZ)  # the chip starts so, whatever the data sheet says of VOS3
        for bus, register, high, low in (
            ("APB1", "D2CFGR", 6, 4),
            ("APB2", "D2CFGR", 10, 8),
            ("APB3", "D1CFGR", 6, 4),
            ("APB4", "D3CFGR", 6, 4),
        ):
            divider = apb_divider(field(self.rcc.values[register], high, low))
            require_range(bus, hclk / divider, 0, apb_limit)
        self._require_flash(hclk, vos)
        if self._source == _PLL1 and not self._vos_ready.value:
            raise ChipViolation("PWR: the clock is raised before the voltage is there (VOSRDY)")

    def _require_flash(self, hclk: float, vos: int) -> None:
        latency, delay = self._acr.value & 0xF, self._acr.value >> 4 & 3
        for limit, states, frequency in _FLASH[vos]:
            if hclk <= limit * MHZ:
                if latency < states or delay < frequency:
                    raise ChipViolation(
                        f"FLASH_ACR: {latency} wait states, WRHIGHFREQ {delay} at {hclk:.0f} Hz of AXI, "
                        f"{states} and {frequency} are needed"
                    )
                return
        raise ChipViolation(f"FLASH_ACR: no number of wait states is enough for {hclk:.0f} Hz of AXI")
