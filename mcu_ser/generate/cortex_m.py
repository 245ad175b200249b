# SPDX-License-Identifier: Apache-2.0
"""What the templates of every Cortex-M platform print: compiler flags, linker regions, placement in RAM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcu_ser.board.mps import MpsBuild
from mcu_ser.board.placement import RamNeeds, place
from mcu_ser.board.stm32 import Stm32Build

if TYPE_CHECKING:
    from mcu_ser.board import Board, MemoryRegion

# Ring of the receive interrupt: three frames of the largest size, rounded up to a power of two.
RX_RING_BYTES = 2048


@dataclass(frozen=True)
class LinkerRegion:
    """One line of the linker script's MEMORY."""

    name: str
    attributes: str
    origin: str
    length: str


@dataclass(frozen=True)
class CortexMValues:
    """Every field is the text that the templates print; `firmware_templates/cortex_m` says where."""

    cflags: str
    regions: tuple[LinkerRegion, ...]
    flash: str
    data_region: str
    stack_region: str
    arena_region: str
    stack_bytes: str
    rx_ring_bytes: str
    caches: str


def cortex_m_values(board: Board, arena_bytes: int, front_end_bytes: int = 0) -> CortexMValues | None:
    """The templates' values for a Cortex-M board that CMake builds for; None for other boards.

    Args:
        board: The board; `Board` has checked that it has flash, RAM and a budget.
        arena_bytes: RAM for activations, at most the budget's.
        front_end_bytes: RAM of the front end, which lies with the data.
    """
    build, budget = board.build, board.budget
    if not isinstance(build, (Stm32Build, MpsBuild)) or budget is None:
        return None
    needs = RamNeeds(arena_bytes, budget.stack_bytes, budget.data_bytes + front_end_bytes)
    placement = place(board.ram_regions, needs)
    # generate.fit refuses larger arenas than the budget's, and `Board` a budget that cannot be placed.
    assert placement is not None
    return CortexMValues(
        cflags=" ".join(build.cflags),
        regions=tuple(_linker_region(region) for region in board.memory),
        flash=board.flash_regions[0].name,
        data_region=placement.data.name,
        stack_region=placement.stack.name,
        arena_region=placement.arena.name,
        stack_bytes=str(budget.stack_bytes),
        rx_ring_bytes=str(RX_RING_BYTES),
        caches=str(int("cache" in board.mcu.features)),
    )


def _linker_region(region: MemoryRegion) -> LinkerRegion:
    attributes = "rx" if region.kind == "flash" else "rwx"
    return LinkerRegion(region.name, attributes, hex_word(region.origin), str(region.bytes))


def hex_word(value: int) -> str:
    """A 32-bit register value or address as C and the linker read it."""
    return f"0x{value:08X}"
