# SPDX-License-Identifier: Apache-2.0
"""A byte stream to a device, with every way of losing it as one error that names the port."""

from __future__ import annotations

from types import TracebackType

from mcu_ser.device.device import DEFAULT_BAUD, AttachedPort, Device
from mcu_ser.device.streams import WRITE_TIMEOUT_S, open_stream
from mcu_ser.errors import LinkError

# A program that crashes closes its socket a little before the system reports its end.
_DEATH_WAIT_S = 2.0


class Link:
    """An open port; a context manager.

    Args:
        device: The device (inside its context), or the URL of a port.

    Raises (on construction):
        LinkError: The port cannot be opened.
        DeviceFaultError: It cannot be opened because the device has died.
    """

    baud = DEFAULT_BAUD

    def __init__(self, device: Device | str) -> None:
        self._device: Device = AttachedPort(device) if isinstance(device, str) else device
        self.url = self._device.url
        self.baud = self._device.baud
        self.bytes_sent = 0
        self.bytes_received = 0
        try:
            self._stream = open_stream(self.url, self._device.baud)
        except (OSError, ValueError) as error:
            self._device.raise_if_dead(_DEATH_WAIT_S)
            hint = "the port of a connected board"
            raise LinkError(self.url, f"cannot be opened ({_reason(error)})", hint=hint) from error

    def read(self, timeout_s: float) -> bytes:
        """The bytes that have arrived, waiting at most `timeout_s` for the first of them.

        Raises:
            LinkError: The port is gone.
            DeviceFaultError: The port is gone because the device has died.
        """
        try:
            data = self._stream.read(timeout_s)
        except OSError as error:
            raise self._gone(error) from error
        self.bytes_received += len(data)
        return data

    def write(self, data: bytes) -> None:
        """Send all of `data`.

        Raises:
            LinkError: The port is gone, or takes nothing for ten seconds.
            DeviceFaultError: The port is gone because the device has died.
        """
        try:
            self._stream.write(data)
        except TimeoutError as error:
            self._device.raise_if_dead()
            problem = f"takes no data for {WRITE_TIMEOUT_S:g} s"
            raise LinkError(self.url, problem, hint="a reset of the board") from error
        except OSError as error:
            raise self._gone(error) from error
        self.bytes_sent += len(data)

    def raise_if_dead(self) -> None:
        """Raise DeviceFaultError if the device is known to have died."""
        self._device.raise_if_dead()

    def close(self) -> None:
        """Give the port back."""
        self._stream.close()

    def __enter__(self) -> Link:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _gone(self, error: Exception) -> LinkError:
        self._device.raise_if_dead(_DEATH_WAIT_S)
        return LinkError(self.url, f"went away ({_reason(error)})", hint="reconnecting the board")


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
