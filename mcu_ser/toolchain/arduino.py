# SPDX-License-Identifier: Apache-2.0
"""Builds an Arduino sketch with the tool that is installed: arduino-cli, else PlatformIO."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from mcu_ser.board.arduino import ArduinoBuild
from mcu_ser.errors import BuildError, ToolMissingError
from mcu_ser.programs import ARDUINO_CLI, PLATFORMIO, Program
from mcu_ser.toolchain import arduino_cli, platformio
from mcu_ser.toolchain.build_log import build_failure, require_fits
from mcu_ser.toolchain.build_record import BuildResult, discard_firmware, finish_build
from mcu_ser.toolchain.tool_run import run_tool

if TYPE_CHECKING:
    from mcu_ser.board import Board
    from mcu_ser.generate.project import Project

# The first build downloads a core and a compiler, some hundred megabytes.
TIMEOUT_S = 3600.0

# What is kept of what a tool leaves: the ELF, images for flash tools, and the linker's map.
_KEPT_SUFFIXES = (".elf", ".bin", ".hex", ".map")


@dataclass(frozen=True)
class SketchTool:
    """A program that compiles sketches.

    Attributes:
        program: The program.
        argv: Its command line, from where it is, the board's profile and what to define.
        elf_path: Where it leaves the firmware of that profile, project-relative.
    """

    program: Program
    argv: Callable[[str, str, Sequence[str]], list[str]]
    elf_path: Callable[[str], PurePosixPath]


# In the order in which they are tried.
TOOLS = (
    SketchTool(ARDUINO_CLI, arduino_cli.compile_argv, arduino_cli.elf_path),
    SketchTool(PLATFORMIO, platformio.run_argv, platformio.elf_path),
)


def choose_tool(board: Board) -> SketchTool:
    """The tool that compiles for a board: the first that is installed and knows the board.

    Raises:
        ToolMissingError: There is none; says how to get each.
    """
    build = _build_of(board)
    known = [tool for tool in TOOLS if tool.program is not PLATFORMIO or build.platformio is not None]
    for tool in known:
        if tool.program.find() is not None:
            return tool
    names = " nor ".join(tool.program.command for tool in known)
    raise ToolMissingError(
        board.id,
        f"needs a program that builds Arduino sketches, and neither {names} was found"
        if len(known) > 1
        else f"needs {names}, which was not found",
        hint=", or ".join(f"{tool.program.command} ({tool.program.install_command})" for tool in known),
    )


def build(project: Project, timeout_s: float = TIMEOUT_S) -> BuildResult:
    """Compile and link a sketch, leave the firmware in PROJECT/build, and measure it.

    Raises:
        ToolMissingError: Neither tool is installed.
        BuildError: The tool refused; names its first error and the log.
        BudgetError: The firmware does not fit the board.
    """
    discard_firmware(project)
    tool = choose_tool(project.board)
    return finish_build(project, lambda log: _compile(project, tool, log, timeout_s))


def _compile(project: Project, tool: SketchTool, log: Path, timeout_s: float) -> None:
    board_build, program = _build_of(project.board), tool.program
    profile = board_build.profile
    left = project.root / tool.elf_path(profile)
    # What an earlier build left must not be taken for this one's.
    for suffix in _KEPT_SUFFIXES:
        left.with_suffix(suffix).unlink(missing_ok=True)
    library = board_build.tflm_library if project.engine == "tflm" else None
    argv = tool.argv(str(program.require()), profile, library.defines if library else ())
    code = run_tool(argv, project.root, log, timeout_s=timeout_s, install_command=program.install_command)
    if code != 0:
        require_fits(project, log.read_text(errors="replace"))
        raise build_failure(project, log, program.command, code)
    if not left.is_file():
        where = tool.elf_path(profile)
        raise BuildError(project.root, f"{program.command} left no {where}", hint=f"see {log}")
    for suffix in _KEPT_SUFFIXES:
        if left.with_suffix(suffix).is_file():
            shutil.copyfile(left.with_suffix(suffix), project.elf_path.with_suffix(suffix))


def _build_of(board: Board) -> ArduinoBuild:
    if not isinstance(board.build, ArduinoBuild):
        raise TypeError(f"{board.id} is no Arduino board")
    return board.build
