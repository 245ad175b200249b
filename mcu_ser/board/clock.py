# SPDX-License-Identifier: Apache-2.0
"""What the clock trees of all STM32 families have in common: an oscillator, one PLL, bus dividers, limits."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from mcu_ser.board.section import Hertz, Section, Source

AHB_DIVIDERS = (2, 4, 8, 16, 64, 128, 256, 512)
APB_DIVIDERS = (2, 4, 8, 16)
AhbDivider = Literal[1, 2, 4, 8, 16, 64, 128, 256, 512]
ApbDivider = Literal[1, 2, 4, 8, 16]


class Clock(Section):
    """The clock tree of an STM32; a family's own class adds its PLL and says which registers hold it.

    Attributes:
        driver: The C file of the template that sets it up.
        reset_hz: Core clock after reset, to which the firmware falls back.
        ahb_divider: Between PLL and buses.
        apb1_divider: Between AHB and the slow peripheral bus.
        apb2_divider: Between AHB and the fast peripheral bus.
        flash_wait_states: Of the flash at the full clock.
        max_sysclk_hz: Data-sheet limit of the core clock.
        max_apb1_hz: Data-sheet limit of the slow peripheral bus.
        max_apb2_hz: Data-sheet limit of the fast peripheral bus.
    """

    driver: str
    reset_hz: Hertz
    ahb_divider: AhbDivider
    apb1_divider: ApbDivider
    apb2_divider: ApbDivider
    flash_wait_states: Annotated[int, Field(ge=0, le=15)]
    max_sysclk_hz: Hertz
    max_apb1_hz: Hertz
    max_apb2_hz: Hertz
    source: Source

    @model_validator(mode="after")
    def _within_limits(self) -> Clock:
        self._check_pll()
        multiplied, divided = self.pll_ratio
        if self.pll_input_hz * multiplied % (divided * self.ahb_divider):
            raise ValueError("the PLL does not give a whole number of hertz")
        for name, hz, limit in self._limited():
            if hz > limit:
                raise ValueError(f"{name} is {hz} Hz, limit {limit} Hz")
        return self

    def _limited(self) -> tuple[tuple[str, int, int], ...]:
        """Clocks with their data-sheet limits."""
        return (
            ("core clock", self.core_hz, self.max_sysclk_hz),
            ("APB1 clock", self.apb1_hz, self.max_apb1_hz),
            ("APB2 clock", self.apb2_hz, self.max_apb2_hz),
        )

    @abstractmethod
    def _check_pll(self) -> None:
        """Raise ValueError unless the PLL runs within its limits."""

    @property
    @abstractmethod
    def pll_ratio(self) -> tuple[int, int]:
        """What the PLL multiplies and divides its input by."""

    @property
    @abstractmethod
    def registers(self) -> Mapping[str, int]:
        """Macro of board_config.h -> register value, for the clock driver."""

    @property
    def switches(self) -> Mapping[str, bool]:
        """Macro of board_config.h -> whether the clock driver takes that step."""
        return {}

    @property
    def pll_input_hz(self) -> int:
        """Oscillator that feeds the PLL."""
        return self.reset_hz

    @property
    def pll_hz(self) -> int:
        """Output of the PLL."""
        multiplied, divided = self.pll_ratio
        return self.pll_input_hz * multiplied // divided

    @property
    def ahb_hz(self) -> int:
        return self.pll_hz // self.ahb_divider

    @property
    def core_hz(self) -> int:
        """Core clock once the PLL runs."""
        return self.ahb_hz

    @property
    def apb1_hz(self) -> int:
        return self.ahb_hz // self.apb1_divider

    @property
    def apb2_hz(self) -> int:
        return self.ahb_hz // self.apb2_divider

    @property
    def tim2_hz(self) -> int:
        """Timers run at twice their bus clock unless that is undivided (RM0090, "internal clock")."""
        return self.apb1_hz * (1 if self.apb1_divider == 1 else 2)


def ahb_field(divider: int) -> int:
    """Value of an HPRE field (RM0090, RCC_CFGR; the same in all families)."""
    return 0 if divider == 1 else 8 + AHB_DIVIDERS.index(divider)


def apb_field(divider: int) -> int:
    """Value of a PPRE field (RM0090, RCC_CFGR; the same in all families)."""
    return 0 if divider == 1 else 4 + APB_DIVIDERS.index(divider)


def require_between(name: str, hz: float, bounds: tuple[int, int]) -> None:
    """Raise ValueError unless `hz` lies between the bounds or on one."""
    low, high = bounds
    if not low <= hz <= high:
        raise ValueError(f"{name} is {hz:.0f} Hz, limit {low} to {high} Hz")
