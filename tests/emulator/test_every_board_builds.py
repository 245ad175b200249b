# SPDX-License-Identifier: Apache-2.0
"""Every board that CMake cross-compiles for: built from one small model, its sizes held against its YAML.

The build takes warnings as errors. What runs is tested elsewhere: the emulated boards in test_mps.py and
test_stm32_*.py, the others in test_unicorn_boards.py.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from mcu_ser.board import Board, list_boards, load_board, parse_board
from mcu_ser.board.placement import RamNeeds, place
from mcu_ser.cli.main import main
from mcu_ser.errors import BudgetError
from mcu_ser.generate.project import Project
from mcu_ser.toolchain.cmake_gcc import build
from mcu_ser.toolchain.footprint import Footprint
from tests.stm32_firmware import generate_tiny, require_tools
from tests.tiny_model import tiny_classifier

pytestmark = pytest.mark.emulator

SECTIONS = {
    *(".vectors", ".text", ".rodata", ".ARM.exidx", ".init_array"),
    *(".stack", ".noinit", ".data", ".bss", ".arena"),
}
BOARDS = [board for board in list_boards() if board.platform in {"stm32", "mps"}]


def addresses(elf: Path) -> dict[str, int]:
    """Symbol -> address."""
    with elf.open("rb") as stream:
        symbols = ELFFile(stream).get_section_by_name(".symtab").iter_symbols()
        return {symbol.name: symbol["st_value"] for symbol in symbols}


def architecture(elf: Path) -> dict[str, str]:
    """The build attributes that say for which core and FPU the code is."""
    with elf.open("rb") as stream:
        section = ELFFile(stream).get_section_by_name(".ARM.attributes")
        (vendor,) = section.iter_subsections()
        (file,) = vendor.iter_subsubsections()
        return {attribute.tag: attribute.value for attribute in file.iter_attributes()}


def require_as_planned(project: Project, footprint: Footprint) -> None:
    """Check that each part lies in the region that was chosen for it, and that none is too full."""
    board = project.board
    assert board.budget is not None
    for use, region in zip(footprint.regions, board.memory, strict=True):
        assert (use.name, use.kind, use.limit_bytes) == (region.name, region.kind, region.bytes)
        assert use.bytes <= region.bytes
    kinds = {"flash": footprint.flash_bytes, "ram": footprint.ram_bytes}
    for kind, total in kinds.items():
        assert sum(use.bytes for use in footprint.regions if use.kind == kind) == total
    needs = RamNeeds(project.arena_bytes, board.budget.stack_bytes, board.budget.data_bytes)
    placement = place(board.ram_regions, needs)
    assert placement is not None
    symbols = addresses(project.elf_path)
    assert symbols["ld_stack_bottom"] == placement.stack.origin
    assert symbols["ld_stack_top"] - symbols["ld_stack_bottom"] == board.budget.stack_bytes
    assert placement.data.origin <= symbols["ld_data_start"] <= symbols["ld_bss_end"] <= placement.data.end
    assert (
        placement.arena.origin <= symbols["ld_arena_start"] <= symbols["ld_arena_end"] <= placement.arena.end
    )
    assert symbols["ld_arena_end"] - symbols["ld_arena_start"] >= project.arena_bytes
    # A section that the linker script does not name is put anywhere, and start-up leaves it as it is.
    assert {section.name for section in footprint.sections} <= SECTIONS
    data_bytes = symbols["ld_bss_end"] - symbols["ld_data_start"]
    assert data_bytes <= board.budget.data_bytes, "the budget keeps enough for the runtime"


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.id)
def test_board_builds_and_fits_as_planned(board: Board, tmp_path: Path) -> None:
    require_tools(board)
    project = generate_tiny(tmp_path, board)
    result = build(project)
    require_as_planned(project, result.footprint)
    assert result.footprint.flash_bytes == (project.build_dir / "firmware.bin").stat().st_size
    assert "warning" not in result.log.read_text()
    tags = architecture(project.elf_path)
    assert tags["TAG_ABI_VFP_ARGS"] == 1, "hard float"
    double = board.mcu.core in {"cortex-m7", "cortex-m55"}
    # Addenda to the Arm ABI, 3.3.6: Tag_ABI_HardFP_use 1 is single precision only.
    assert (tags.get("TAG_ABI_HARDFP_USE") == 1) == (not double)
    commands = (project.build_dir / "compile_commands.json").read_text()
    assert commands.count(f"-mcpu={board.mcu.core} ") == commands.count('"command"') >= 15


def test_every_family_is_among_them() -> None:
    """A board that is lost, or a platform that is renamed, must not shorten the list quietly."""
    assert {board.id for board in BOARDS} >= {
        *("netduinoplus2", "nucleo_f401re", "nucleo_f411re", "nucleo_f446re", "stm32f407g_disc1"),
        *("nucleo_l476rg", "b_l475e_iot01a", "nucleo_l4r5zi", "nucleo_f767zi", "nucleo_h743zi2"),
        *("mps2_an386", "mps2_an500", "mps3_an547"),
    }


def test_arena_that_does_not_fit_beside_data_goes_to_the_next_region(tmp_path: Path) -> None:
    text = load_board("nucleo_h743zi2").yaml_text
    assert text.count("bytes: 131072") == 1
    board = parse_board(text.replace("bytes: 131072", "bytes: 16400"), Path("small.yaml"))
    require_tools(board)
    project = generate_tiny(tmp_path, board)
    result = build(project)
    require_as_planned(project, result.footprint)
    used = {use.name: use.bytes for use in result.footprint.regions}
    assert used["AXI_SRAM"] >= project.arena_bytes


def test_region_that_is_too_small_is_named(tmp_path: Path) -> None:
    """What the budget keeps for data is a promise of the board file; the linker finds a broken one."""
    text = load_board("stm32f407g_disc1").yaml_text
    for old, new in (
        ("bytes: 131072", "bytes: 2048"),
        ("arena_bytes: 122880", "arena_bytes: 512\n  data_bytes: 0"),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    board = parse_board(text, Path("small.yaml"))
    require_tools(board)
    with pytest.raises(BudgetError) as caught:
        build(generate_tiny(tmp_path, board))
    assert re.match(
        r"stm32f407g_disc1: the firmware is \d+ B too big for the RAM region RAM \(largest: ",
        str(caught.value),
    )


def test_build_prints_what_each_ram_region_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    board = load_board("stm32f407g_disc1")
    require_tools(board)
    project = generate_tiny(tmp_path, board)
    assert main(["build", str(project.root)]) == 0
    rows = [line.split("│")[1:] for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    table = {cells[0].rstrip(): [cell.strip() for cell in cells[1:3]] for cells in rows}
    assert table[" RAM"][1] == "196608 B"
    assert table["   RAM"][1] == "131072 B"
    ccm_bytes = board.budget.stack_bytes + project.arena_bytes if board.budget else 0
    assert table["   CCM"] == [f"{ccm_bytes} B", "65536 B"]


# The recipe of the README: a board of a known family, told by what differs from one that is there.
BLACKPILL = {
    "id: nucleo_f411re": "id: blackpill_f411ce",
    "name: NUCLEO-F411RE": "name: WeAct Black Pill F411CE",
    "vendor: STMicroelectronics": "vendor: WeAct",
    "part: STM32F411RE": "part: STM32F411CE",
    "instance: USART2": "instance: USART1",
    "base: 0x40004400": "base: 0x40011000",
    "irq: 38": "irq: 37",
    "bus: apb1": "bus: apb2",
    "clock_enable: {register: 0x40023840, bit: 17}": "clock_enable: {register: 0x40023844, bit: 4}",
    "pin: 2,": "pin: 9,",
    "pin: 3,": "pin: 10,",
    "usb_ids: [[0x0483, 0x374B]]": "usb_ids: []",
}


def test_a_new_board_is_one_yaml(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = load_board("nucleo_f411re").yaml_text
    for old, new in BLACKPILL.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    text = re.sub(r"\nflash:\n(?: .*\n)+", "\nflash: null\n", text)
    boards = tmp_path / "boards"
    boards.mkdir()
    (boards / "blackpill_f411ce.yaml").write_text(text)
    model, out = tmp_path / "model.tflite", tmp_path / "project"
    model.write_bytes(tiny_classifier())
    require_tools(load_board("blackpill_f411ce", boards))
    options = ["--boards-dir", str(boards)]
    assert main(["boards", "show", "blackpill_f411ce", *options]) == 0
    assert main(["generate", str(model), "--board", "blackpill_f411ce", "--out", str(out), *options]) == 0
    # From here on the project carries its board file: the directory is not needed any more.
    (boards / "blackpill_f411ce.yaml").unlink()
    assert main(["build", str(out)]) == 0
    assert f"wrote {out / 'build' / 'firmware.elf'}" in capsys.readouterr().out
    project = Project.load(out)
    header = (out / "src" / "port" / "board_config.h").read_text()
    assert "#define BOARD_UART_BASE 0x40011000u" in header
    assert "#define BOARD_TX_PIN 9u" in header
    assert project.board.name == "WeAct Black Pill F411CE"
