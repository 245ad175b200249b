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
from mcu_ser.install import Packages, package_manager

# Far above what any of them takes (seconds).
VERSION_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Program:
    """An external program.

    Attributes:
        command: Name on the PATH.
        purpose: What mcu-ser needs it for, as shown by `mcu-ser doctor`.
        packages: What installs it, per operating system.
        version_arguments: What makes it tell its version.
        version_status: Exit status with which it does so.
        also_in: Where its installers leave it without putting it on the PATH: glob patterns below the home
            directory ("~/...") or absolute ones.
    """

    command: str
    purpose: str
    packages: Packages
    version_arguments: tuple[str, ...] = ("--version",)
    version_status: int = 0
    also_in: tuple[str, ...] = ()

    @property
    def install_command(self) -> str:
        """What installs it on this operating system."""
        return self.packages.install_command(package_manager())

    def candidates(self) -> tuple[Path, ...]:
        """Every place where it is: on the PATH, then where installers leave it, the newest version first."""
        on_path = shutil.which(self.command)
        elsewhere = [path for pattern in self.also_in for path in _matching_files(pattern)]
        return ((Path(on_path),) if on_path else ()) + tuple(elsewhere)

    def find(self) -> Path | None:
        """Where it is, or None."""
        return next(iter(self.candidates()), None)

    def require(self) -> Path:
        """Where it is.

        Raises:
            ToolMissingError: It is nowhere.
        """
        found = self.find()
        if found is None:
            raise ToolMissingError(
                self.command, f"not found on the PATH; it {self.purpose}", hint=self.install_command
            )
        return found

    def version(self, path: Path | None = None) -> str | None:
        """Its version number, None if it is absent or does not say.

        Args:
            path: Which of its candidates; the first without it.

        Raises:
            ToolMissingError: It is there but does not work.
        """
        found = path or self.find()
        if found is None:
            return None
        try:
            answer = subprocess.run(
                [str(found), *self.version_arguments],
                check=False,  # not every program calls telling its version a success
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=VERSION_TIMEOUT_S,
                errors="replace",
            )
            if answer.returncode != self.version_status:
                raise subprocess.CalledProcessError(answer.returncode, answer.args)
        except (OSError, subprocess.SubprocessError) as error:
            raise ToolMissingError(str(found), _breakage(error), hint=self.install_command) from error
        # OpenOCD says it on stderr. Debian writes its package version in brackets before the program's own.
        said = re.sub(r"\([^)]*\)", "", answer.stdout + answer.stderr)
        number = re.search(r"\d+\.\d[\w.]*", said)
        return number.group() if number else None


def _matching_files(pattern: str) -> list[Path]:
    """Files that match, the highest version number in their path first; None of it need exist."""
    path = Path(pattern).expanduser()
    if not path.is_absolute():  # another operating system's
        return []
    matches = Path(path.anchor).glob(str(path.relative_to(path.anchor)))
    return sorted((match for match in matches if match.is_file()), key=_numbers_in_path, reverse=True)


def _numbers_in_path(path: Path) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", str(path))]


def _breakage(error: OSError | subprocess.SubprocessError) -> str:
    if isinstance(error, subprocess.TimeoutExpired):
        return f"gives no version within {error.timeout:.0f} s"
    if isinstance(error, subprocess.CalledProcessError):
        return f"ends with status {error.returncode} when asked for its version"
    return f"cannot be started ({getattr(error, 'strerror', None) or error})"


ARM_GCC = Program(
    "arm-none-eabi-gcc",
    "compiles firmware for Arm boards",
    Packages(
        apt="gcc-arm-none-eabi libnewlib-arm-none-eabi",
        dnf="arm-none-eabi-gcc-cs arm-none-eabi-newlib",
        pacman="arm-none-eabi-gcc arm-none-eabi-newlib",
        brew="--cask gcc-arm-embedded",
        winget="Arm.GnuArmEmbeddedToolchain",
    ),
)
HOST_GCC = Program(
    "gcc",
    "compiles firmware as a native program (board host)",
    Packages(apt="gcc", dnf="gcc", pacman="gcc", brew="gcc", winget="BrechtSanders.WinLibs.POSIX.UCRT"),
)
CMAKE = Program(
    "cmake",
    "configures firmware projects",
    Packages(apt="cmake", dnf="cmake", pacman="cmake", brew="cmake", winget="Kitware.CMake"),
)
NINJA = Program(
    "ninja",
    "builds firmware projects",
    Packages(apt="ninja-build", dnf="ninja-build", pacman="ninja", brew="ninja", winget="Ninja-build.Ninja"),
)
QEMU_ARM = Program(
    "qemu-system-arm",
    "runs firmware on emulated boards",
    Packages(
        apt="qemu-system-arm",
        dnf="qemu-system-arm",
        pacman="qemu-system-arm",
        brew="qemu",
        winget="SoftwareFreedomConservancy.QEMU",
    ),
)

