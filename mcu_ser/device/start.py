# SPDX-License-Identifier: Apache-2.0
"""Chooses the device that a firmware project runs on: a given port, an emulator, or this computer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mcu_ser.device.device import AttachedPort, Device
from mcu_ser.device.emulator import QemuEmulator
from mcu_ser.device.host_process import HostProcess
from mcu_ser.errors import ConfigError
from mcu_ser.flash import ports
from mcu_ser.flash.ports import find_port
from mcu_ser.programs import QEMU_ARM
from mcu_ser.shell_command import shell_command

if TYPE_CHECKING:
    from mcu_ser.board import Board
    from mcu_ser.generate.project import Project


def open_device(project: Project, port: str | None = None) -> Device:
    """The device of a project; enter it to start it.

    Args:
        project: A firmware project.
        port: URL of a board that is already running, flashed with this project; then nothing is started.

    Raises:
        ConfigError: The firmware has not been built, or several ports may be the board's.
        DeviceError: The board is a real one, and no port may be its.
    """
    port = require_device(project.board, port)
    if port is not None:
        return AttachedPort(port, project.baud)
    return open_emulated(project)


def open_devices(project: Project, ports: Sequence[str] = ()) -> list[Device]:
    """The devices of a project: a board at each of `ports`, or else the one of `open_device`.

    Raises:
        ConfigError: A port is named twice; or as `open_device`.
        DeviceError: As `open_device`.
    """
    twice = next((port for index, port in enumerate(ports) if port in ports[:index]), None)
    if twice is not None:
        raise ConfigError("--port", f"{twice} is named twice", hint="each board once")
    return [open_device(project, port) for port in ports or (None,)]


def require_device(board: Board, port: str | None) -> str | None:
    """Check that there will be a device to open, before anything is built for it.

    Returns the port of a real board: the given one, else the only one with the board's USB ids.

    Raises:
        ConfigError: Several ports may be the board's, or none can be told by USB ids.
        DeviceError: No port may be the board's.
        ToolMissingError: Its emulator is not installed.
    """
    if port is not None or board.platform == "host":
        return port
    if board.emulator is None:
        return find_port(board, ports.list_ports()).device
    QEMU_ARM.require()
    return None


def open_emulated(project: Project) -> Device:
    """The emulated board of a project, or the project as a native program; enter it to start it.

    Raises:
        ConfigError: The firmware has not been built, or the board has no emulator.
    """
    board = project.board
    if board.platform != "host" and board.emulator is None:
        raise ConfigError(board.id, "has no emulator", hint="mcu-ser boards list")
    if not project.elf_path.is_file():
        raise ConfigError(
            project.root, "has no firmware yet", hint=shell_command("mcu-ser", "build", project.root)
        )
    if board.emulator is None:
        return HostProcess(project.elf_path)
    return QemuEmulator(project.elf_path, board.emulator.machine, serial_index=board.emulator.serial_index)
