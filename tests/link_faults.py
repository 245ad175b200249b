# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy between the host and a device, on which bytes suffer what lines and their drivers do; seeded.

What happens to a stream of bytes depends on kinds, rate and seed alone, not on how it is cut by the network.
"""

from __future__ import annotations

import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from urllib.parse import urlsplit

from mcu_ser.device.device import DEFAULT_BAUD, Device

# What others say on a serial port: a boot loader, a modem manager, a console, a boot ROM at another baud
# rate, a line that is pulled low.
CHATTER = (
    b"\r\n\r\nU-Boot 2023.01 (Jan 09 2023)\r\nHit any key to stop autoboot:  0\r\n",
    b"AT\r\nAT+GMI\r\nAT+CGMM\r\nATI\r\nAT+GCAP\r\n",
    b"~\x00x\xf0~~\x00x\xf0~\x7eAT^DDSETEX=2\r\n",
    b"\r\nlogin: \x1b[6n",
    b"\xff\xfe\xe0\x1c\x9f\x80\x00\xf8\x18\x86\x06\x9e",
    b"\x00" * 12,
)
KINDS = ("drop", "flip", "double", "swap", "reorder", "repeat", "truncate", "delay", "chatter")
LONGEST_DELAY_S = 0.03
_LONGEST_PIECE = 30
_BLOCK = 16384


class FaultyStream:
    """One direction of a bad line.

    Args:
        kinds: Which of `KINDS` may happen, equally often.
        rate: Faults per byte.
        rng: Draws them.

    Attributes:
        count: How often each kind has happened.
    """

    def __init__(self, kinds: Sequence[str], rate: float, rng: random.Random) -> None:
        self._kinds = kinds
        self._rate = rate
        self._rng = rng
        self.count: Counter[str] = Counter()
        self._until_next = self._draw()

    def pass_on(self, data: bytes) -> bytes:
        """What comes out when `data` goes in."""
        out, at = bytearray(), 0
        while len(data) - at > self._until_next:
            out += data[at : at + self._until_next]
            at += self._until_next
            at += self._strike(out, data, at)
            self._until_next = self._draw()
        out += data[at:]
        self._until_next = max(0, self._until_next - max(0, len(data) - at))
        return bytes(out)

    def _draw(self) -> int:
        return 1 << 62 if self._rate == 0 else 1 + int(self._rng.expovariate(self._rate))

    def _strike(self, out: bytearray, data: bytes, at: int) -> int:
        """Let something happen to data[at:]; returns how much of it is used up."""
        kind = self._rng.choice(self._kinds)
        self.count[kind] += 1
        length = self._rng.randint(2, _LONGEST_PIECE)
        piece, behind = data[at : at + length], data[at + length : at + 2 * length]
        one, two = data[at : at + 1], data[at : at + 2]
        if kind == "delay":
            time.sleep(self._rng.uniform(0, LONGEST_DELAY_S))
        used, instead = {
            "drop": (one, b""),
            "flip": (one, bytes([one[0] ^ 1 << self._rng.randrange(8)])),
            "double": (one, one + one),
            "swap": (two, two[::-1]),
            "reorder": (piece + behind, behind + piece),
            "repeat": (piece, piece + piece),
            "truncate": (piece, b""),
            "delay": (b"", b""),
            "chatter": (b"", self._rng.choice(CHATTER)),
        }[kind]
        out += instead
        return len(used)


class FaultProxy:
    """A device behind a bad line; a context manager, to be entered inside the device's context.

    Args:
        device: What the proxy stands before.
        kinds: Which of `KINDS` happen, in both directions.
        rate: Faults per byte.
        seed: Of all of them.
        close_after: Both connections are closed when so many bytes have come from the device.
        rewrite: Sees every piece of bytes, with whether it comes from the device; returns what goes on.
    """

    baud = DEFAULT_BAUD

    def __init__(
        self,
        device: Device,
        *,
        kinds: Sequence[str] = KINDS,
        rate: float = 0.0,
        seed: int = 0,
        close_after: int | None = None,
        rewrite: Callable[[bytes, bool], bytes] | None = None,
    ) -> None:
        self._device = device
        self._rewrite = rewrite
        self._left = close_after
        self.to_device = FaultyStream(kinds, rate, random.Random(f"{seed} to the device"))
        self.to_host = FaultyStream(kinds, rate, random.Random(f"{seed} to the host"))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"socket://127.0.0.1:{self._listener.getsockname()[1]}"
        self._sockets: list[socket.socket] = [self._listener]
        self._threads: list[threading.Thread] = []

    @property
    def faults(self) -> Counter[str]:
        """How often each kind has happened, both directions together."""
        return self.to_device.count + self.to_host.count

    def raise_if_dead(self, wait_s: float = 0.0) -> None:
        """As the device."""
        self._device.raise_if_dead(wait_s)

    def __enter__(self) -> FaultProxy:
        self._start(self._serve)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
        for thread in self._threads:
            thread.join(timeout=5)

    def _start(self, run: Callable[[], None]) -> None:
        thread = threading.Thread(target=run, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _serve(self) -> None:
        """Take one client after the other; each gets a connection of its own to the device."""
        parts = urlsplit(self._device.url)
        while True:
            try:
                host, _ = self._listener.accept()
                device = socket.create_connection((parts.hostname, parts.port or 0), timeout=5)
            except OSError:
                return
            device.settimeout(None)
            for end in (host, device):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets += [host, device]
            self._start(lambda: self._pump(host, device, from_device=False))  # noqa: B023  bound until the next line ends
            self._pump(device, host, from_device=True)

    def _pump(self, source: socket.socket, sink: socket.socket, *, from_device: bool) -> None:
        stream = self.to_host if from_device else self.to_device
        with suppress(OSError):
            while data := source.recv(_BLOCK):
                if from_device and self._left is not None:
                    self._left -= len(data)
                    if self._left < 0:
                        break
                if self._rewrite is not None:
                    data = self._rewrite(data, from_device)
                sink.sendall(stream.pass_on(data))
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _close(self) -> None:
        for end in self._sockets:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