# What builds and emulates; without one of them whole platforms are out of reach.
PROGRAMS = (ARM_GCC, HOST_GCC, CMAKE, NINJA, QEMU_ARM)

ARDUINO_CLI = Program(
    "arduino-cli",
    "builds and uploads Arduino sketches",
    Packages(
        pacman="arduino-cli",
        brew="arduino-cli",
        winget="ArduinoSA.CLI",
        elsewhere="https://arduino.github.io/arduino-cli/latest/installation/",
    ),
    version_arguments=("version",),
)
PLATFORMIO = Program(
    "pio",
    "builds and uploads Arduino sketches, where arduino-cli is not at hand",
    Packages(brew="platformio", elsewhere="pip install platformio"),
    also_in=("~/.platformio/penv/bin/pio",),
)

OPENOCD = Program(
    "openocd",
    "flashes boards through their debug probe",
    Packages(
        apt="openocd",
        dnf="openocd",
        pacman="openocd",
        brew="open-ocd",
        elsewhere="https://openocd.org/pages/getting-openocd.html",
    ),
)
ST_FLASH = Program(
    "st-flash",
    "flashes STM32 boards through their ST-LINK",
    Packages(
        apt="stlink-tools",
        dnf="stlink",
        pacman="stlink",
        brew="stlink",
        elsewhere="https://github.com/stlink-org/stlink/releases",
    ),
)
STM32_PROGRAMMER = Program(
    "STM32_Programmer_CLI",
    "flashes STM32 boards through their ST-LINK",
    Packages(elsewhere="https://www.st.com/en/development-tools/stm32cubeprog.html"),
    also_in=(
        "~/STMicroelectronics/STM32Cube/STM32CubeProgrammer/bin/STM32_Programmer_CLI",
        "/opt/stm32cubeprog/bin/STM32_Programmer_CLI",
        "/Applications/STMicroelectronics/STM32Cube/STM32CubeProgrammer/STM32CubeProgrammer.app/Contents"
        "/MacOs/bin/STM32_Programmer_CLI",
    ),
)
DFU_UTIL = Program(
    "dfu-util",
    "flashes STM32 boards through their ROM's USB boot loader",
    Packages(
        apt="dfu-util",
        dnf="dfu-util",
        pacman="dfu-util",
        brew="dfu-util",
        elsewhere="https://dfu-util.sourceforge.net",
    ),
)
PYOCD = Program(
    "pyocd",
    "flashes boards through their debug probe",
    Packages(elsewhere="pip install pyocd"),
)
# Arduino's fork; it comes with the core or with PlatformIO's package, neither of which puts it on the PATH.
BOSSAC = Program(
    "bossac",
    "flashes Arduino boards through their boot loader",
    Packages(elsewhere="arduino-cli core install arduino:mbed_nano"),
    version_arguments=("--help",),
    version_status=1,
    also_in=(
        "~/.arduino15/packages/arduino/tools/bossac/*/bossac",
        "~/.arduino15/internal/arduino_bossac_*/bossac",  # of a build profile
        "~/Library/Arduino15/packages/arduino/tools/bossac/*/bossac",
        "~/.platformio/packages/tool-bossac-nordicnrf52/bossac",
    ),
)

# One of them is enough to build for Arduino boards.
ARDUINO_PROGRAMS = (ARDUINO_CLI, PLATFORMIO)
# One of them is enough to flash a board; `mcu-ser boards show` tells which serve it.
FLASH_PROGRAMS = (OPENOCD, ST_FLASH, STM32_PROGRAMMER, DFU_UTIL, PYOCD, BOSSAC)

# Packages whose versions decide results, per extra; "" is the base install.
PACKAGES = {
    "": ("tflite-micro", "numpy"),
    "train": (
        *("tensorflow", "tf-keras", "tensorflow-model-optimization", "neural-structured-learning"),
        *("soundfile", "soxr"),
    ),
    "wav2vec2": ("transformers",),
    "ann": ("faiss-cpu",),
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
