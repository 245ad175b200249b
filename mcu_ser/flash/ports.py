# SPDX-License-Identifier: Apache-2.0
"""The serial ports of this computer, and which of them may be a given board, told by USB ids.

An id tells a board of Arduino's from one of ST's, but neither tells its boards apart: several candidates are
an error that lists them, never a choice.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mcu_ser.errors import ConfigError, DeviceError, LinkError

if TYPE_CHECKING:
    from mcu_ser.board import Board

ST_VENDOR_ID = 0x0483


@dataclass(frozen=True)
class PortRecord:
    """A serial port that the operating system lists.

    Attributes:
        device: Its name, e.g. /dev/ttyACM0 or COM3.
        usb_id: Vendor and product; None for a port that is not on USB.
        serial_number: Of the USB device; empty if it has none.
        product: What the USB device calls itself; may be empty.
        location: Where on the bus it is plugged in, e.g. 1-1.4; empty if unknown.
    """

    device: str
    usb_id: tuple[int, int] | None = None
    serial_number: str = ""
    product: str = ""
    location: str = ""

    @property
    def is_st_link(self) -> bool:
        """Whether the port belongs to a debug probe of ST's, whose serial number is then the port's."""
        # Early ST-LINK/V2 have numbers of unprintable characters, but no serial port.
        legible = self.serial_number.isascii() and self.serial_number.isalnum()
        return self.usb_id is not None and self.usb_id[0] == ST_VENDOR_ID and legible

    def __str__(self) -> str:
        ids = "" if self.usb_id is None else "{:04x}:{:04x}".format(*self.usb_id)
        details = (ids, self.product, self.serial_number and f"serial number {self.serial_number}")
        known = ", ".join(detail for detail in details if detail)
        return f"{self.device} ({known})" if known else self.device


ListPorts = Callable[[], Sequence[PortRecord]]


def list_ports() -> tuple[PortRecord, ...]:
    """Every serial port of this computer, by name."""
    from serial.tools.list_ports import comports

    records = [
        PortRecord(
            device=port.device,
            usb_id=None if port.vid is None or port.pid is None else (port.vid, port.pid),
            serial_number=port.serial_number or "",
            product=port.product or "",
            # Linux and macOS append the interface: "1-1.4:1.0".
            location=(port.location or "").partition(":")[0],
        )
        for port in comports()
    ]
    return tuple(sorted(records, key=lambda record: record.device))


def with_ids(ports: Sequence[PortRecord], usb_ids: Sequence[tuple[int, int]]) -> tuple[PortRecord, ...]:
    """The ports whose USB id is one of these."""
    return tuple(port for port in ports if port.usb_id in usb_ids)


def board_usb_ids(board: Board) -> tuple[tuple[int, int], ...]:
    """Ids under which the board's port may be found: the firmware's, then its boot loader's."""
    return (*board.serial.usb_ids, *bootloader_usb_ids(board))


def bootloader_usb_ids(board: Board) -> tuple[tuple[int, int], ...]:
    """Ids of the port that the board's boot loader opens; empty if it opens none."""
    bossac = None if board.flash is None else board.flash.runners.bossac
    return () if bossac is None else bossac.bootloader_usb_ids


def find_port(board: Board, ports: Sequence[PortRecord]) -> PortRecord:
    """The one port that may be this board.

    Raises:
        ConfigError: The board's port cannot be told by USB ids, or several ports may be it.
        DeviceError: No port may be it.
    """
    if not board.serial.usb_ids:
        problem = "its serial port has no USB ids of its own, so it cannot be found"
        raise ConfigError(board.id, problem, hint="--port with the port of the adapter that it is wired to")
    found = with_ids(ports, board_usb_ids(board))
    if len(found) > 1:
        raise ConfigError(
            board.id,
            f"{len(found)} ports may be it: " + "; ".join(map(str, found)),
            hint=f"--port {found[0].device}, or whichever it is",
        )
    if not found:
        wanted = ", ".join("{:04x}:{:04x}".format(*usb_id) for usb_id in board.serial.usb_ids)
        raise DeviceError(
            board.id,
            f"no port has its USB ids ({wanted}); seen: {'; '.join(map(str, ports)) or 'no port at all'}",
            hint="a USB cable that carries data, or --port PORT",
        )
    return found[0]


def record_of(device: str, ports: Sequence[PortRecord]) -> PortRecord:
    """What is known about the port that the user named: the listed one, or nothing but its name."""
    name = _resolved(device)
    return next((port for port in ports if _resolved(port.device) == name), PortRecord(device))


def require_openable(port: PortRecord, ports: Sequence[PortRecord]) -> None:
    """Check that a port is there and that this user may open it; nothing is opened.

    Raises:
        LinkError: It is not, or may not.
    """
    listed = any(_resolved(one.device) == _resolved(port.device) for one in ports)
    # A pseudo-terminal is a port that nobody lists; on Windows a port is no file.
    if not (listed or "://" in port.device or (os.name == "posix" and Path(port.device).exists())):
        seen = "; ".join(map(str, ports)) or "no port at all"
        raise LinkError(port.device, f"no such port; seen: {seen}", hint="mcu-ser boards detect")
    problem = access_problem(port.device)
    if problem is not None:
        raise LinkError(port.device, problem[0], hint=problem[1])


def _resolved(device: str) -> str:
    # /dev/serial/by-id/... are links to the names that are listed.
    return os.path.realpath(device) if device.startswith("/") else device


def access_problem(device: str) -> tuple[str, str] | None:
    """Why this user may not open the port, and what helps; None if it is not known to be so."""
    path = Path(device)
    if os.name != "posix" or not path.exists() or os.access(path, os.R_OK | os.W_OK):
        return None
    try:
        group = path.group()
    except (KeyError, OSError):
        group = "dialout"
    return (
        f"this user may not open it (it belongs to group {group})",
        f"sudo usermod -aG {group} $USER, then log in again",
    )
