# SPDX-License-Identifier: Apache-2.0
"""The clock tree of STM32L4 and STM32L4+, driven by `clock_l4.c`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from mcu_ser.board.clock import Clock, ahb_field, apb_field, require_between
from mcu_ser.board.section import Section

# The internal oscillator that feeds the PLL (RM0351 and RM0432, "HSI16 clock").
HSI16_HZ = 16_000_000


class PllL4(Section):
    """Main PLL: f = 16 MHz / m * n / r (RM0351, RCC_PLLCFGR).

    Attributes:
        m: Input divider, 1 to 16 (STM32L47x: to 8).
        n: VCO multiplier, 8 to 127 (STM32L47x: to 86).
        r: System clock divider: 2, 4, 6 or 8.
    """

    m: Annotated[int, Field(ge=1, le=16)]
    n: Annotated[int, Field(ge=8, le=127)]
    r: Literal[2, 4, 6, 8]


class ClockL4(Clock):
    """Clock tree of an STM32L4 (RM0351) or STM32L4+ (RM0432), in voltage range 1.

    Attributes:
        pll: The PLL, fed by HSI16; after reset the core runs from MSI.
        boost: Range 1 boost mode, which an STM32L4+ needs above 80 MHz.
    """

    VCO_INPUT_HZ: ClassVar[tuple[int, int]] = (4_000_000, 16_000_000)
    VCO_OUTPUT_HZ: ClassVar[tuple[int, int]] = (64_000_000, 344_000_000)
    # Without boost mode (RM0432, "dynamic voltage scaling management").
    MAX_NORMAL_HZ: ClassVar[int] = 80_000_000

    driver: Literal["clock_l4"]
    pll: PllL4
    boost: bool

    @model_validator(mode="after")
    def _boosted_if_fast(self) -> ClockL4:
        if not self.boost and self.core_hz > self.MAX_NORMAL_HZ:
            raise ValueError(f"core clock is {self.core_hz} Hz, limit {self.MAX_NORMAL_HZ} Hz without boost")
        # The driver halves the core clock for the moment of the change.
        if self.boost and self.ahb_divider != 1:
            raise ValueError(f"ahb_divider is {self.ahb_divider}, limit 1 with boost")
        return self

    def _check_pll(self) -> None:
        require_between("VCO input", HSI16_HZ / self.pll.m, self.VCO_INPUT_HZ)
        require_between("VCO output", HSI16_HZ * self.pll.n / self.pll.m, self.VCO_OUTPUT_HZ)

    @property
    def pll_input_hz(self) -> int:
        return HSI16_HZ

    @property
    def pll_ratio(self) -> tuple[int, int]:
        return self.pll.n, self.pll.m * self.pll.r

    @property
    def registers(self) -> Mapping[str, int]:
        return {
            "BOARD_RCC_PLLCFGR": self.pllcfgr,
            "BOARD_RCC_CFGR_DIVIDERS": self.cfgr_dividers,
            "BOARD_FLASH_ACR": self.flash_acr,
        }

    @property
    def switches(self) -> Mapping[str, bool]:
        return {"BOARD_BOOST": self.boost}

    @property
    def pllcfgr(self) -> int:
        """RCC_PLLCFGR: M, N and R, source HSI16, output R on."""
        pll = self.pll
        return (pll.r // 2 - 1) << 25 | 1 << 24 | pll.n << 8 | (pll.m - 1) << 4 | 2

    @property
    def cfgr_dividers(self) -> int:
        """HPRE, PPRE1 and PPRE2 fields of RCC_CFGR."""
        ahb, apb1, apb2 = ahb_field(self.ahb_divider), apb_field(self.apb1_divider), self.apb2_divider
        return ahb << 4 | apb1 << 8 | apb_field(apb2) << 11

    @property
    def flash_acr(self) -> int:
        """FLASH_ACR: wait states, prefetch, instruction and data cache."""
        return 0x700 | self.flash_wait_states
