# SPDX-License-Identifier: Apache-2.0
"""Flashes through a debug probe with OpenOCD."""

from __future__ import annotations

import re

from mcu_ser.board.flash_tools import OpenocdArguments
from mcu_ser.flash.runner import FlashJob, Runner
from mcu_ser.programs import OPENOCD


class Openocd(Runner[OpenocdArguments]):
    """`program` of OpenOCD: writes, compares, starts (OpenOCD manual, "Flash Programming")."""

    name = "openocd"
    program = OPENOCD
    takes_probe = True
    image_kind = "elf"
    # A failed step is named between two stars; the reason stands on an earlier line.
    error_line = re.compile(r"^Error:|^\*\* .*(failed|Unable)", re.IGNORECASE)

    def argv(self, program: str, job: FlashJob) -> list[str]:
        scripts = [word for script in self.arguments(job.board).scripts for word in ("-f", script)]
        # OpenOCD 0.12; before it the command was hla_serial.
        probe = [] if job.probe is None else ["-c", f"adapter serial {job.probe}"]
        return [program, *scripts, *probe, "-c", f"program {job.image('elf').name} verify reset exit"]

    def remedy(self, log: str, job: FlashJob) -> str | None:
        if re.search("invalid (sub)?command name|Can't find (board|target|interface)/", log):
            return "OpenOCD 0.12 or newer"
        return super().remedy(log, job)
