# SPDX-License-Identifier: Apache-2.0
"""Flashes an STM32 through the USB boot loader in its ROM with dfu-util."""

from __future__ import annotations

import re

from mcu_ser.board.flash_tools import DfuUtilArguments
from mcu_ser.flash.runner import FlashJob, Runner
from mcu_ser.programs import DFU_UTIL

# The boot loader starts the firmware so quickly that the tool may miss its last answer, and ends with this.
_NO_LAST_ANSWER = 74


class DfuUtil(Runner[DfuUtilArguments]):
    """`dfu-util --download` with ST's extensions of the protocol (AN3156)."""

    name = "dfu_util"
    program = DFU_UTIL
    boot_loader = True
    image_kind = "bin"
    error_line = re.compile(r"^dfu-util: (?!Warning|A valid DFU suffix)|Cannot open|LIBUSB_ERROR")

    def argv(self, program: str, job: FlashJob) -> list[str]:
        arguments = self.arguments(job.board)
        vendor, product = arguments.usb_id
        probe = [] if job.probe is None else ["--serial", job.probe]
        return [
            program,
            *("--device", f"{vendor:04x}:{product:04x}"),
            *probe,
            *("--alt", str(arguments.alternate_setting)),
            *("--dfuse-address", f"0x{job.board.flash_regions[0].origin:08X}:leave"),
            *("--download", job.image("bin").name),
        ]

    def succeeded(self, status: int, log: str) -> bool:
        return status == 0 or (status == _NO_LAST_ANSWER and "File downloaded successfully" in log)

    def remedy(self, log: str, job: FlashJob) -> str | None:
        if "No DFU capable USB device" in log:
            return "starting the boot loader: BOOT0 high (on some boards a button) while the board is reset"
        return super().remedy(log, job)
