# SPDX-License-Identifier: Apache-2.0
"""Which boards may be connected, told by USB ids, and which firmware they run, told by themselves.

The ids of an ST-LINK are those of the probe, the same on every board that carries it. Only ports with ids of
a known board are asked, and never at the rate that would start a boot loader.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcu_ser.errors import DeviceError
from mcu_ser.flash.ports import ListPorts, PortRecord, board_usb_ids, bootloader_usb_ids, list_ports
from mcu_ser.flash.running import ask

if TYPE_CHECKING:
    from mcu_ser.board import Board
    from mcu_ser.verify.messages import Hello

# A board answers in milliseconds; a sketch of somebody else's never.
ANSWER_S = 1.5


@dataclass(frozen=True)
class Detected:
    """What is known about a port.

    Attributes:
        port: The port.
        boards: Ids of the boards that it may be, by USB id.
        in_boot_loader: It is the port of a boot loader: no firmware runs.
        hello: What the firmware says; None if it was not asked or does not answer.
        problem: Why it does not answer, if it was asked.
    """

    port: PortRecord
    boards: tuple[str, ...]
    in_boot_loader: bool = False
    hello: Hello | None = None
    problem: str | None = None


def detect(
    boards: Sequence[Board],
    *,
    baud: int,
    list_ports: ListPorts = list_ports,
    asking: bool = True,
    give_up_s: float = ANSWER_S,
) -> tuple[Detected, ...]:
    """Every serial port, and what may be behind it.

    Args:
        boards: The boards that are known.
        baud: Bit rate at which they are asked.
        list_ports: Lists the ports.
        asking: Whether ports that may be boards are opened and asked.
        give_up_s: How long to wait for each answer.
    """
    return tuple(_detected(port, boards, baud, give_up_s if asking else None) for port in list_ports())


def _detected(port: PortRecord, boards: Sequence[Board], baud: int, give_up_s: float | None) -> Detected:
    candidates = tuple(board.id for board in boards if port.usb_id in board_usb_ids(board))
    in_boot_loader = any(port.usb_id in bootloader_usb_ids(board) for board in boards)
    if not candidates or in_boot_loader or give_up_s is None:
        return Detected(port, candidates, in_boot_loader)
    try:
        return Detected(port, candidates, hello=ask(port.device, baud, give_up_s))
    except DeviceError as error:
        return Detected(port, candidates, problem=error.problem)
