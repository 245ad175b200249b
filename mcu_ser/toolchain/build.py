# SPDX-License-Identifier: Apache-2.0
"""Builds a firmware project, whatever its build system is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mcu_ser.errors import ConfigError
from mcu_ser.tflm.library import TflmLibrary, require_choice
from mcu_ser.toolchain import arduino, cmake_gcc

if TYPE_CHECKING:
    from mcu_ser.board import Board
    from mcu_ser.generate.project import Project
    from mcu_ser.programs import Program
    from mcu_ser.toolchain.build_record import BuildResult


def require_programs(board: Board, engine: str = "aot") -> tuple[Program, ...]:
    """The programs that a build for this board and engine calls; all of them are there.

    Raises:
        ToolMissingError: One is not, or nobody says where the library of engine tflm is.
    """
    if board.platform == "arduino":
        return (arduino.choose_tool(board).program,)
    programs = cmake_gcc.required_programs(board)
    for program in programs:
        program.require()
    if engine == "tflm":
        require_choice(board, TflmLibrary(), os.environ)
    return programs


def build(project: Project, tflm: TflmLibrary | None = None) -> BuildResult:
    """Compile and link a project into PROJECT/build, and measure the result.

    Args:
        project: What to build.
        tflm: Where the library of engine tflm is; without it TFLM_ROOT says so. Arduino's tools fetch one.

    Raises:
        ConfigError: A library is given that the project does not link.
        ToolMissingError: A program is not installed, or the library of engine tflm is not found.
        BuildError: A tool refused; names its first error and the log.
        BudgetError: The firmware does not fit the board.
    """
    tflm = tflm or TflmLibrary()
    if tflm.cache_variables() and (project.engine != "tflm" or project.manifest.build == "arduino"):
        does = (
            "is of engine aot" if project.engine != "tflm" else "takes the library that its sketch.yaml pins"
        )
        raise ConfigError(project.root, f"{does}, and links no TFLite-Micro tree", hint="no --tflm-root")
    if project.manifest.build == "arduino":
        return arduino.build(project)
    if project.engine == "tflm":
        require_choice(project.board, tflm, os.environ)
    return cmake_gcc.build(project, tflm.cache_variables())
