# SPDX-License-Identifier: Apache-2.0
"""Which runner flashes a board: the one that the user names, else the default, else one that is there.

A runner that wants a debug probe which the board does not carry is taken only when it is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mcu_ser.errors import ConfigError, ToolMissingError
from mcu_ser.flash.runner import FlashJob, Runner
from mcu_ser.flash.table import RUNNERS
from mcu_ser.shell_command import shell_command


def require_flashable(job: FlashJob) -> tuple[str, ...]:
    """The names of the board's runners, the preferred first.

    Raises:
        ConfigError: The board is not flashed at all.
    """
    if job.board.flash is None:
        raise ConfigError(
            job.board.id,
            "is not flashed: it is an emulator or this computer",
            hint=shell_command("mcu-ser", "verify", job.project, "--random", 50, "--out", "REPORT"),
        )
    return job.board.flash.names


def named_runner(job: FlashJob, name: str) -> Runner[Any]:
    """The runner of that name.

    Raises:
        ConfigError: There is none, or it does not serve the board.
    """
    names = require_flashable(job)
    if name not in names:
        raise ConfigError(
            job.board.id, f"cannot be flashed with {name!r}", hint="--runner " + " or ".join(names)
        )
    return RUNNERS[name]


def choose_runner(job: FlashJob, name: str | None = None) -> tuple[Runner[Any], str]:
    """A runner that can be used here and now, and the program (or directory) that it uses.

    Raises:
        ConfigError: No such runner for the board.
        ToolMissingError: The named runner cannot be used here, or none of the board's can.
    """
    if name is not None:
        runner = named_runner(job, name)
        return runner, runner.require(job)
    unasked, named_only = _by_cable(require_flashable(job))
    missing = []
    for runner in unasked:
        try:
            return runner, runner.require(job)
        except ToolMissingError as error:
            missing.append(f"{runner.name}: {error.hint}")
    missing += [f"--runner {runner.name} with a debug probe, wired to the board" for runner in named_only]
    raise ToolMissingError(job.board.id, "no tool that flashes it is here", hint="; or ".join(missing))


def _by_cable(names: Sequence[str]) -> tuple[list[Runner[Any]], list[Runner[Any]]]:
    """The runners that what comes with the board is enough for, and those that want a probe besides."""
    runners = [RUNNERS[name] for name in names]
    if not runners[0].boot_loader:
        return runners, []
    own = [runner for runner in runners if runner.boot_loader]
    return own, [runner for runner in runners if not runner.boot_loader]


def shown_runner(job: FlashJob, name: str | None = None) -> tuple[Runner[Any], str]:
    """As `choose_runner`, but the preferred one stands for itself where none can be used.

    Raises:
        ConfigError: No such runner for the board.
    """
    try:
        return choose_runner(job, name)
    except ToolMissingError:
        runner = RUNNERS[name or require_flashable(job)[0]]
        return runner, runner.shown(job)
