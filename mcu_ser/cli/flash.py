# SPDX-License-Identifier: Apache-2.0
"""`mcu-ser flash`: puts a built firmware on its board and asks the board whether it runs it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mcu_ser.cli.console import Output, add_json_option
from mcu_ser.shell_command import shell_command

if TYPE_CHECKING:
    import argparse

    from mcu_ser.flash.flash import FlashPlan


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "flash",
        help="put a built firmware on its board",
        description="Put a built firmware on its board with a flash tool that is installed, and check that "
        "the board then answers with exactly this build. Exits with 3 if there is no tool, with 4 if it "
        "failed.",
    )
    parser.add_argument("project", type=Path, metavar="PROJECT", help="firmware project, built")
    parser.add_argument(
        "--port", metavar="PORT", help="the board's serial port (default: the one with the board's USB ids)"
    )
    parser.add_argument(
        "--runner", metavar="NAME", help="flash tool (default: the board's, or one installed)"
    )
    parser.add_argument("--probe", metavar="SERIAL", help="debug probe (default: the one of the port)")
    parser.add_argument("--dry-run", action="store_true", help="print the command, run nothing")
    add_json_option(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the command; returns 0 when the board runs the build."""
    from mcu_ser.flash.flash import flash, plan
    from mcu_ser.generate.project import Project

    output = Output(as_json=args.json)
    project = Project.load(args.project)
    planned = plan(project, port=args.port, runner=args.runner, probe=args.probe, dry_run=args.dry_run)
    if args.dry_run:
        _show(output, planned, args)
        return 0
    output.say(f"flashing {project.board.id} with {planned.runner.name}")
    result = flash(planned)
    output.document(
        {
            "board": project.board.id,
            "runner": planned.runner.name,
            "port": result.port,
            "probe": planned.job.probe,
            "build_id": result.hello.build_id,
            "engine": result.hello.engine,
            "log": str(result.log),
        }
    )
    output.say(f"{result.port} runs build {result.hello.build_id}, the one that was flashed")
    verify = shell_command(
        *("mcu-ser", "verify", args.project, "--port", result.port, "--random", 50, "--out", "REPORT")
    )
    if result.log.is_file():
        output.wrote(result.log, next_command=verify)
    else:
        output.say(f"next: {verify}")
    return 0


def _show(output: Output, planned: FlashPlan, args: argparse.Namespace) -> None:
    """Print what would be done."""
    board = planned.project.board
    if planned.needs_touch and planned.port is not None:
        output.say(f"# {planned.port.device} is opened at 1200 baud and closed; PORT is the one that appears")
    output.say(planned.command_line())
    where = planned.port.device if planned.port is not None else "the board's port"
    output.say(f"# then HELLO at {where} must answer with build {planned.project.build_id}")
    output.document(
        {
            "board": board.id,
            "runner": planned.runner.name,
            "port": None if planned.port is None else planned.port.device,
            "probe": planned.job.probe,
            "touch_1200bps": planned.needs_touch,
            "directory": str(planned.runner.directory(planned.job)),
            "argv": planned.runner.argv(planned.program, planned.job),
        }
    )
    # The command that does what was shown: with the same tool, on the same board.
    chosen = {"--port": args.port, "--runner": args.runner, "--probe": args.probe}
    options = [word for name, value in chosen.items() if value is not None for word in (name, value)]
    output.say(f"next: {shell_command('mcu-ser', 'flash', args.project, *options)}")
