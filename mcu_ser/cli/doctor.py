# SPDX-License-Identifier: Apache-2.0
"""`mcu-ser doctor`: which programs and Python packages are there, and how to get the others."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from mcu_ser import __version__
from mcu_ser.cli.console import Output, add_json_option
from mcu_ser.errors import ToolMissingError

if TYPE_CHECKING:
    import argparse

    from mcu_ser.programs import Program


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "doctor",
        help="tools found, versions, and how to install what is missing",
        description="Show every tool that mcu-ser uses, its version, and how to install it if it is missing. "
        "Exits with 3 if anything is missing or broken.",
    )
    add_json_option(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the command; returns 0, or 3 if something is missing or broken."""
    output = Output(as_json=args.json)
    rows = _rows()
    from rich.table import Table

    table = Table(title=f"mcu-ser {__version__}, Python {sys.version.split()[0]}", title_justify="left")
    for heading in ("tool", "version", "needed for", "to install"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        found = row["problem"] or row["version"] or "found"
        table.add_row(row["name"], found, row["purpose"], row["install"] if row["problem"] else "")
    output.table(table)
    output.document({"mcu_ser": __version__, "tools": rows})
    unusable = [row for row in rows if row["problem"]]
    if unusable:
        output.say(f"{len(unusable)} missing or broken; next: {unusable[0]['install']}")
        return 3
    output.say("nothing missing; next: mcu-ser run --out demo-run")
    return 0


def _rows() -> list[dict[str, Any]]:
    from mcu_ser.programs import PACKAGES, PROGRAMS, extra_hint, package_versions

    rows = [_program_row(program) for program in PROGRAMS]
    purposes = {"": "reference answers for verify", "train": "train, compress, convert, run"}
    for extra in PACKAGES:
        rows += [
            {
                "name": name,
                "found": version is not None,
                "version": version,
                "problem": None if version is not None else "missing",
                "purpose": purposes[extra],
                "install": extra_hint(extra),
            }
            for name, version in package_versions(extra).items()
        ]
    return rows


def _program_row(program: Program) -> dict[str, Any]:
    found, version = program.find() is not None, None
    problem = None if found else "missing"
    try:
        version = program.version()
    except ToolMissingError as error:
        problem = f"broken: {error.problem}"
    return {
        "name": program.command,
        "found": found,
        "version": version,
        "problem": problem,
        "purpose": program.purpose,
        "install": program.install_command,
    }
