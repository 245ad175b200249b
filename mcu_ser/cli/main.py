# SPDX-License-Identifier: Apache-2.0
"""Entry point of `mcu-ser`: parses arguments, runs one command, turns errors into one line and an exit code.

Each command module is imported for its parser alone and imports what it needs inside `run`, so `--help`
is quick and never loads TensorFlow.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import traceback
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from mcu_ser import __version__
from mcu_ser.errors import ConfigError, McuSerError
from mcu_ser.shell_command import shell_command

if TYPE_CHECKING:
    from collections.abc import Sequence

# Order of the help text: the whole way first, then the stages in the order of the data.
COMMANDS = (
    "run",
    "train",
    "compress",
    "convert",
    "inspect",
    "generate",
    "build",
    "flash",
    "emulate",
    "verify",
    "listen",
    "compare",
    "report",
    "study",
    "boards",
    "doctor",
)

EPILOG = """exit codes: 0 ok, 1 a check failed, 2 usage or configuration, 3 a tool is missing, 4 device,
            130 interrupted (Ctrl-C)

start here:
  mcu-ser run --out demo-run              everything, on the built-in synthetic corpus and an emulated board
  mcu-ser inspect MODEL.tflite            does my own int8 model fit?
  mcu-ser COMMAND --help                  the options of one command
"""


class _UsageError(SystemExit):
    """What argparse exits with, and what it has printed."""

    def __init__(self, problem: str) -> None:
        super().__init__(ConfigError.exit_code)
        self.problem = problem


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        try:
            super().error(message)
        except SystemExit as end:
            raise _UsageError(message) from end


def build_parser() -> argparse.ArgumentParser:
    """The whole argument parser."""
    parser = _Parser(
        prog="mcu-ser",
        description="From speech-emotion corpora to a checked microcontroller.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"mcu-ser {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in COMMANDS:
        module = import_module(f"mcu_ser.cli.{name}")
        subparser = module.add_parser(commands)
        subparser.add_argument("--debug", action="store_true", help="log details, show tracebacks")
        subparser.set_defaults(run=module.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the process exit code (see `errors`)."""
    _replace_closed_streams()
    try:
        return _run(sys.argv[1:] if argv is None else argv)
    finally:
        _let_go_of_failing_streams()


def _run(words: Sequence[str]) -> int:
    try:
        args = build_parser().parse_args(words)
    except _UsageError as error:
        if "--json" in words:
            _print_error(error.problem, ConfigError.exit_code)
        raise
    args.command_line = shell_command("mcu-ser", *words)
    logging.basicConfig(
        level=logging.DEBUG if args.debug else logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )
    try:
        code = int(args.run(args))
        sys.stdout.flush()  # here, where what the system says against it has an exit code
        return code
    except McuSerError as error:
        return _fail(args, str(error), error.exit_code, error)
    except BrokenPipeError:
        return 141
    except OSError as error:
        # The file system has more ways to fail than are foreseen where it is used.
        subject = error.filename or "system"
        return _fail(args, f"{subject}: {error.strerror or error}", ConfigError.exit_code)
    except KeyboardInterrupt as error:
        return _fail(args, f"interrupted; {str(error) or 'what was finished is kept'}", 130)


def _fail(args: argparse.Namespace, message: str, exit_code: int, error: McuSerError | None = None) -> int:
    with suppress(OSError):  # nobody, or a full disk, takes it: the exit code says what it can
        if args.debug:
            traceback.print_exc()
        sys.stderr.write(f"mcu-ser: error: {message}\n")
    if getattr(args, "json", False):
        _print_error(message, exit_code, error)
    return exit_code


def _print_error(message: str, exit_code: int, error: McuSerError | None = None) -> None:
    """The JSON document of a command that ended in an error, in one line as `listen --json` has them."""
    document: dict[str, Any] = {"message": message, "exit_code": exit_code}
    for name in ("subject", "problem", "limit", "hint"):
        document[name] = getattr(error, name, None)
    with suppress(OSError):
        sys.stdout.write(json.dumps({"error": document}, sort_keys=True) + "\n")
        sys.stdout.flush()


def _replace_closed_streams() -> None:
    """Let a stream that the shell has closed (`>&-`), None in Python, take what is printed and drop it."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))


def _let_go_of_failing_streams() -> None:
    """Drop what nobody takes: Python would complain when it flushes at its end, and exit with 120.

    Whoever read our output has closed it (`mcu-ser inspect ... | head`), or its disk is full.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


if __name__ == "__main__":
    sys.exit(main())
