# SPDX-License-Identifier: Apache-2.0
"""Turns the URL of a port into an open byte stream. Every failure of a stream is an OSError.

`socket://` has its own stream: pyserial's empties the receive buffer on opening until it stays empty, which
never ends when the other side keeps sending, and cannot say how much has arrived.

Limits of `rfc2217://` are pyserial's: 5 s to connect and without progress in sending, and 3 s for the other
side to show that it speaks RFC 2217 (`rfc2217://HOST:PORT?timeout=SECONDS` sets another).
"""

from __future__ import annotations

import selectors
import socket
import time
from typing import Protocol
from urllib.parse import urlsplit

import serial

_BLOCK_BYTES = 16384
_CONNECT_TIMEOUT_S = 5.0
WRITE_TIMEOUT_S = 10.0
# pyserial handlers without a file descriptor (rfc2217, loop) are asked in steps of this length.
_STEP_S = 0.02


class Stream(Protocol):
    """An open byte stream."""

    def read(self, timeout_s: float) -> bytes:
        """What has arrived, waiting at most `timeout_s` for the first byte; empty if none came."""

    def write(self, data: bytes) -> None:
        """Send all of `data`, or raise TimeoutError after `WRITE_TIMEOUT_S` without progress."""

    def close(self) -> None:
        """Give the port back."""


def open_stream(url: str, baud: int) -> Stream:
    """Open a port.

    Args:
        url: A device name, or a URL that pyserial knows.
        baud: Bit rate of a real port.

    Raises:
        OSError: It cannot be opened (`serial.SerialException` is an OSError).
        ValueError: It is no such URL.
    """
    if url.startswith("socket://"):
        return TcpStream(url)
    # Two programs on one board would eat each other's answers: exclusive.
    port = serial.serial_for_url(url, do_not_open=True, baudrate=baud, timeout=0)
    if not url.startswith("rfc2217://"):  # refuses a limit of ours
        port.write_timeout = WRITE_TIMEOUT_S
        port.exclusive = True
    port.open()
    return SerialStream(port)


class TcpStream:
    """A TCP connection, from `socket://HOST:PORT`."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if not parts.hostname or parts.port is None:
            raise ValueError("expected socket://HOST:PORT")
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout=_CONNECT_TIMEOUT_S)
        # Small requests wait for their answers; Nagle's algorithm would hold them back.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def read(self, timeout_s: float) -> bytes:
        # A timeout of 0 would make the socket non-blocking, with another error.
        self._socket.settimeout(max(timeout_s, 1e-4))
        try:
            data = self._socket.recv(_BLOCK_BYTES)
        except TimeoutError:
            return b""
        if not data:
            raise ConnectionResetError("closed by the other side")
        return data

    def write(self, data: bytes) -> None:
        self._socket.settimeout(WRITE_TIMEOUT_S)
        self._socket.sendall(data)

    def close(self) -> None:
        self._socket.close()


class SerialStream:
    """A port that pyserial has opened with timeout 0."""

    def __init__(self, port: serial.Serial) -> None:
        self._port = port
        self._selector: selectors.BaseSelector | None = None
        try:
            descriptor = port.fileno()
        except (OSError, AttributeError):
            port.timeout = _STEP_S
            return
        self._selector = selectors.DefaultSelector()
        self._selector.register(descriptor, selectors.EVENT_READ)

    def read(self, timeout_s: float) -> bytes:
        if self._selector is None:
            return self._read_in_steps(timeout_s)
        if not self._selector.select(max(timeout_s, 0.0)):
            return b""
        return bytes(self._port.read(_BLOCK_BYTES))

    def write(self, data: bytes) -> None:
        try:
            self._port.write(data)
        except serial.SerialTimeoutException as error:
            raise TimeoutError(str(error)) from error

    def close(self) -> None:
        if self._selector is not None:
            self._selector.close()
        self._port.close()

    def _read_in_steps(self, timeout_s: float) -> bytes:
        deadline = time.monotonic() + timeout_s
        while True:
            data = bytes(self._port.read(max(1, min(self._port.in_waiting, _BLOCK_BYTES))))
            if data or time.monotonic() >= deadline:
                return data
