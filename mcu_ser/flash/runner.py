# SPDX-License-Identifier: Apache-2.0
"""What a flash tool is to the rest of mcu-ser: a runner that turns a job into a command line.

A runner decides nothing about ports, probes or builds; it says what it needs of them. A new tool is one
module with one runner, its arguments in `board.flash_tools`, and a row in `table`.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Generic, Literal, TypeVar

from mcu_ser.board.section import Section
from mcu_ser.errors import BuildError, ConfigError, FlashError
from mcu_ser.toolchain.tool_run import run_tool

if TYPE_CHECKING:
    from mcu_ser.board import Board
    from mcu_ser.programs import Program

ImageKind = Literal["elf", "bin", "hex"]
A = TypeVar("A", bound=Section)


@dataclass(frozen=True)
class FlashJob:
    """One firmware for one board on one desk.

    Attributes:
        board: What it is for.
        project: The firmware project.
        elf: The built firmware; its other forms lie beside it.
        port: Serial port that the tool talks to, if it needs one.
        probe: Serial number of the debug probe; None to take the only one.
    """

    board: Board
    project: Path
    elf: Path
    port: str | None = None
    probe: str | None = None

    def image(self, kind: ImageKind) -> Path:
        """The firmware in the form that a tool wants."""
        return self.elf if kind == "elf" else self.elf.with_suffix(f".{kind}")


class Runner(ABC, Generic[A]):
    """A way to flash a board.

    Attributes:
        name: As in board files and for `--runner`.
        program: What has to be installed.
        image_kind: Form of the firmware that it takes.
        needs_port: It talks to the board's serial port, not to a debug probe.
        takes_probe: It reaches the board through a debug probe, which can be named by its serial number.
        boot_loader: It speaks to a boot loader through the board's own cable. A board that is flashed so by
            default carries no debug probe, and one of the user's own is not taken unasked.
        touches: It starts the boot loader itself, from the port of the running firmware; a runner that needs
            a port and does not wants the boot loader's.
        error_line: What the line that tells why the tool failed looks like.
    """

    name: ClassVar[str]
    program: ClassVar[Program]
    image_kind: ClassVar[ImageKind] = "elf"
    needs_port: ClassVar[bool] = False
    takes_probe: ClassVar[bool] = False
    boot_loader: ClassVar[bool] = False
    touches: ClassVar[bool] = False
    error_line: ClassVar[re.Pattern[str]] = re.compile(r"\berror\b", re.IGNORECASE)

    def require(self, job: FlashJob) -> str:
        """The program to start, as the first word of the command line: its name, or its path off the PATH.

        Raises:
            ToolMissingError: It is not installed, or what is installed cannot flash this board.
        """
        return command_word(self.program, self.program.require())

    def shown(self, job: FlashJob) -> str:
        """What stands for the program in a command line that is only shown, where it is not installed."""
        return self.program.command

    def arguments(self, board: Board) -> A:
        """What the board file tells this runner.

        Raises:
            ConfigError: The runner does not serve the board.
        """
        found: A | None = None if board.flash is None else getattr(board.flash.runners, self.name)
        if found is None:
            names = () if board.flash is None else board.flash.names
            hint = f"one of {', '.join(names)}" if names else "mcu-ser boards list"
            raise ConfigError(board.id, f"cannot be flashed with {self.name}", hint=hint)
        return found

    @abstractmethod
    def argv(self, program: str, job: FlashJob) -> list[str]:
        """The command line, run in the directory of the image; `program` is what `require` gave."""

    def directory(self, job: FlashJob) -> Path:
        """Where the command is run: file names in it are relative, and need no quoting in any tool."""
        return job.elf.parent

    def execute(self, program: str, job: FlashJob, log: Path, timeout_s: float) -> int:
        """Flash, with the output appended to `log`; returns the exit status, -N for signal N.

        Raises:
            ToolMissingError: The program is not one that this machine runs.
            FlashError: It did not end in time.
        """
        argv = self.argv(program, job)
        try:
            return run_tool(
                argv,
                self.directory(job),
                log,
                timeout_s=timeout_s,
                install_command=self.program.install_command,
            )
        except BuildError as error:
            raise FlashError(
                job.board.id, f"{self.name} did not end in time", limit=error.limit, hint=f"see {log}"
            ) from error

    def succeeded(self, status: int, log: str) -> bool:
        """Whether the tool, with this exit status and output, says that it has flashed the board."""
        return status == 0

    def remedy(self, log: str, job: FlashJob) -> str | None:
        """What helps against the failure that the output tells of, if it is a known one."""
        return next((text for pattern, text in _REMEDIES if pattern.search(log)), None)


def command_word(program: Program, path: Path) -> str:
    """How a program is called in a command line: by its name if the PATH leads to it."""
    import shutil

    on_path = shutil.which(program.command)
    return program.command if on_path is not None and Path(on_path) == path else str(path)


# Failures that every tool meets, in the words of the tools or of the libraries below them.
_REMEDIES = (
    (
        re.compile(r"LIBUSB_ERROR_ACCESS|Access denied|insufficient permissions|Permission denied", re.I),
        "the udev rules of the tool's package and plugging the board in again, or the board's group "
        "(see mcu-ser boards detect)",
    ),
    (
        re.compile(
            r"open failed|Couldn't find any ST-Link|No connected debug probe|No target device available"
            r"|No ST-?LINK detected|unable to find a matching CMSIS-DAP|No DFU capable USB device",
            re.IGNORECASE,
        ),
        "a USB cable that carries data, the probe's own connector, and --probe if there are several",
    ),
)
