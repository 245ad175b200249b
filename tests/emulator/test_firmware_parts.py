# SPDX-License-Identifier: Apache-2.0
"""The parts of real firmware: they add up to what the ELF takes, and are what the generator wrote."""

import shutil

import pytest

from mcu_ser.aot.compile import compile_model
from mcu_ser.board import load_board
from mcu_ser.errors import ConfigError
from mcu_ser.toolchain.cmake_gcc import BuildResult, build
from mcu_ser.toolchain.firmware_parts import Part, find_parts
from tests.stm32_firmware import generate_tiny, require_tools
from tests.tiny_model import tiny_classifier

pytestmark = pytest.mark.emulator


# Flash at address 0, where debugging sections are too; an arena in a RAM region of its own.
BUILDS = {
    "fast": ("netduinoplus2", "-O2"),
    "small": ("netduinoplus2", "-Os"),
    "flash-at-0": ("mps2_an386", "-O2"),
    "several-rams": ("nucleo_h743zi2", "-O2"),
}


@pytest.fixture(scope="module", params=BUILDS.values(), ids=BUILDS.keys())
def result(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> BuildResult:
    board_id, optimization = request.param
    board = load_board(board_id)
    require_tools(board)
    project = generate_tiny(tmp_path_factory.mktemp("parts"), board)
    return build(project, {"FIRMWARE_OPTIMIZATION": optimization})


def test_parts_add_up_to_the_footprint(result: BuildResult) -> None:
    parts = find_parts(result.elf)
    assert parts is not None
    assert sum(parts.flash.values()) == result.footprint.flash_bytes
    assert sum(parts.ram.values()) == result.footprint.ram_bytes
    assert Part.OTHER not in parts.flash
    assert Part.OTHER not in parts.ram


def test_model_and_arena_are_what_was_generated(result: BuildResult) -> None:
    parts = find_parts(result.elf)
    assert parts is not None
    compiled = compile_model(tiny_classifier())
    assert parts.flash[Part.MODEL] == compiled.weight_bytes
    assert parts.ram[Part.ARENA] == compiled.arena_bytes
    assert parts.ram[Part.STACK] == 8192
    assert {Part.KERNELS, Part.RUNTIME, Part.LIBC, Part.APPLICATION} <= parts.flash.keys()
    assert parts.flash.get(Part.PADDING, 0) < 256


def test_the_map_of_another_firmware_is_refused(result: BuildResult, tmp_path) -> None:
    elf = tmp_path / "firmware.elf"
    shutil.copy(result.elf, elf)
    text = result.elf.with_suffix(".map").read_text()
    size = f"{result.footprint.sections[1].bytes:#x}"
    elf.with_suffix(".map").write_text(text.replace(f" {size}\n", " 0x4\n", 1))
    with pytest.raises(ConfigError, match=r"firmware\.map: is not the map of firmware\.elf: section \.text"):
        find_parts(elf)
