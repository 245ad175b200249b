# SPDX-License-Identifier: Apache-2.0
"""What the MPS template prints: clocks and serial port of a board as finished text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcu_ser.board.mps import MpsBuild
from mcu_ser.generate.cortex_m import hex_word

if TYPE_CHECKING:
    from mcu_ser.board import Board


@dataclass(frozen=True)
class MpsValues:
    """Every field is the text that the template prints; `firmware_templates/mps` says where."""

    core_hz: str
    uart_hz: str
    uart_base: str
    uart_irq: str
    uart_baud: str


def mps_values(board: Board, baud: int) -> MpsValues | None:
    """The template's values; None for boards of other platforms."""
    build = board.build
    if not isinstance(build, MpsBuild):
        return None
    return MpsValues(
        core_hz=str(board.mcu.clock_hz),
        uart_hz=str(build.uart.clock_hz),
        uart_base=hex_word(build.uart.base),
        uart_irq=str(build.uart.irq),
        uart_baud=str(baud),
    )
