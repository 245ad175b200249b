# SPDX-License-Identifier: Apache-2.0
"""The requests for a board that listens by itself, and what it says unasked.

It hears its own microphone, or samples that the host plays in place of one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcu_ser.errors import DeviceFaultError
from mcu_ser.verify.client import Client
from mcu_ser.verify.exchange import RefusedError
from mcu_ser.verify.messages import LAYOUTS, PayloadError
from mcu_ser.verify.protocol import Frame, ListenFlag, ListenSource, MessageType, engine_status_text

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from mcu_ser.features.listening import Gate

SAMPLE_BYTES = 2


@dataclass(frozen=True)
class ListenWindow:
    """What decisions are of: `frames` frames of `window_samples`, each `hop_samples` further on."""

    sample_rate_hz: int
    ring_samples: int
    frames: int
    window_samples: int
    hop_samples: int

    def seconds(self, rows: int) -> float:
        """Where the last of `rows` frames ends, from the start of the stream on."""
        return (self.window_samples + (rows - 1) * self.hop_samples) / self.sample_rate_hz


@dataclass(frozen=True)
class Decision:
    """What the board makes of the newest features (PROTOCOL.md, DECISION); in silence `output` is empty."""

    number: int
    rows: int
    power: int
    lost_blocks: int
    lost_samples: int
    features_crc: int
    output_crc: int
    ticks: int
    front_end_ticks: int
    is_open: bool
    engine_status: int
    output: bytes

    @classmethod
    def unpack(cls, payload: bytes) -> Decision:
        """Raises PayloadError if it is too short, or says of the gate what cannot be."""
        values, output = LAYOUTS["DECISION"].unpack(payload)
        values.pop("reserved")
        is_open = values.pop("gate_open")
        if is_open > 1 or (output and not is_open):
            raise PayloadError(f"a gate of {is_open} with {len(output)} bytes of output")
        return cls(**values, is_open=bool(is_open), output=output)


@dataclass(frozen=True)
class Sound:
    """Samples that the board heard, int16 little endian, `offset` samples after the start of the stream."""

    offset: int
    pcm: bytes

    @classmethod
    def unpack(cls, payload: bytes) -> Sound:
        """Raises PayloadError if it ends with half a sample."""
        values, pcm = LAYOUTS["SOUND"].unpack(payload)
        if len(pcm) % SAMPLE_BYTES:
            raise PayloadError(f"{len(pcm)} bytes of sound")
        return cls(values["offset"], pcm)


class ListenClient(Client):
    """A conversation with a board that listens. `hello` comes first, then `listen`."""

    _played = 0

    def listen(
        self, source: ListenSource, period: int, gate: Gate, *, send_sound: bool = False
    ) -> ListenWindow:
        """Have the board listen, to a stream that begins now.

        Args:
            source: Its microphone, or the line.
            period: Hops from one decision to the next, 1 to 65535.
            gate: What counts as sound; at most 65535 hops.
            send_sound: Whether what it hears comes back.

        Raises:
            MismatchError: The firmware has no front end or no microphone.
            DeviceFaultError: The engine is not ready.
        """
        fields = {"source": source, "flags": ListenFlag.SEND_SOUND if send_sound else 0, "period": period}
        gates = {"gate_hops": gate.hops, "gate_power": gate.power, "reserved": 0}
        answer, _ = self._ask(MessageType.LISTEN, LAYOUTS["LISTEN"].pack(fields | gates))
        # What came before the answer is of the listening before.
        self._exchange.unasked.clear()
        self._played = 0
        values, _ = self._unpack(LAYOUTS["LISTEN_ANSWER"].unpack, answer)
        values.pop("reserved")
        window = ListenWindow(**values)
        if 0 in (window.sample_rate_hz, window.frames, window.window_samples, window.hop_samples):
            raise self._exchange.broken(window)
        return window

    def stop(self) -> None:
        """The board listens no longer; what it had said before can still be `heard`."""
        nothing = {"source": ListenSource.NONE, "flags": 0, "period": 0, "reserved": 0}
        self._ask(MessageType.LISTEN, LAYOUTS["LISTEN"].pack(nothing | {"gate_hops": 0, "gate_power": 0}))

    @property
    def block_samples(self) -> int:
        """The most samples that `play` sends at once."""
        return (self._said_hello.max_payload - LAYOUTS["AUDIO"].bytes) // SAMPLE_BYTES

    def play(self, pcm: npt.NDArray[np.int16]) -> None:
        """Play at most `block_samples` samples to a board that listens to the line.

        Returns when the board has worked off what it was sent before.
        """
        block = LAYOUTS["AUDIO"].pack({"offset": self._played, "samples": 0}, pcm.astype("<i2").tobytes())
        try:
            self._exchange.request(
                MessageType.AUDIO,
                block,
                wait_s=self._round_trip.wait_s,
                give_up_s=self._patience.inference_s,
            )
        except RefusedError as error:
            raise self._refused(error.refusal) from error
        self._played = (self._played + len(pcm)) & 0xFFFF_FFFF

    def settle(self) -> None:
        """Returns when all that the board says of what was played has come."""
        self._ask(MessageType.ECHO)

    def heard(self, wait_s: float = 0.0) -> Iterator[Decision | Sound]:
        """What the board has said; waits so long for the first of it.

        Raises:
            DeviceFaultError: The engine fails, or the board has restarted or died.
        """
        unasked = self._exchange.unasked
        deadline = time.monotonic() + wait_s
        if not unasked:
            self._exchange.receive(deadline, until_unasked=True)
        while unasked:
            yield self._said(unasked.popleft())
            if not unasked:
                self._exchange.receive(deadline=0.0, until_unasked=True)  # of what has been read already

    def _said(self, frame: Frame) -> Decision | Sound:
        if frame.type == MessageType.SOUND:
            return self._unpack(Sound.unpack, frame.payload)
        decision = self._unpack(Decision.unpack, frame.payload)
        if decision.engine_status:
            problem = f"the inference engine failed: {engine_status_text(decision.engine_status)}"
            raise DeviceFaultError(self.url, problem)
        if len(decision.output) > self._said_hello.output_bytes:
            raise self._exchange.broken(f"{len(decision.output)} output bytes")
        return decision
