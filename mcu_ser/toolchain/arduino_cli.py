# SPDX-License-Identifier: Apache-2.0
"""Compiles an Arduino sketch with arduino-cli, by the profile in the sketch's own sketch.yaml.

The profile pins core and libraries; arduino-cli downloads them on the first build and uses no others.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

# The sketch, and what becomes of it, project-relative; what lies inside of the sketch would be compiled too.
SKETCH = "firmware"
BUILD_PATH = PurePosixPath("build/arduino-cli")


def compile_argv(program: str, profile: str, defines: Sequence[str]) -> list[str]:
    """The command, run in the project. sketch.yaml has no place for `defines`; C++ is compiled with them."""
    flags = " ".join(f"-D{name}" for name in defines)
    return [
        *(program, "compile"),
        *("--profile", profile),
        *("--build-path", str(BUILD_PATH)),
        *("--warnings", "default"),
        *(["--build-property", f"compiler.cpp.extra_flags={flags}"] if flags else []),
        "--no-color",
        SKETCH,
    ]


def elf_path(_profile: str) -> PurePosixPath:
    """Where the firmware lies then, project-relative; the images for flash tools beside it."""
    return BUILD_PATH / f"{SKETCH}.ino.elf"
