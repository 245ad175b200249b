# SPDX-License-Identifier: Apache-2.0
"""Builds a firmware project with CMake, Ninja and gcc."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mcu_ser.errors import BuildError, ToolMissingError
from mcu_ser.programs import ARM_GCC, CMAKE, HOST_GCC, NINJA, Program
from mcu_ser.tflm.library import library_failure
from mcu_ser.toolchain.build_log import build_failure, require_fits
from mcu_ser.toolchain.build_record import BuildResult, discard_firmware, finish_build
from mcu_ser.toolchain.tool_run import run_tool

if TYPE_CHECKING:
    from mcu_ser.board import Board
    from mcu_ser.generate.project import Project

PRESET = "firmware"
# Far above any build seen (seconds): a hung compiler must not hang mcu-ser.
TIMEOUT_S = 600.0

# The cross compiler without its C library.
_NO_NEWLIB = re.compile(r"nano\.specs'?: No such file|fatal error: (string|stdint|stddef)\.h: No such file")


def required_programs(board: Board) -> tuple[Program, ...]:
    """The programs that a build for this board calls."""
    return (CMAKE, NINJA, HOST_GCC if board.platform == "host" else ARM_GCC)


def configure_argv(options: Mapping[str, str] | None = None) -> list[str]:
    """CMake's configure step, run in the project; `options` are cache variables."""
    return ["cmake", "--preset", PRESET, *(f"-D{name}={value}" for name, value in (options or {}).items())]


def build_argv() -> list[str]:
    """CMake's build step, run in the project."""
    return ["cmake", "--build", "--preset", PRESET]


def build(
    project: Project, options: Mapping[str, str] | None = None, timeout_s: float = TIMEOUT_S
) -> BuildResult:
    """Compile and link a project into PROJECT/build, and measure the result.

    Args:
        project: What to build.
        options: CMake cache variables.
        timeout_s: Longest time for each of the two steps.

    Raises:
        ToolMissingError: CMake, Ninja or the compiler is not installed.
        BuildError: A tool refused; names its first error and the log.
        BudgetError: The firmware does not fit the board.
    """
    discard_firmware(project)
    for program in required_programs(project.board):
        program.require()
    _discard_moved_build(project)
    return finish_build(project, lambda log: _compile(project, log, options, timeout_s))


def _compile(project: Project, log: Path, options: Mapping[str, str] | None, timeout_s: float) -> None:
    for argv in (configure_argv(options), build_argv()):
        code = run_tool(argv, project.root, log, timeout_s=timeout_s, install_command=CMAKE.install_command)
        if code == 0:
            continue
        text = log.read_text(errors="replace")
        require_fits(project, text)
        if project.board.platform != "host" and _NO_NEWLIB.search(text):
            raise ToolMissingError(
                "newlib",
                "the C library of arm-none-eabi-gcc is not installed",
                hint=ARM_GCC.install_command,
            )
        raise library_failure(project.board, text) or build_failure(project, log, argv[0], code)


def _discard_moved_build(project: Project) -> None:
    """Remove a build directory that was made under another path: CMake refuses to go on with it."""
    cache = project.build_dir / "CMakeCache.txt"
    try:
        if not cache.is_file():
            return
        text = cache.read_text(errors="replace")
        home = re.search(r"^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$", text, re.MULTILINE)
        if home is None or Path(home[1]) != project.root.resolve():
            shutil.rmtree(project.build_dir)
    except OSError as error:  # also a symbolic link, whose target is not ours to empty
        raise BuildError(
            project.build_dir,
            f"was made under another path and cannot be removed ({error.strerror or error})",
            hint="remove it yourself",
        ) from error
