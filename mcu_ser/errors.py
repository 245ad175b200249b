# SPDX-License-Identifier: Apache-2.0
"""Every error a user can meet, and the exit code it ends with.

McuSerError
├── ConfigError          2  a wrong argument, recipe, board file or run directory
│   └── CorpusError      2  a corpus that is absent, empty or unreadable
├── ModelError           2  a .tflite that cannot be read, or that the engine does not support
├── SamplesError         2  test samples of the wrong shape, dtype or content
├── CheckFailedError     1  a check ran and failed
│   ├── BudgetError      1  the model or firmware does not fit the board
│   └── BuildError       1  the compiler refused the project
├── ToolMissingError     3  a program or Python extra that is not installed
└── DeviceError          4  the board, real or emulated, did not do its part
    ├── FlashError       4  the flash tool could not write the firmware to the board
    ├── LinkError        4  the port cannot be opened, went away, or carries garbage
    ├── DeviceFaultError 4  the firmware crashed, rebooted or reported a fault
    └── MismatchError    4  the board runs another model, build or protocol
"""

from __future__ import annotations

from typing import ClassVar


class McuSerError(Exception):
    """One clear sentence for the user: subject, what is wrong, the limit, what to try next.

    Args:
        subject: What the error is about, e.g. a file, a layer, a port.
        problem: What is wrong with it, with the offending value.
        limit: The bound that was passed, if there is one.
        hint: What to try next.
    """

    exit_code: ClassVar[int] = 1

    def __init__(
        self, subject: object, problem: str, *, limit: str | None = None, hint: str | None = None
    ) -> None:
        self.subject = str(subject)
        self.problem = problem
        self.limit = limit
        self.hint = hint
        super().__init__(self.subject, problem)

    def __str__(self) -> str:
        text = f"{self.subject}: {self.problem}"
        if self.limit:
            text += f", limit {self.limit}"
        if self.hint:
            text += f"; try: {self.hint}"
        return text


class ConfigError(McuSerError):
    """A wrong argument, recipe, board file or run directory."""

    exit_code = 2


class CorpusError(ConfigError):
    """A corpus that is absent, empty or unreadable."""


class ModelError(McuSerError):
    """A .tflite that cannot be read, or that the engine does not support."""

    exit_code = 2


class SamplesError(McuSerError):
    """Test samples of the wrong shape, dtype or content."""

    exit_code = 2


class CheckFailedError(McuSerError):
    """A check ran and failed."""

    exit_code = 1


class BudgetError(CheckFailedError):
    """The model or firmware does not fit the board."""


class BuildError(CheckFailedError):
    """The compiler refused the project."""


class ToolMissingError(McuSerError):
    """A program or Python extra that is not installed; the hint is the command that installs it."""

    exit_code = 3


class DeviceError(McuSerError):
    """The board, real or emulated, did not do its part."""

    exit_code = 4


class FlashError(DeviceError):
    """The flash tool could not write the firmware to the board."""


class LinkError(DeviceError):
    """The port cannot be opened, went away, or carries garbage."""


class DeviceFaultError(DeviceError):
    """The firmware crashed, rebooted or reported a fault."""


class MismatchError(DeviceError):
    """The board runs another model, build or protocol than the project."""
