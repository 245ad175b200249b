# SPDX-License-Identifier: Apache-2.0
"""Flashes through a debug probe with pyOCD."""

from __future__ import annotations

import re

from mcu_ser.board.flash_tools import PyocdArguments
from mcu_ser.flash.runner import FlashJob, Runner
from mcu_ser.programs import PYOCD


class Pyocd(Runner[PyocdArguments]):
    """`pyocd flash`: erases the sectors it writes, compares, resets."""

    name = "pyocd"
    program = PYOCD
    takes_probe = True
    image_kind = "hex"
    # "0000976 E No target device available [load_cmd]"
    error_line = re.compile(r"^\d{7} [EC] |^No connected debug probe|\berror:")

    def argv(self, program: str, job: FlashJob) -> list[str]:
        arguments = self.arguments(job.board)
        probe = [] if job.probe is None else ["--uid", job.probe]
        under_reset = ["--connect", "under-reset"] if arguments.connect_under_reset else []
        return [
            *(program, "flash"),
            *("--no-config", "--no-wait"),  # no file of the user's changes it, and no probe is an error
            *("--target", arguments.target),
            *probe,
            *under_reset,
            job.image("hex").name,
        ]

    def remedy(self, log: str, job: FlashJob) -> str | None:
        arguments = self.arguments(job.board)
        if arguments.pack and re.search("not recognized|not a known target|[Uu]nknown target", log):
            return f"pyocd pack install {arguments.target}"
        return super().remedy(log, job)
