# SPDX-License-Identifier: Apache-2.0
"""Flashes an STM32 through its ST-LINK with st-flash (stlink-tools)."""

from __future__ import annotations

import re

from mcu_ser.board.flash_tools import StFlashArguments
from mcu_ser.flash.runner import FlashJob, Runner
from mcu_ser.programs import ST_FLASH


class StFlash(Runner[StFlashArguments]):
    """`st-flash write`, which compares what it has written; then a reset."""

    name = "stflash"
    program = ST_FLASH
    takes_probe = True
    image_kind = "bin"
    error_line = re.compile(r"\bERROR\b|Couldn't find|[Ff]ailed")

    def argv(self, program: str, job: FlashJob) -> list[str]:
        probe = [] if job.probe is None else ["--serial", job.probe]
        under_reset = ["--connect-under-reset"] if self.arguments(job.board).connect_under_reset else []
        address = f"0x{job.board.flash_regions[0].origin:08X}"
        return [program, *probe, *under_reset, "--reset", "write", job.image("bin").name, address]
