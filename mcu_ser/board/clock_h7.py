# SPDX-License-Identifier: Apache-2.0
"""The clock tree of STM32H742 to H753, driven by `clock_h7.c`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from mcu_ser.board.clock import ApbDivider, Clock, ahb_field, apb_field, require_between
from mcu_ser.board.section import Hertz, Section


class PllH7(Section):
    """PLL1 fed by the internal oscillator: f = input / m * n / p (RM0433, RCC_PLLCKSELR and RCC_PLL1DIVR).

    Attributes:
        m: Input divider, 1 to 63.
        n: VCO multiplier, 4 to 512.
        p: System clock divider, an even number from 2 to 128.
        q: Second output, 1 to 128; unused by the firmware.
        r: Third output, 1 to 128; unused by the firmware.
    """

    m: Annotated[int, Field(ge=1, le=63)]
    n: Annotated[int, Field(ge=4, le=512)]
    p: Annotated[int, Field(ge=2, le=128, multiple_of=2)]
    q: Annotated[int, Field(ge=1, le=128)]
    r: Annotated[int, Field(ge=1, le=128)]


class ClockH7(Clock):
    """Clock tree of an STM32H743 (RM0433), core supplied by the LDO; the core runs at the PLL's clock.

    Attributes:
        pll: PLL1, fed by HSI.
        ahb_divider: Between core and AXI and AHB buses.
        apb3_divider: Of the APB in domain D1.
        apb4_divider: Of the APB in domain D3.
        flash_wait_states: For the AXI clock.
        flash_write_delay: WRHIGHFREQ bits of FLASH_ACR as written.
        voltage_scale: VOS bits of PWR_D3CR as written: 3 is scale 1.
        max_ahb_hz: Data-sheet limit of AXI and AHB.
        max_apb1_hz: Data-sheet limit of APB1, APB3 and APB4.
    """

    # Wide VCO range (RM0433, PLL1VCOSEL = 0), and what PLL1RGE can say of its input.
    VCO_INPUT_HZ: ClassVar[tuple[int, int]] = (2_000_000, 16_000_000)
    VCO_OUTPUT_HZ: ClassVar[tuple[int, int]] = (192_000_000, 836_000_000)

    driver: Literal["clock_h7"]
    pll: PllH7
    apb3_divider: ApbDivider
    apb4_divider: ApbDivider
    flash_write_delay: Annotated[int, Field(ge=0, le=3)]
    voltage_scale: Annotated[int, Field(ge=1, le=3)]
    max_ahb_hz: Hertz

    def _check_pll(self) -> None:
        require_between("VCO input", self.reset_hz / self.pll.m, self.VCO_INPUT_HZ)
        require_between("VCO output", self.reset_hz * self.pll.n / self.pll.m, self.VCO_OUTPUT_HZ)

    def _limited(self) -> tuple[tuple[str, int, int], ...]:
        return (
            ("AHB clock", self.ahb_hz, self.max_ahb_hz),
            *super()._limited(),
            ("APB3 clock", self.ahb_hz // self.apb3_divider, self.max_apb1_hz),
            ("APB4 clock", self.ahb_hz // self.apb4_divider, self.max_apb1_hz),
        )

    @property
    def pll_ratio(self) -> tuple[int, int]:
        return self.pll.n, self.pll.m * self.pll.p

    @property
    def core_hz(self) -> int:
        return self.pll_hz

    @property
    def registers(self) -> Mapping[str, int]:
        return {
            "BOARD_RCC_PLLCKSELR_DIVM1": self.pll.m << 4,
            "BOARD_RCC_PLLCFGR_PLL1": self.pllcfgr,
            "BOARD_RCC_PLL1DIVR": self.pll1divr,
            "BOARD_RCC_D1CFGR": self.d1cfgr,
            "BOARD_RCC_D2CFGR": self.d2cfgr,
            "BOARD_RCC_D3CFGR": apb_field(self.apb4_divider) << 4,
            "BOARD_FLASH_ACR": self.flash_acr,
            "BOARD_PWR_D3CR_VOS": self.voltage_scale << 14,
        }

    @property
    def pllcfgr(self) -> int:
        """PLL1 fields of RCC_PLLCFGR: outputs P, Q and R on, input range, wide VCO, no fraction."""
        input_hz = self.reset_hz // self.pll.m
        input_range = 1 + sum(input_hz >= limit for limit in (4_000_000, 8_000_000))
        return 7 << 16 | input_range << 2

    @property
    def pll1divr(self) -> int:
        """RCC_PLL1DIVR: N, P, Q and R, each less one."""
        pll = self.pll
        return (pll.r - 1) << 24 | (pll.q - 1) << 16 | (pll.p - 1) << 9 | (pll.n - 1)

    @property
    def d1cfgr(self) -> int:
        """RCC_D1CFGR: core undivided, HPRE and D1PPRE."""
        return apb_field(self.apb3_divider) << 4 | ahb_field(self.ahb_divider)

    @property
    def d2cfgr(self) -> int:
        """RCC_D2CFGR: D2PPRE1 and D2PPRE2."""
        return apb_field(self.apb2_divider) << 8 | apb_field(self.apb1_divider) << 4

    @property
    def flash_acr(self) -> int:
        """FLASH_ACR: wait states and write delay."""
        return self.flash_write_delay << 4 | self.flash_wait_states
