# SPDX-License-Identifier: Apache-2.0
"""Uploads an Arduino sketch with arduino-cli, which knows its boot loader."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mcu_ser.board.arduino import ArduinoBuild
from mcu_ser.board.flash_tools import ArduinoCliArguments
from mcu_ser.flash.runner import FlashJob, Runner
from mcu_ser.programs import ARDUINO_CLI

if TYPE_CHECKING:
    from mcu_ser.board import Board

# Where the template for Arduino boards leaves the sketch, whose profile names the core that has the uploader.
SKETCH = "firmware"


def arduino_build(board: Board) -> ArduinoBuild:
    """How the board's sketches are built; its file is refused before if it names this runner without it."""
    if not isinstance(board.build, ArduinoBuild):
        raise TypeError(f"{board.id} is no Arduino board")
    return board.build


class ArduinoCli(Runner[ArduinoCliArguments]):
    """`arduino-cli upload` of the firmware that was built, by the profile of the sketch."""

    name = "arduino_cli"
    program = ARDUINO_CLI
    image_kind = "bin"
    needs_port = True
    boot_loader = True
    touches = True
    error_line = re.compile(r"\berror\b|failed|No device found", re.IGNORECASE)

    def directory(self, job: FlashJob) -> Path:
        return job.project

    def argv(self, program: str, job: FlashJob) -> list[str]:
        image = Path(os.path.relpath(job.image("bin"), job.project)).as_posix()
        return [
            *(program, "upload"),
            *("--profile", arduino_build(job.board).profile),
            *("--port", job.port or "PORT"),
            *("--input-file", image),
            SKETCH,
        ]
