# SPDX-License-Identifier: Apache-2.0
"""The programs and Python extras that mcu-ser calls: what each is for, where it is, how to install it."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from mcu_ser.errors import ToolMissingError

# Far above what any of them takes (seconds).
VERSION_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Program:
    """An external program.

    Attributes:
        command: Name on the PATH.
        purpose: What mcu-ser needs it for, as shown by `mcu-ser doctor`.
        package: Debian package that holds it.
    """

    command: str
    purpose: str
    package: str

    @property
    def install_command(self) -> str:
        return f"apt-get install {self.package}"

    def find(self) -> Path | None:
        """Where it is, or None."""
        found = shutil.which(self.command)
        return Path(found) if found else None

    def require(self) -> Path:
        """Where it is.

        Raises:
            ToolMissingError: It is not on the PATH.
        """
        found = self.find()
        if found is None:
            raise ToolMissingError(
                self.command, f"not found on the PATH; it {self.purpose}", hint=self.install_command
            )
        return found

    def version(self) -> str | None:
        """Its version number, None if it is absent or does not say.

        Raises:
            ToolMissingError: It is there but does not work.
        """
        found = self.find()
        if found is None:
            return None
        try:
            answer = subprocess.run(
                [str(found), "--version"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=VERSION_TIMEOUT_S,
                check=True,
                errors="replace",
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise ToolMissingError(str(found), _breakage(error), hint=self.install_command) from error
        first_line = answer.stdout.partition("\n")[0]
        # Debian writes its package version in brackets before the program's own.
        number = re.search(r"\d+\.\d[\w.]*", re.sub(r"\([^)]*\)", "", first_line))
        return number.group() if number else None


def _breakage(error: OSError | subprocess.SubprocessError) -> str:
    if isinstance(error, subprocess.TimeoutExpired):
        return f"gives no version within {error.timeout:.0f} s"
    if isinstance(error, subprocess.CalledProcessError):
        return f"ends with status {error.returncode} when asked for its version"
    return f"cannot be started ({getattr(error, 'strerror', None) or error})"


ARM_GCC = Program(
    "arm-none-eabi-gcc", "compiles firmware for STM32 boards", "gcc-arm-none-eabi libnewlib-arm-none-eabi"
)
HOST_GCC = Program("gcc", "compiles firmware as a native program (board host)", "gcc")
CMAKE = Program("cmake", "configures firmware projects", "cmake")
NINJA = Program("ninja", "builds firmware projects", "ninja-build")
QEMU_ARM = Program("qemu-system-arm", "runs firmware on emulated boards", "qemu-system-arm")

PROGRAMS = (ARM_GCC, HOST_GCC, CMAKE, NINJA, QEMU_ARM)

# Packages whose versions decide results, per extra; "" is the base install.
PACKAGES = {
    "": ("tflite-micro", "numpy"),
    "train": ("tensorflow", "tf-keras", "tensorflow-model-optimization", "neural-structured-learning"),
}


def package_versions(extra: str) -> dict[str, str | None]:
    """Installed version per deciding package of an extra, None for an absent one."""

    def version(name: str) -> str | None:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            return None

    return {name: version(name) for name in PACKAGES[extra]}


def extra_hint(extra: str) -> str:
    """The command that installs mcu-ser with a Python extra; "" is the base install."""
    # From a checkout, because mcu-ser is on no package index.
    return f"pip install {shlex.quote(f'.[{extra}]') if extra else '.'} in the mcu-ser checkout"


def require_packages(extra: str) -> None:
    """Check that the deciding packages of an extra are installed, without importing them.

    Raises:
        ToolMissingError: One is not.
    """
    for name, version in package_versions(extra).items():
        if version is None:
            raise ToolMissingError(f"Python package {name}", "is not installed", hint=extra_hint(extra))
