# SPDX-License-Identifier: Apache-2.0
"""What every device offers to its callers, and the simplest device: a port that is already there."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol

DEFAULT_BAUD = 115200


class Device(Protocol):
    """A board to talk to: `url` is valid between entering and leaving the context."""

    @property
    def url(self) -> str:
        """Where it listens, as pyserial understands it: /dev/ttyACM0, COM3, socket://127.0.0.1:4001 ..."""

    @property
    def baud(self) -> int:
        """Bit rate of a real serial port; without meaning for sockets."""

    def raise_if_dead(self, wait_s: float = 0.0) -> None:
        """Say why the device is gone, if it is.

        Args:
            wait_s: How long a device that is just going may take to be gone.

        Raises:
            DeviceFaultError: The device has crashed or ended.
        """

    def __enter__(self) -> Device: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class AttachedPort:
    """A board on a serial port or URL that somebody else powers and watches."""

    def __init__(self, url: str, baud: int = DEFAULT_BAUD) -> None:
        self.url = url
        self.baud = baud

    def raise_if_dead(self, wait_s: float = 0.0) -> None:
        """Nothing is known about the board behind the port."""

    def __enter__(self) -> AttachedPort:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass
