# SPDX-License-Identifier: Apache-2.0
"""`flash` as two functions: `plan` decides and touches nothing, `flash` does it and asks the board."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcu_ser.errors import ConfigError, FlashError
from mcu_ser.flash.choice import choose_runner, named_runner, require_flashable, shown_runner
from mcu_ser.flash.ports import (
    ListPorts,
    PortRecord,
    board_usb_ids,
    bootloader_usb_ids,
    find_port,
    list_ports,
    record_of,
    require_openable,
    with_ids,
)
from mcu_ser.flash.runner import FlashJob, Runner
from mcu_ser.flash.running import GIVE_UP_S, await_build
from mcu_ser.flash.touch import APPEAR_S, await_port, touch
from mcu_ser.shell_command import shell_command
from mcu_ser.toolchain.build_record import require_fresh_build

if TYPE_CHECKING:
    from mcu_ser.board import Board
    from mcu_ser.generate.project import Project
    from mcu_ser.verify.messages import Hello

LOG_NAME = "flash.log"
# Two megabytes at the slowest of the tools (a boot loader on a serial port) take about three minutes.
TIMEOUT_S = 600.0
# Longest error shown; the log has the whole.
_ERROR_CHARACTERS = 400


@dataclass(frozen=True)
class FlashPlan:
    """What will be done.

    Attributes:
        project: The firmware project.
        runner: How the board is flashed.
        program: What the runner uses: a program, or the directory of a volume.
        job: What it is told. The port of a boot loader that has still to be started is not in it yet.
        port: The port at which the flashed firmware is to answer; None in a plan that is only shown.
    """

    project: Project
    runner: Runner[Any]
    program: str
    job: FlashJob
    port: PortRecord | None

    @property
    def needs_touch(self) -> bool:
        """Whether the boot loader has to be started through the port of the running firmware."""
        return self.runner.needs_port and self.port is not None and self.job.port is None

    def command_line(self) -> str:
        """The command as a shell would take it, with the directory that it is run in."""
        directory = shell_command("cd", self.runner.directory(self.job))
        return f"{directory} && {shell_command(*self.runner.argv(self.program, self.job))}"


@dataclass(frozen=True)
class FlashResult:
    """What was done: the port at which the firmware answers, what it says, and what the tool said."""

    port: str
    hello: Hello
    log: Path


@dataclass(frozen=True)
class Limits:
    """Longest times in seconds: for the tool, for a USB port to appear, for the firmware to answer."""

    tool_s: float = TIMEOUT_S
    appear_s: float = APPEAR_S
    answer_s: float = GIVE_UP_S


def plan(
    project: Project,
    *,
    port: str | None = None,
    runner: str | None = None,
    probe: str | None = None,
    list_ports: ListPorts = list_ports,
    dry_run: bool = False,
) -> FlashPlan:
    """Decide how to flash a project.

    Args:
        project: The firmware project, built.
        port: Port of the board; found by its USB ids without it.
        runner: Name of the runner; the board's default, or one that is installed, without it.
        probe: Serial number of the debug probe; that of the port without it.
        list_ports: Lists the serial ports of this computer.
        dry_run: Only to be shown: a board and a tool that are not there are no errors, two boards are.

    Raises:
        ConfigError: The project is not built or was changed since, the board cannot be flashed (so), or
            several ports or probes may be it.
        ToolMissingError: No tool for it is installed.
        DeviceError: No port may be the board's, or the named one is not there or may not be opened: a tool
            must not write to a board that cannot be asked afterwards.
    """
    job = FlashJob(project.board, project.root, project.elf_path)
    require_flashable(job)
    if runner is not None:
        named_runner(job, runner)  # before anything is looked for on the desk
    if not dry_run:
        require_fresh_build(project)
    found = _port(project, port, probe, list_ports, dry_run=dry_run)
    if probe is None and found is not None and found.is_st_link and found.usb_id in job.board.serial.usb_ids:
        probe = found.serial_number
    job = replace(job, probe=_probe_name(probe))
    chosen, program = (shown_runner if dry_run else choose_runner)(job, runner)
    if chosen.takes_probe and job.probe is None:
        _require_one_probe(job, list_ports())
    # A board whose USB is software has no port while it runs none; a probe flashes it all the same.
    if found is not None and not dry_run and (chosen.needs_port or not project.board.serial.touch_1200bps):
        require_openable(found, list_ports())
    if chosen.needs_port and found is not None:
        _require_serial_port(chosen, found.device)
        if chosen.touches or not _runs_firmware(project.board, found):
            job = replace(job, port=found.device)
    return FlashPlan(project, chosen, program, job, found)


def flash(
    flash_plan: FlashPlan, *, list_ports: ListPorts = list_ports, limits: Limits | None = None
) -> FlashResult:
    """Put the firmware on the board; returns when the board answers with the build that was flashed.

    Raises:
        FlashError: The tool failed; names its first error and the log.
        DeviceError: The board's port does not come back, or the board does not answer with this build.
    """
    limits = limits or Limits()
    before = flash_plan.port
    if before is None:
        raise RuntimeError("a plan without a port can only be shown")
    log = _fresh_log(flash_plan.project)
    known = tuple(list_ports())
    job = flash_plan.job
    if flash_plan.needs_touch:
        touch(before.device)
        loader = bootloader_usb_ids(job.board)
        appeared = await_port(loader, list_ports, like=before, known=known, timeout_s=limits.appear_s)
        job = replace(job, port=appeared.device)
    status = flash_plan.runner.execute(flash_plan.program, job, log, limits.tool_s)
    text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    if not flash_plan.runner.succeeded(status, text):
        raise _failure(flash_plan.runner, job, status, text, log)
    after = _port_after(flash_plan, before, known, list_ports, limits)
    hello = await_build(
        after, flash_plan.project.baud, flash_plan.project.build_id, give_up_s=limits.answer_s
    )
    return FlashResult(after, hello, log)


def _probe_name(probe: str | None) -> str | None:
    """The serial number of a probe, if it is one: it becomes a part of commands of other languages."""
    if probe is not None and not re.fullmatch(r"[A-Za-z0-9_.:-]+", probe):
        raise ConfigError("--probe", f"{probe!r} is no serial number", hint="mcu-ser boards detect")
    return probe


def _require_one_probe(job: FlashJob, ports: Sequence[PortRecord]) -> None:
    """Check that the only probe is meant: a tool that is told none takes the first that it finds."""
    probes = [port for port in ports if port.is_st_link]
    if len({port.serial_number for port in probes}) > 1:
        raise ConfigError(
            job.board.id,
            f"{len(probes)} probes may be its: " + "; ".join(map(str, probes)),
            hint=f"--probe {probes[0].serial_number}, or whichever it is",
        )


def _port(
    project: Project, port: str | None, probe: str | None, list_ports: ListPorts, *, dry_run: bool
) -> PortRecord | None:
    ports = list_ports()
    if port is not None:
        return record_of(port, ports)
    # The port of an ST-LINK is told by the probe's own serial number.
    of_probe = [one for one in ports if probe is not None and one.is_st_link and one.serial_number == probe]
    candidates = of_probe or ports
    if dry_run and not with_ids(candidates, board_usb_ids(project.board)):
        return None
    return find_port(project.board, candidates)


def _runs_firmware(board: Board, port: PortRecord) -> bool:
    """Whether the boot loader that would flash the board has still to be started."""
    return board.serial.touch_1200bps and port.usb_id not in bootloader_usb_ids(board)


def _require_serial_port(runner: Runner[Any], device: str) -> None:
    if "://" in device:
        raise ConfigError(device, f"is no serial port, which {runner.name} needs", hint="--runner or --port")


def _port_after(
    flash_plan: FlashPlan,
    before: PortRecord,
    known: tuple[PortRecord, ...],
    list_ports: ListPorts,
    limits: Limits,
) -> str:
    """Where the firmware answers: a board with a boot loader of its own comes back as another USB device."""
    board = flash_plan.job.board
    if not bootloader_usb_ids(board) or before.usb_id is None:
        return before.device
    others = tuple(port for port in known if port != before)
    return await_port(
        board.serial.usb_ids, list_ports, like=before, known=others, timeout_s=limits.appear_s
    ).device


def _fresh_log(project: Project) -> Path:
    log = project.build_dir / LOG_NAME
    try:
        log.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(log, f"cannot be replaced ({error.strerror})", hint="its permissions") from error
    return log


def _failure(runner: Runner[Any], job: FlashJob, status: int, text: str, log: Path) -> FlashError:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    first = next((line for line in lines if runner.error_line.search(line)), None)
    said = first or (lines[-1] if lines else "it says nothing")
    how = f"exit status {status}" if status >= 0 else f"signal {-status}"
    return FlashError(
        job.board.id,
        f"{runner.name} failed ({how}): {textwrap.shorten(said, _ERROR_CHARACTERS, placeholder=' ...')}",
        hint=runner.remedy(text, job) or f"see {os.path.relpath(log)}",
    )
