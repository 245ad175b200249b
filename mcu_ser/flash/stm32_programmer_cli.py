# SPDX-License-Identifier: Apache-2.0
"""Flashes an STM32 through its ST-LINK with ST's STM32CubeProgrammer."""

from __future__ import annotations

import re

from mcu_ser.board.flash_tools import Stm32ProgrammerArguments
from mcu_ser.flash.runner import FlashJob, Runner
from mcu_ser.programs import STM32_PROGRAMMER


class Stm32ProgrammerCli(Runner[Stm32ProgrammerArguments]):
    """Connect, write, compare, reset (UM2237, commands -c, -w, -v, -rst)."""

    name = "stm32_programmer_cli"
    program = STM32_PROGRAMMER
    takes_probe = True
    image_kind = "elf"
    error_line = re.compile(r"\bError:")

    def argv(self, program: str, job: FlashJob) -> list[str]:
        under_reset = self.arguments(job.board).connect_under_reset
        connection = ["port=SWD", *([] if job.probe is None else [f"sn={job.probe}"])]
        # UR: under reset, by hardware. Elsewhere NRST does not reach the chip, and the core resets itself.
        connection += ["mode=UR", "reset=HWrst"] if under_reset else ["mode=NORMAL", "reset=SWrst"]
        return [program, "-c", *connection, "-w", job.image("elf").name, "-v", "-rst"]
