# SPDX-License-Identifier: Apache-2.0
"""The clock trees of STM32F4 and STM32F7: the same registers, driven by the same `clock_f4.c`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from mcu_ser.board.clock import Clock, ahb_field, apb_field, require_between
from mcu_ser.board.section import Section


class Pll(Section):
    """Main PLL fed by the internal oscillator: f = input / m * n / p (RM0090 section 7.3.2, RCC_PLLCFGR).

    Attributes:
        m: Input divider, 2 to 63.
        n: VCO multiplier, 50 to 432.
        p: System clock divider: 2, 4, 6 or 8.
        q: USB clock divider, 2 to 15; unused by the firmware, but no reserved value may be written.
        r: Third output of STM32F446 and STM32F7, 2 to 7; None where the field does not exist.
    """

    m: Annotated[int, Field(ge=2, le=63)]
    n: Annotated[int, Field(ge=50, le=432)]
    p: Literal[2, 4, 6, 8]
    q: Annotated[int, Field(ge=2, le=15)]
    r: Annotated[int, Field(ge=2, le=7)] | None = None


class ClockF4(Clock):
    """Clock tree of an STM32F4 (RM0090, RM0368, RM0383, RM0390).

    Attributes:
        pll: The PLL, fed by the internal oscillator.
        voltage_scale: VOS bits of PWR_CR as written (their meaning differs between parts).
        over_drive: The part needs over-drive at this clock (STM32F446 above 168 MHz).
    """

    VCO_INPUT_HZ: ClassVar[tuple[int, int]] = (950_000, 2_100_000)
    VCO_OUTPUT_HZ: ClassVar[tuple[int, int]] = (100_000_000, 432_000_000)
    # FLASH_ACR: prefetch, instruction and data cache.
    FLASH_ACR: ClassVar[int] = 0x700

    driver: Literal["clock_f4"]
    pll: Pll
    voltage_scale: Annotated[int, Field(ge=0, le=3)]
    over_drive: bool

    def _check_pll(self) -> None:
        require_between("VCO input", self.reset_hz / self.pll.m, self.VCO_INPUT_HZ)
        require_between("VCO output", self.reset_hz * self.pll.n / self.pll.m, self.VCO_OUTPUT_HZ)

    @property
    def pll_ratio(self) -> tuple[int, int]:
        return self.pll.n, self.pll.m * self.pll.p

    @property
    def registers(self) -> Mapping[str, int]:
        return {
            "BOARD_RCC_PLLCFGR": self.pllcfgr,
            "BOARD_RCC_CFGR_DIVIDERS": self.cfgr_dividers,
            "BOARD_FLASH_ACR": self.flash_acr,
            "BOARD_PWR_CR_VOS": self.pwr_cr_vos,
        }

    @property
    def switches(self) -> Mapping[str, bool]:
        return {"BOARD_OVER_DRIVE": self.over_drive}

    @property
    def pllcfgr(self) -> int:
        """RCC_PLLCFGR: M, N, P, Q (and R), source HSI."""
        pll = self.pll
        third = 0 if pll.r is None else pll.r << 28
        return third | pll.q << 24 | (pll.p // 2 - 1) << 16 | pll.n << 6 | pll.m

    @property
    def cfgr_dividers(self) -> int:
        """HPRE, PPRE1 and PPRE2 fields of RCC_CFGR."""
        ahb, apb1, apb2 = ahb_field(self.ahb_divider), apb_field(self.apb1_divider), self.apb2_divider
        return ahb << 4 | apb1 << 10 | apb_field(apb2) << 13

    @property
    def flash_acr(self) -> int:
        """FLASH_ACR: wait states and accelerators."""
        return self.FLASH_ACR | self.flash_wait_states

    @property
    def pwr_cr_vos(self) -> int:
        """VOS field of PWR_CR in place."""
        return self.voltage_scale << 14


class ClockF7(ClockF4):
    """Clock tree of an STM32F7 (RM0410): the registers of the STM32F4, another flash accelerator.

    `over_drive` is needed above 180 MHz.
    """

    # FLASH_ACR: prefetch and ART accelerator.
    FLASH_ACR: ClassVar[int] = 0x300
