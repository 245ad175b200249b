# SPDX-License-Identifier: Apache-2.0
"""`mcu-ser emulate`: a built firmware project, started on its emulated board until the user ends it."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from mcu_ser.cli.console import Output, add_json_option
from mcu_ser.shell_command import shell_command

if TYPE_CHECKING:
    from mcu_ser.device.device import Device

_LOOK_AGAIN_S = 0.2


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "emulate",
        help="start a built firmware on its emulated board",
        description="Start a built firmware on its emulated board and print the URL of its serial port.",
    )
    parser.add_argument("project", type=Path, metavar="PROJECT", help="firmware project, built")
    parser.add_argument(
        "--seconds", type=_positive, metavar="N", help="stop after so long (default: on Ctrl-C)"
    )
    add_json_option(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the command; returns 0 when the user or `--seconds` ended it."""
    from mcu_ser.device.start import open_emulated
    from mcu_ser.generate.project import Project

    output = Output(as_json=args.json)
    project = Project.load(args.project)
    with open_emulated(project) as device:
        output.document({"board": project.board.id, "url": device.url})
        output.say(f"{project.board.id} runs at {device.url}; Ctrl-C stops it")
        output.wrote(
            next_command=shell_command(
                "mcu-ser", "verify", args.project, "--port", device.url, "--random", 50, "--out", "REPORT"
            )
        )
        sys.stdout.flush()  # whoever reads the URL from a pipe waits for it now
        try:
            _watch(device, args.seconds)
        except KeyboardInterrupt:
            output.say("")
    output.say(f"{project.board.id} stopped")
    return 0


def _watch(device: Device, seconds: float | None) -> None:
    """Return after `seconds`; raise DeviceFaultError if the device dies before."""
    end = None if seconds is None else time.monotonic() + seconds
    while end is None or time.monotonic() < end:
        device.raise_if_dead()
        time.sleep(_LOOK_AGAIN_S if end is None else max(0.0, min(_LOOK_AGAIN_S, end - time.monotonic())))
    device.raise_if_dead()


def _positive(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return seconds
