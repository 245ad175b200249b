# SPDX-License-Identifier: Apache-2.0
"""Flashes an Arduino board through its boot loader with Arduino's fork of bossac.

The boot loader's port appears when the running sketch's is opened at 1200 baud and closed (see `touch`).
"""

from __future__ import annotations

import re
from pathlib import Path

from mcu_ser.board.flash_tools import BossacArguments
from mcu_ser.errors import ToolMissingError
from mcu_ser.flash.runner import FlashJob, Runner, command_word
from mcu_ser.programs import BOSSAC

# The fork asks the boot loader which chip it is and prints the name of the function that does (Samba.cpp);
# upstream, from which Debian's package is made, reads chip ids of Atmel's instead: "Device unsupported".
_FORK_MARK = b"identifyChip"


class Bossac(Runner[BossacArguments]):
    """`bossac` as ArduinoCore-mbed calls it (platform.txt, tools.bossac.upload.pattern)."""

    name = "bossac"
    program = BOSSAC
    image_kind = "bin"
    needs_port = True
    boot_loader = True
    error_line = re.compile(r"No device found|unsupported|failed|error|Cannot|No such", re.IGNORECASE)

    def require(self, job: FlashJob) -> str:
        return command_word(self.program, require_fork())

    def argv(self, program: str, job: FlashJob) -> list[str]:
        # On POSIX systems bossac puts /dev/ in front itself.
        port = (job.port or "PORT").removeprefix("/dev/")
        return [program, f"--port={port}", "-U", "-i", "-e", "-w", job.image("bin").name, "-R"]

    def remedy(self, log: str, job: FlashJob) -> str | None:
        if "Device unsupported" in log:
            return f"Arduino's fork of bossac: {self.program.install_command}"
        if re.search("No device found|SAM-BA operation failed", log):
            return "pressing the board's reset button twice quickly (its light breathes), then again"
        return super().remedy(log, job)


def require_fork() -> Path:
    """Where Arduino's fork is.

    Raises:
        ToolMissingError: No bossac is installed, or only the upstream one.
    """
    fork = next((path for path in BOSSAC.candidates() if _is_fork(path)), None)
    if fork is not None:
        return fork
    raise ToolMissingError(
        BOSSAC.require(),
        "cannot flash an nRF52840: it is not Arduino's fork of bossac, nor is Debian's package",
        hint=f"Arduino's fork: {BOSSAC.install_command}",
    )


def _is_fork(path: Path) -> bool:
    try:
        return _FORK_MARK in path.read_bytes()
    except OSError:
        return False
