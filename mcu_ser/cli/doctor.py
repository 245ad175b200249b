# SPDX-License-Identifier: Apache-2.0
"""`mcu-ser doctor`: the programs and Python packages that are there, and how to get the others."""

from __future__ import annotations

import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from mcu_ser import __version__
from mcu_ser.cli.console import Output, add_json_option
from mcu_ser.errors import ToolMissingError

if TYPE_CHECKING:
    import argparse

    from mcu_ser.board import Board
    from mcu_ser.programs import Program


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "doctor",
        help="tools found, versions, and how to install what is missing",
        description="Show every tool that mcu-ser uses, its version, which boards it serves, and how to "
        "install it on this system. Exits with 3 if one that builds or emulates is missing or broken; flash "
        "tools, Arduino tools and the training packages are optional.",
    )
    add_json_option(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the command; returns 0, or 3 if something that is not optional is missing or broken."""
    from mcu_ser.board import list_boards

    output = Output(as_json=args.json)
    boards = list_boards()
    rows = _rows(boards)
    _show(output, rows, boards)
    output.document({"mcu_ser": __version__, "tools": rows, "out_of_reach": _out_of_reach(rows, boards)})
    unusable = [row for row in rows if row["problem"] and row["required"]]
    if unusable:
        output.say(f"{len(unusable)} missing or broken; next: {unusable[0]['install']}")
        return 3
    output.say(f"nothing missing that builds or emulates; next: {_next_command(rows)}")
    return 0


def _next_command(rows: list[dict[str, Any]]) -> str:
    """What can be tried with what is there: everything, or what needs no training packages."""
    from mcu_ser.programs import PACKAGES

    if any(row["problem"] for row in rows if row["name"] in PACKAGES["train"]):
        return "mcu-ser inspect MODEL.tflite --board all"
    return "mcu-ser run --out demo-run"


def _show(output: Output, rows: list[dict[str, Any]], boards: tuple[Board, ...]) -> None:
    from rich.table import Table

    platforms = {board.id: board.platform for board in boards}
    table = Table(title=f"mcu-ser {__version__}, Python {sys.version.split()[0]}", title_justify="left")
    for heading in ("tool", "version", "needed for", "boards"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        found = row["problem"] or row["version"] or "found"
        counts = Counter(platforms[board] for board in row["boards"])
        table.add_row(
            row["name"] if row["required"] else f"{row['name']} (optional)",
            found,
            row["purpose"],
            ", ".join(f"{count} {platform}" for platform, count in sorted(counts.items())),
        )
    output.table(table)
    for row in rows:
        if row["problem"]:
            output.say(f"to install {row['name']}: {row['install']}")
    for task, without in _out_of_reach(rows, boards).items():
        if without:
            output.say(f"no tool here to {task}: {', '.join(without)}")


def _out_of_reach(rows: list[dict[str, Any]], boards: tuple[Board, ...]) -> dict[str, list[str]]:
    """Task -> ids of the boards for which it cannot be done on this computer."""
    from mcu_ser.flash.table import RUNNERS
    from mcu_ser.programs import ARDUINO_PROGRAMS
    from mcu_ser.toolchain.cmake_gcc import required_programs

    usable = {row["name"] for row in rows if not row["problem"]}

    def builds(board: Board) -> bool:
        if board.platform == "arduino":
            return any(program.command in usable for program in ARDUINO_PROGRAMS)
        return all(program.command in usable for program in required_programs(board))

    def flashes(board: Board) -> bool:
        # A copy to the board's volume needs no tool, but the volume, which is not looked for here.
        runners = [RUNNERS[name] for name in (board.flash.names if board.flash else ())]
        return any(runner.name != "mass_storage" and runner.program.command in usable for runner in runners)

    return {
        "build": [board.id for board in boards if not builds(board)],
        "flash": [board.id for board in boards if board.flash is not None and not flashes(board)],
    }


def _rows(boards: tuple[Board, ...]) -> list[dict[str, Any]]:
    from mcu_ser.programs import (
        ARDUINO_PROGRAMS,
        FLASH_PROGRAMS,
        PACKAGES,
        PROGRAMS,
        extra_hint,
        package_versions,
    )

    programs = (*PROGRAMS, *ARDUINO_PROGRAMS, *FLASH_PROGRAMS)
    # Some take half a second to say their version.
    with ThreadPoolExecutor(max_workers=len(programs)) as pool:
        rows = list(pool.map(lambda program: _program_row(program, boards), programs))
    purposes = {
        "": "reference answers for verify",
        "train": "train, compress, convert, run",
        "wav2vec2": "train with a wav2vec 2.0 source model",
        "ann": "train with graph.builder hnsw",
    }
    for extra in PACKAGES:
        rows += [
            {
                "name": name,
                "found": version is not None,
                "version": version,
                "problem": None if version is not None else "missing",
                "purpose": purposes[extra],
                "task": "python",
                "required": extra == "",
                "boards": [],
                "install": extra_hint(extra),
            }
            for name, version in package_versions(extra).items()
        ]
    return rows


def _program_row(program: Program, boards: tuple[Board, ...]) -> dict[str, Any]:
    from mcu_ser.programs import PROGRAMS

    found, version, problem = program.find(), None, None
    try:
        version = _usable_version(program)
    except ToolMissingError as error:
        problem = "missing" if found is None else f"broken: {error.problem}"
    task, served = _serves(program, boards)
    return {
        "name": program.command,
        "found": found is not None,
        "version": version,
        "problem": problem,
        "purpose": program.purpose,
        "task": task,
        "required": program in PROGRAMS,
        "boards": served,
        "install": program.install_command,
    }


def _usable_version(program: Program) -> str | None:
    """The version of a program; ToolMissingError if it is missing or of no use here."""
    from mcu_ser.flash.bossac import require_fork
    from mcu_ser.programs import BOSSAC

    return program.version(require_fork() if program is BOSSAC else program.require())


def _serves(program: Program, boards: tuple[Board, ...]) -> tuple[str, list[str]]:
    """What a program does (build, emulate, flash), and the ids of the boards for which it does so."""
    from mcu_ser.flash.table import RUNNERS
    from mcu_ser.programs import ARDUINO_PROGRAMS, FLASH_PROGRAMS, QEMU_ARM
    from mcu_ser.toolchain.cmake_gcc import required_programs

    if program is QEMU_ARM:
        return "emulate", [board.id for board in boards if board.emulator is not None]
    if program in FLASH_PROGRAMS:
        runner = next(r.name for r in RUNNERS.values() if getattr(r, "program", None) is program)
        return "flash", [board.id for board in boards if board.flash and runner in board.flash.names]
    arduino = program in ARDUINO_PROGRAMS
    return "build", [
        board.id
        for board in boards
        if (board.platform == "arduino") == arduino and (arduino or program in required_programs(board))
    ]
