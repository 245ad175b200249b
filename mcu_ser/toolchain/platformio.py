# SPDX-License-Identifier: Apache-2.0
"""Compiles an Arduino sketch with PlatformIO, by the environment in the project's platformio.ini.

The environment pins the platform, which pins the core; PlatformIO downloads both on the first build.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

# workspace_dir in platformio.ini, project-relative.
WORKSPACE = PurePosixPath("build/platformio")


def run_argv(program: str, environment: str, _defines: Sequence[str]) -> list[str]:
    """The command, run in the project; what to define stands in platformio.ini."""
    return [program, "run", "--environment", environment]


def elf_path(environment: str) -> PurePosixPath:
    """Where the firmware lies then, project-relative; the images for flash tools beside it."""
    return WORKSPACE / "build" / environment / "firmware.elf"
