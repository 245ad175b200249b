# SPDX-License-Identifier: Apache-2.0
"""Firmware for the STM32 as it is built: its bytes, sizes and limits, and that it computes at every level."""

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from mcu_ser.board import load_board, parse_board
from mcu_ser.convert.oracle import Oracle
from mcu_ser.device.emulator import QemuEmulator
from mcu_ser.device.link import Link
from mcu_ser.errors import BudgetError, BuildError
from mcu_ser.generate.project import Project
from mcu_ser.toolchain.build_record import BuildResult
from mcu_ser.toolchain.cmake_gcc import build
from mcu_ser.verify.client import Client
from mcu_ser.verify.harness import Expectation, run_samples
from tests.stm32_firmware import generate_tiny, require_tools

pytestmark = pytest.mark.emulator


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    board = load_board("netduinoplus2")
    require_tools(board)
    return generate_tiny(tmp_path_factory.mktemp("build"), board)


@pytest.fixture(scope="module")
def result(project: Project) -> BuildResult:
    return build(project)


def test_flash_is_the_image_and_ram_what_the_linker_placed(project: Project, result: BuildResult) -> None:
    assert result.footprint.flash_bytes == (project.build_dir / "firmware.bin").stat().st_size
    answer = subprocess.run(
        ["arm-none-eabi-size", "-A", "-d", result.elf], check=True, capture_output=True, text=True, timeout=20
    )
    sizes = {
        name: int(size) for name, size in re.findall(r"^(\.\S+)\s+(\d+)\s+\d+$", answer.stdout, re.MULTILINE)
    }
    ram = sum(sizes.get(name, 0) for name in (".stack", ".noinit", ".data", ".bss", ".arena"))
    assert result.footprint.ram_bytes == ram
    assert sizes[".stack"] == 8192


def test_firmware_knows_nothing_of_where_it_was_built(
    project: Project, result: BuildResult, tmp_path: Path
) -> None:
    content = result.elf.read_bytes()
    assert str(project.root).encode() not in content
    again = generate_tiny(tmp_path, load_board("netduinoplus2"))
    assert build(again).elf.read_bytes() == content


def test_firmware_uses_no_heap_and_no_standard_output(result: BuildResult) -> None:
    answer = subprocess.run(
        ["arm-none-eabi-nm", result.elf], check=True, capture_output=True, text=True, timeout=20
    )
    names = {line.split()[-1] for line in answer.stdout.splitlines()}
    assert {"reset_handler", "uart_interrupt", "engine_invoke"} <= names
    assert not names & {"malloc", "free", "_malloc_r", "printf", "_sbrk", "_write", "__aeabi_dadd"}


def test_vector_table_is_at_the_start_of_flash(result: BuildResult, project: Project) -> None:
    image = (project.build_dir / "firmware.bin").read_bytes()
    stack, reset = (int.from_bytes(image[at : at + 4], "little") for at in (0, 4))
    board = project.board
    assert board.budget is not None
    assert stack == board.ram_regions[0].origin + board.budget.stack_bytes
    assert board.flash_regions[0].origin < reset < board.flash_regions[0].end
    assert reset & 1, "Thumb code"


def test_memory_of_the_board_ends_the_link(tmp_path: Path) -> None:
    """The tiny model passes the check of arena and weights; the firmware around it does not fit."""
    text = load_board("netduinoplus2").yaml_text
    for old, new in (
        ("bytes: 1048576", "bytes: 4096"),
        ("flash_reserve_bytes: 32768", "flash_reserve_bytes: 0"),
        ("bytes: 131072", "bytes: 9000"),
        ("arena_bytes: 114688", "arena_bytes: 512\n  data_bytes: 0"),
    ):
        text = text.replace(old, new)
    board = parse_board(text, Path("small.yaml"))
    require_tools(board)
    with pytest.raises(BudgetError) as caught:
        build(generate_tiny(tmp_path, board))
    message = str(caught.value)
    found = re.fullmatch(
        r"netduinoplus2: the firmware is (\d+) B too big for the (flash|RAM) "
        r"\(largest: ([\w.]+) \d+ B, [\w.]+ \d+ B, [\w.]+ \d+ B\), limit (4096|9000) B; "
        r"try: a smaller model, or a board with more (flash|RAM)",
        message,
    )
    assert found is not None, message
    assert int(found[1]) > 0


def test_static_constructor_ends_the_link(tmp_path: Path) -> None:
    """Nothing would call it, and what it should have prepared would be missing in silence."""
    board = load_board("netduinoplus2")
    require_tools(board)
    project = generate_tiny(tmp_path, board)
    main = project.root / "src" / "runtime" / "main.c"
    text = main.read_text()
    early = "static volatile int early;\n__attribute__((constructor)) static void set(void) { early = 1; }\n"
    main.write_text(text + early)
    with pytest.raises(BuildError, match="error: a static constructor is linked, and nothing calls it"):
        build(project)


@pytest.mark.parametrize("optimization", ["-O2", "-Os", "-O0"])
def test_every_optimisation_level_computes_what_the_oracle_computes(
    tmp_path: Path, optimization: str
) -> None:
    """Warning-free at each level, too: the build takes every warning as an error."""
    board = load_board("netduinoplus2")
    require_tools(board, emulator=True)
    project = generate_tiny(tmp_path, board)
    result = build(project, {"FIRMWARE_OPTIMIZATION": optimization})
    x = np.random.default_rng(3).integers(-128, 128, (12, project.input.bytes), dtype=np.int8)
    expected = Oracle(project.model_path.read_bytes()).run(x)
    with QemuEmulator(result.elf, "netduinoplus2") as emulator, Link(emulator) as link:
        answers = run_samples(Client(link), Expectation.of(project), x)
    assert np.array_equal(answers.outputs, expected)
    assert np.all(answers.ticks > 0)
    assert answers.device.rx_overruns == 0
    assert 0 < answers.device.stack_high_water < answers.device.stack_bytes == 8192
