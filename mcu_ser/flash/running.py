# SPDX-License-Identifier: Apache-2.0
"""Asks a board which firmware it runs: the proof that flashing has worked."""

from __future__ import annotations

import time

from mcu_ser.device.device import AttachedPort
from mcu_ser.device.link import Link
from mcu_ser.errors import DeviceError, LinkError, MismatchError
from mcu_ser.flash.ports import access_problem
from mcu_ser.verify.client import Client
from mcu_ser.verify.messages import Hello
from mcu_ser.verify.patience import Patience

# A probe may still be writing when its tool has ended, and a USB port may be away for a moment.
GIVE_UP_S = 20.0
_ONE_TRY_S = 2.0
_PAUSE_S = 0.3


def ask(url: str, baud: int, give_up_s: float) -> Hello:
    """What the board behind a port says about itself.

    Raises:
        LinkError: Nothing answers, or something that is no such board.
        MismatchError: It speaks another version of the protocol.
    """
    try:
        with Link(AttachedPort(url, baud)) as link:
            return Client(link, Patience(hello_s=give_up_s)).hello()
    except LinkError as error:
        problem = access_problem(url)
        if problem is None:
            raise
        raise LinkError(url, problem[0], hint=problem[1]) from error


def await_build(url: str, baud: int, build_id: str, *, give_up_s: float = GIVE_UP_S) -> Hello:
    """Wait until the board runs this build.

    Raises:
        MismatchError: It still runs another one when time is up.
        LinkError: It does not answer.
    """
    end = time.monotonic() + give_up_s
    while True:
        try:
            hello = ask(url, baud, min(_ONE_TRY_S, give_up_s))
            problem: DeviceError | None = None
        except DeviceError as error:
            problem = error
        else:
            if hello.build_id == build_id:
                return hello
        if time.monotonic() >= end:
            break
        time.sleep(_PAUSE_S)
    if problem is not None:
        raise problem
    raise MismatchError(
        url,
        f"runs build {hello.build_id} of {hello.board_id}, but {build_id} was flashed",
        hint="the port and the probe of one board (--port, --probe), or another runner (--runner)",
    )
