# SPDX-License-Identifier: Apache-2.0
"""Starts the boot loader of an Arduino board: a touch of its port, then a wait for the one that appears.

The sketch's USB code resets into the boot loader when its port was opened at 1200 baud and is closed; the
boot loader is another USB device in the same socket, often under another name.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

import serial

from mcu_ser.errors import DeviceError, LinkError
from mcu_ser.flash.ports import ListPorts, PortRecord, access_problem, with_ids

TOUCH_BAUD = 1200
# The sketch waits 0.2 s before it resets; the computer then has a new USB device to set up.
APPEAR_S = 10.0
_LOOK_AGAIN_S = 0.1

_log = logging.getLogger(__name__)


def touch(device: str) -> None:
    """Open a port at 1200 baud and close it.

    Raises:
        LinkError: It cannot be opened.
    """
    try:
        port = serial.Serial(device, baudrate=TOUCH_BAUD)
    except (OSError, ValueError) as error:
        problem, hint = access_problem(device) or (f"cannot be opened ({error})", "another port")
        raise LinkError(device, problem, hint=hint) from error
    try:
        port.dtr = False
    except OSError as error:  # a pseudo-terminal has no such line, and a board may be gone already
        _log.debug("%s: DTR not cleared: %s", device, error)
    finally:
        port.close()


def await_port(
    usb_ids: Sequence[tuple[int, int]],
    list_ports: ListPorts,
    *,
    like: PortRecord,
    known: Sequence[PortRecord] = (),
    timeout_s: float = APPEAR_S,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> PortRecord:
    """The port with one of the ids that belongs to the same board as `like`, once it may be opened.

    Args:
        usb_ids: What to wait for.
        list_ports: Lists the ports that there are now.
        like: A port of the same board, as it was before it restarted.
        known: Ports that were there before; they belong to other boards unless their place says otherwise.
        timeout_s: How long to wait.
        clock: Seconds, as time.monotonic.
        sleep: Waits, as time.sleep.

    Raises:
        DeviceError: It does not appear in time, or may not be opened.
    """
    end = clock() + timeout_s
    seen: tuple[PortRecord, ...] = ()
    while clock() < end:
        seen = tuple(list_ports())
        found = _same_board(with_ids(seen, usb_ids), like, known)
        # udev needs a moment to give the new device to its group.
        if found is not None and access_problem(found.device) is None:
            return found
        sleep(_LOOK_AGAIN_S)
    wanted = ", ".join("{:04x}:{:04x}".format(*usb_id) for usb_id in usb_ids)
    listed = "; ".join(map(str, seen)) or "no port at all"
    raise DeviceError(
        like.device,
        f"no port {wanted} appeared in {timeout_s:g} s; seen: {listed}",
        hint="pressing the board's reset button twice quickly (its light breathes), then again",
    )


def _same_board(
    ports: Sequence[PortRecord], like: PortRecord, known: Sequence[PortRecord]
) -> PortRecord | None:
    """The port that is plugged in where `like` was; without places, the only one that is new."""
    if like.location:
        ports = [port for port in ports if port.location in {like.location, ""}]
    here = [port for port in ports if port.location and port.location == like.location]
    new = [port for port in ports if port not in known]
    candidates = here or new
    return candidates[0] if len(candidates) == 1 else None
