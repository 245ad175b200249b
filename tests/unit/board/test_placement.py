# SPDX-License-Identifier: Apache-2.0
"""Where arena, stack and data go on boards with several RAM regions."""

from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.board import MemoryRegion, load_board
from mcu_ser.board.placement import Placement, RamNeeds, largest_arena_bytes, place, taken

KIB = 1024


def region(name: str, size: int, *, fast: bool = False) -> MemoryRegion:
    return MemoryRegion(name=name, kind="ram", origin=0, bytes=size, fast=fast, source="a test")


REGIONS = st.lists(st.tuples(st.integers(1, 200), st.booleans()), min_size=1, max_size=4).map(
    lambda rows: tuple(region(f"R{i}", size, fast=fast) for i, (size, fast) in enumerate(rows))
)
SIZE = st.integers(0, 150)


def homes(board_id: str, arena_bytes: int) -> tuple[str, str, str]:
    board = load_board(board_id)
    assert board.budget is not None
    needs = RamNeeds(arena_bytes, board.budget.stack_bytes, board.budget.data_bytes)
    placement = place(board.ram_regions, needs)
    assert placement is not None
    return placement.arena.name, placement.stack.name, placement.data.name


def test_core_coupled_ram_holds_arena_and_stack_if_they_fit() -> None:
    assert homes("stm32f407g_disc1", 40 * KIB) == ("CCM", "CCM", "RAM")
    assert homes("stm32f407g_disc1", 64 * KIB) == ("CCM", "RAM", "RAM")
    assert homes("stm32f407g_disc1", 64 * KIB + 16) == ("RAM", "CCM", "RAM")
    assert homes("stm32f407g_disc1", 120 * KIB) == ("RAM", "CCM", "RAM")


def test_a_small_arena_lies_in_dtcm_and_a_large_one_in_axi_sram() -> None:
    assert homes("nucleo_h743zi2", 112 * KIB) == ("DTCM", "DTCM", "DTCM")
    assert homes("nucleo_h743zi2", 120 * KIB) == ("DTCM", "AXI_SRAM", "DTCM")
    assert homes("nucleo_h743zi2", 512 * KIB) == ("AXI_SRAM", "DTCM", "DTCM")


def test_regions_of_equal_speed_are_taken_in_order() -> None:
    assert homes("nucleo_l476rg", 80 * KIB) == ("RAM", "RAM", "RAM")
    assert homes("nucleo_l476rg", 88 * KIB) == ("RAM", "SRAM2", "RAM")


def test_boards_with_one_region_have_no_choice() -> None:
    for board_id in ("netduinoplus2", "nucleo_f446re", "nucleo_f767zi", "nucleo_l4r5zi"):
        assert homes(board_id, 1024) == ("RAM", "RAM", "RAM")


@given(REGIONS, SIZE, SIZE, SIZE)
def test_what_is_placed_fits_and_what_is_refused_fits_nowhere(
    regions: tuple[MemoryRegion, ...], arena: int, stack: int, data: int
) -> None:
    needs = RamNeeds(arena, stack, data)

    def fits(placement: Placement) -> bool:
        return all(taken(placement, needs, one) <= one.bytes for one in regions)

    anywhere = [Placement(a, s, regions[0]) for a in regions for s in regions]
    placement = place(regions, needs)
    if placement is None:
        assert not any(map(fits, anywhere))
    else:
        assert fits(placement)
        assert placement.data == regions[0]
        faster = [p for p in anywhere if p.arena.fast and not placement.arena.fast and fits(p)]
        assert not faster, "a fast region has room for the arena"


@given(REGIONS, SIZE, SIZE)
def test_largest_arena_is_the_largest_that_can_be_placed(
    regions: tuple[MemoryRegion, ...], stack: int, data: int
) -> None:
    largest = largest_arena_bytes(regions, stack, data)
    placeable = [size for size in range(201) if place(regions, RamNeeds(size, stack, data)) is not None]
    assert (max(placeable) if placeable else -1) == max(largest, -1)


@given(REGIONS, SIZE, SIZE, SIZE)
def test_parts_are_counted_where_they_lie(
    regions: tuple[MemoryRegion, ...], arena: int, stack: int, data: int
) -> None:
    needs = RamNeeds(arena, stack, data)
    placement = Placement(regions[-1], regions[0], regions[0])
    assert sum(taken(placement, needs, one) for one in regions) == arena + stack + data
