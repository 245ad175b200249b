# SPDX-License-Identifier: Apache-2.0
"""Builds a firmware project, whatever its build system is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcu_ser.toolchain import arduino, cmake_gcc

if TYPE_CHECKING:
    from mcu_ser.board import Board
    from mcu_ser.generate.project import Project
    from mcu_ser.programs import Program
    from mcu_ser.toolchain.build_record import BuildResult


def require_programs(board: Board) -> tuple[Program, ...]:
    """The programs that a build for this board calls; all of them are there.

    Raises:
        ToolMissingError: One is not.
    """
    if board.platform == "arduino":
        return (arduino.choose_tool(board).program,)
    programs = cmake_gcc.required_programs(board)
    for program in programs:
        program.require()
    return programs


def build(project: Project) -> BuildResult:
    """Compile and link a project into PROJECT/build, and measure the result.

    Raises:
        ToolMissingError: A program is not installed.
        BuildError: A tool refused; names its first error and the log.
        BudgetError: The firmware does not fit the board.
    """
    return arduino.build(project) if project.manifest.build == "arduino" else cmake_gcc.build(project)
