# SPDX-License-Identifier: Apache-2.0
"""The `build` section of an STM32 board file: clock tree and serial port as register-level facts.

Turns dividers and pin numbers into the register values that the firmware template prints, and refuses
combinations that the chip cannot run. A new board of a family is data alone; a new family is one more
clock model here and one more `clock_<family>.c` in the template.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from mcu_ser.board.section import Address, Bit, Hertz, Section, Source

# Sender and receiver together may be about 5 % apart; 2 % leaves the other side its share.
MAX_BAUD_ERROR_FRACTION = 0.02


class Pll(Section):
    """Main PLL fed by the internal oscillator: f = input / m * n / p (RM0090 section 7.3.2, RCC_PLLCFGR).

    Attributes:
        m: Input divider, 2 to 63.
        n: VCO multiplier, 50 to 432.
        p: System clock divider: 2, 4, 6 or 8.
        q: USB clock divider, 2 to 15; unused by the firmware, but no reserved value may be written.
        r: Third output of the STM32F446, 2 to 7; None where the field does not exist.
    """

    m: Annotated[int, Field(ge=2, le=63)]
    n: Annotated[int, Field(ge=50, le=432)]
    p: Literal[2, 4, 6, 8]
    q: Annotated[int, Field(ge=2, le=15)]
    r: Annotated[int, Field(ge=2, le=7)] | None = None


class ClockF4(Section):
    """Clock tree of an STM32F4 (RM0090, RM0368, RM0383, RM0390), driven by `clock_f4.c`.

    Attributes:
        reset_hz: Internal oscillator, the clock after reset and the input of the PLL.
        voltage_scale: VOS bits of PWR_CR as written (their meaning differs between parts).
        over_drive: The part needs over-drive at this clock (STM32F446 above 168 MHz).
        max_sysclk_hz: Data-sheet limit of the core clock.
        max_apb1_hz: Data-sheet limit of the slow peripheral bus.
        max_apb2_hz: Data-sheet limit of the fast peripheral bus.
    """

    VCO_INPUT_HZ: ClassVar[tuple[int, int]] = (950_000, 2_100_000)
    VCO_OUTPUT_HZ: ClassVar[tuple[int, int]] = (100_000_000, 432_000_000)

    driver: Literal["clock_f4"]
    reset_hz: Hertz
    pll: Pll
    ahb_divider: Literal[1, 2, 4, 8, 16, 64, 128, 256, 512]
    apb1_divider: Literal[1, 2, 4, 8, 16]
    apb2_divider: Literal[1, 2, 4, 8, 16]
    flash_wait_states: Annotated[int, Field(ge=0, le=15)]
    voltage_scale: Annotated[int, Field(ge=0, le=3)]
    over_drive: bool
    max_sysclk_hz: Hertz
    max_apb1_hz: Hertz
    max_apb2_hz: Hertz
    source: Source

    @model_validator(mode="after")
    def _within_limits(self) -> ClockF4:
        _require_between("VCO input", self.reset_hz / self.pll.m, self.VCO_INPUT_HZ)
        _require_between("VCO output", self.reset_hz * self.pll.n / self.pll.m, self.VCO_OUTPUT_HZ)
        if self.reset_hz * self.pll.n % (self.pll.m * self.pll.p * self.ahb_divider):
            raise ValueError("the PLL does not give a whole number of hertz")
        for name, hz, limit in (
            ("core clock", self.sysclk_hz, self.max_sysclk_hz),
            ("APB1 clock", self.apb1_hz, self.max_apb1_hz),
            ("APB2 clock", self.apb2_hz, self.max_apb2_hz),
        ):
            if hz > limit:
                raise ValueError(f"{name} is {hz} Hz, limit {limit} Hz")
        return self

    @property
    def sysclk_hz(self) -> int:
        """Core clock once the PLL runs."""
        return self.reset_hz * self.pll.n // (self.pll.m * self.pll.p * self.ahb_divider)

    @property
    def apb1_hz(self) -> int:
        return self.sysclk_hz // self.apb1_divider

    @property
    def apb2_hz(self) -> int:
        return self.sysclk_hz // self.apb2_divider

    @property
    def tim2_hz(self) -> int:
        """Timers run at twice their bus clock unless that is undivided (RM0090, "internal clock")."""
        return self.apb1_hz * (1 if self.apb1_divider == 1 else 2)

    @property
    def pllcfgr(self) -> int:
        """RCC_PLLCFGR: M, N, P, Q (and R), source HSI."""
        pll = self.pll
        third = 0 if pll.r is None else pll.r << 28
        return third | pll.q << 24 | (pll.p // 2 - 1) << 16 | pll.n << 6 | pll.m

    @property
    def cfgr_dividers(self) -> int:
        """HPRE, PPRE1 and PPRE2 fields of RCC_CFGR."""
        ahb = 0 if self.ahb_divider == 1 else 8 + (2, 4, 8, 16, 64, 128, 256, 512).index(self.ahb_divider)
        return ahb << 4 | _apb_field(self.apb1_divider) << 10 | _apb_field(self.apb2_divider) << 13

    @property
    def flash_acr(self) -> int:
        """FLASH_ACR: wait states, prefetch, instruction and data cache."""
        return 0x700 | self.flash_wait_states

    @property
    def pwr_cr_vos(self) -> int:
        """VOS field of PWR_CR in place."""
        return self.voltage_scale << 14


class RegisterBit(Section):
    """One bit of a 32-bit register, e.g. a clock enable."""

    register_address: Annotated[Address, Field(alias="register")]
    bit: Bit


class Pin(Section):
    """A pin in its alternate function: base address of its GPIO port, pin 0 to 15, function 0 to 15."""

    gpio: Address
    pin: Annotated[int, Field(ge=0, le=15)]
    alternate_function: Annotated[int, Field(ge=0, le=15)]


class UartV1(Section):
    """USART with SR and DR registers (STM32F1, F2, F4), driven by `uart_v1.c` (RM0090 section 30)."""

    driver: Literal["uart_v1"]
    instance: Annotated[str, Field(pattern=r"^(USART|UART)[1-8]$")]
    base: Address
    irq: Annotated[int, Field(ge=0, le=239)]
    bus: Literal["apb1", "apb2"]
    clock_enable: RegisterBit
    gpio_clock_enable: RegisterBit
    tx: Pin
    rx: Pin
    source: Source


class Stm32Build(Section):
    """How an STM32 firmware is compiled and what its start-up code sets up."""

    family: Literal["stm32f4"]
    cflags: tuple[Annotated[str, Field(pattern=r"^-m[A-Za-z0-9=+.-]+$")], ...]
    clock: ClockF4
    uart: UartV1

    def baud_error_fraction(self, baud: int) -> float:
        """Largest relative error of the baud rate, at full clock and at the reset clock.

        The reset clock counts too: the firmware falls back to it when the PLL does not lock.
        """
        full_hz = self.clock.apb1_hz if self.uart.bus == "apb1" else self.clock.apb2_hz
        return max(_divided_baud_error(hz, baud) for hz in (full_hz, self.clock.reset_hz))


def _divided_baud_error(clock_hz: int, baud: int) -> float:
    divisor = max(1, (clock_hz + baud // 2) // baud)
    return abs(clock_hz / divisor - baud) / baud


def _apb_field(divider: int) -> int:
    return 0 if divider == 1 else 4 + (2, 4, 8, 16).index(divider)


def _require_between(name: str, hz: float, bounds: tuple[int, int]) -> None:
    low, high = bounds
    if not low <= hz <= high:
        raise ValueError(f"{name} is {hz:.0f} Hz, limit {low} to {high} Hz")
