# SPDX-License-Identifier: Apache-2.0
"""Uploads an Arduino sketch with PlatformIO, which knows its boot loader.

PlatformIO uploads what it has built itself: it builds first if it has not, and the firmware that arrives has
the same build id, because that names the sources.
"""

from __future__ import annotations

import re
from pathlib import Path

from mcu_ser.board.flash_tools import PlatformioArguments
from mcu_ser.flash.arduino_cli import arduino_build
from mcu_ser.flash.runner import FlashJob, Runner
from mcu_ser.programs import PLATFORMIO


class Platformio(Runner[PlatformioArguments]):
    """`pio run --target upload`."""

    name = "platformio"
    program = PLATFORMIO
    image_kind = "elf"
    needs_port = True
    boot_loader = True
    touches = True
    error_line = re.compile(r"\berror\b|\*\*\*|No device found", re.IGNORECASE)

    def directory(self, job: FlashJob) -> Path:
        return job.project

    def argv(self, program: str, job: FlashJob) -> list[str]:
        return [
            *(program, "run"),
            *("--environment", arduino_build(job.board).profile),
            *("--target", "upload"),
            *("--upload-port", job.port or "PORT"),
        ]
