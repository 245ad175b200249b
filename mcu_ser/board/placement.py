# SPDX-License-Identifier: Apache-2.0
"""Which RAM region holds what, on boards with several: activation arena, stack, and all other data.

The rule: `.data`, `.bss` and what survives a reset lie in the first RAM region of the board file. Arena and
stack go, in this order of choice, to a `fast` region, else to the first region in which they fit; the arena
chooses first, because inference reads and writes it most. Where a region holds several of them, the stack
comes first: it grows down, and an overflow then leaves the region and faults instead of reaching data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcu_ser.board.model import MemoryRegion


@dataclass(frozen=True)
class RamNeeds:
    """Bytes of each part: activation arena, stack, and everything else that is static."""

    arena_bytes: int
    stack_bytes: int
    data_bytes: int


@dataclass(frozen=True)
class Placement:
    """The RAM region of each part."""

    arena: MemoryRegion
    stack: MemoryRegion
    data: MemoryRegion


def place(regions: Sequence[MemoryRegion], needs: RamNeeds) -> Placement | None:
    """The regions of arena, stack and data; None if they do not all fit.

    Args:
        regions: RAM regions, the one for data first.
        needs: What is to be placed.
    """
    data = regions[0]
    preferred = sorted(regions, key=lambda region: not region.fast)
    for arena in preferred:
        for stack in preferred:
            placement = Placement(arena, stack, data)
            if all(taken(placement, needs, region) <= region.bytes for region in regions):
                return placement
    return None


def taken(placement: Placement, needs: RamNeeds, region: MemoryRegion) -> int:
    """Bytes that a placement takes of a region."""
    parts = (
        (placement.arena, needs.arena_bytes),
        (placement.stack, needs.stack_bytes),
        (placement.data, needs.data_bytes),
    )
    return sum(size for home, size in parts if home == region)


def largest_arena_bytes(regions: Sequence[MemoryRegion], stack_bytes: int, data_bytes: int) -> int:
    """Most bytes that an arena can have beside stack and data; negative if those alone are too many.

    Args:
        regions: RAM regions, the one for data first.
        stack_bytes: Size of the stack.
        data_bytes: Size of everything else.
    """
    rest = RamNeeds(0, stack_bytes, data_bytes)
    left = []
    for arena in regions:
        for stack in regions:
            rooms = Placement(arena, stack, regions[0])
            if all(taken(rooms, rest, other) <= other.bytes for other in regions if other != arena):
                left.append(arena.bytes - taken(rooms, rest, arena))
    return max(left)
