# SPDX-License-Identifier: Apache-2.0
"""The `build` section of an STM32 board file: clock tree and serial port as register-level facts.

Turns dividers and pin numbers into the register values that the firmware template prints, and refuses
combinations that the chip cannot run. A new board of a family is data alone; a new family is one more entry
of `FAMILIES`, with its clock tree here and its `clock_<family>.c` and registers in the template.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from pydantic import SerializeAsAny, ValidationError, model_validator

from mcu_ser.board.baud import MAX_BAUD_ERROR_FRACTION
from mcu_ser.board.clock import Clock
from mcu_ser.board.clock_f4 import ClockF4, ClockF7
from mcu_ser.board.clock_h7 import ClockH7
from mcu_ser.board.clock_l4 import ClockL4
from mcu_ser.board.section import CFlag, Section
from mcu_ser.board.uart import Uart, UartV1, UartV2
from mcu_ser.board.validation import NestedError

FamilyName: TypeAlias = Literal["stm32f4", "stm32f7", "stm32h7", "stm32l4"]


@dataclass(frozen=True)
class Family:
    """What the parts of a family share: classes of their sections, and the template's register header."""

    clock: type[Clock]
    uart: type[Uart]
    registers: str


FAMILIES: Mapping[FamilyName, Family] = {
    "stm32f4": Family(ClockF4, UartV1, "registers_stm32f4.h"),
    "stm32f7": Family(ClockF7, UartV2, "registers_stm32f4.h"),
    "stm32h7": Family(ClockH7, UartV2, "registers_stm32h7.h"),
    "stm32l4": Family(ClockL4, UartV2, "registers_stm32l4.h"),
}


class Stm32Build(Section):
    """How an STM32 firmware is compiled and what its start-up code sets up."""

    family: FamilyName
    cflags: tuple[CFlag, ...]
    clock: SerializeAsAny[Clock]
    uart: SerializeAsAny[Uart]

    @model_validator(mode="before")
    @classmethod
    def _sections_of_the_family(cls, data: Any) -> Any:
        """Validate `clock` and `uart` as the family's own, so that errors speak of those alone."""
        if not isinstance(data, dict) or data.get("family") not in FAMILIES:
            return data
        family = FAMILIES[data["family"]]
        sections: dict[str, type[Section]] = {"clock": family.clock, "uart": family.uart}
        validated = {}
        for key, section in sections.items():
            if key in data:
                try:
                    validated[key] = section.model_validate(data[key])
                except ValidationError as error:
                    raise NestedError(f"build.{key}", error) from error
        return {**data, **validated}

    @property
    def uart_hz(self) -> int:
        """Clock that the UART divides, once the PLL runs."""
        return self.clock.apb1_hz if self.uart.bus == "apb1" else self.clock.apb2_hz

    def baud_error_fraction(self, baud: int) -> float:
        """Largest relative error of the bit rate, at full clock and at the reset clock.

        The reset clock counts too: the firmware falls back to it when the PLL does not lock.
        """
        return max(self.uart.baud_error_fraction(hz, baud) for hz in (self.uart_hz, self.clock.reset_hz))

    def reset_baud(self, baud: int, default: int) -> int:
        """Bit rate of a firmware for `baud` that stays at the reset clock: that, else the board's default."""
        error = self.uart.baud_error_fraction(self.clock.reset_hz, baud)
        return baud if error <= MAX_BAUD_ERROR_FRACTION else default
