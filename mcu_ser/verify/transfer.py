# SPDX-License-Identifier: Apache-2.0
"""Carries one input to the board: drives an `InputWindow` over an `Exchange` against the clock."""

from __future__ import annotations

import time

from mcu_ser.verify.exchange import Exchange, RefusedError
from mcu_ser.verify.messages import LAYOUTS, Refusal, Report
from mcu_ser.verify.packing import InputPacker
from mcu_ser.verify.patience import RoundTrip
from mcu_ser.verify.protocol import ANSWER, Frame, MessageType
from mcu_ser.verify.window import Chunk, InputWindow

_REQUESTS = frozenset({MessageType.INPUT, MessageType.INPUT_PACKED, MessageType.AUDIO})
_ANSWERS = frozenset({MessageType.NACK, *(MessageType(request | ANSWER) for request in _REQUESTS)})


class InputTransfer:
    """The transfer of one input.

    Args:
        exchange: A link with an open session.
        window: What is where; its `total` is the length of `data`.
        data: The input.
        round_trip: Learns the time that answers take.
        give_up_s: Seconds without progress after which the board counts as silent.
        packer: Of `data`; None if the board takes nothing packed.
    """

    def __init__(
        self,
        exchange: Exchange,
        window: InputWindow,
        data: bytes,
        round_trip: RoundTrip,
        give_up_s: float,
        *,
        packer: InputPacker | None = None,
    ) -> None:
        self._exchange = exchange
        self._window = window
        self._data = data
        self._round_trip = round_trip
        self._give_up_s = give_up_s
        self._packer = packer
        self._sent_at: dict[int, float] = {}

    def run(self) -> None:
        """Send until the board has the whole input.

        Raises:
            RefusedError: The board refuses the input.
            WindowError, PayloadError: The board reports what cannot be.
            LinkError: No progress in `give_up_s`.
            DeviceFaultError: The board has restarted or died.
        """
        deadline, attempt = time.monotonic() + self._give_up_s, 0
        while not self._window.done:
            self._send_what_fits()
            wait_until = time.monotonic() + self._round_trip.wait_s(attempt)
            frame = self._exchange.receive(min(deadline, wait_until))
            if frame is None:
                if time.monotonic() >= deadline:
                    raise self._exchange.silence(self._exchange.last_message, self._give_up_s)
                attempt += 1
                self._round_trip.missed()
                self._window.go_back()
            elif self._take_answer(frame):
                deadline, attempt = time.monotonic() + self._give_up_s, 0

    def _send_what_fits(self) -> None:
        chunks = self._window.take()
        if not chunks:
            return
        session = self._exchange.session
        assert session is not None
        now = time.monotonic()
        frames = []
        for chunk in chunks:
            kind, payload = self._message(chunk)
            frames.append(Frame(kind, session, chunk.seq, payload))
            # An answer to a frame that was sent twice says nothing about the time it took.
            self._sent_at.pop(chunk.seq, None)
            if not chunk.again:
                self._sent_at[chunk.seq] = now
        self._exchange.send(frames, repeated=sum(chunk.again for chunk in chunks))

    def _message(self, chunk: Chunk) -> tuple[MessageType, bytes]:
        """The shortest request that carries a chunk, and its payload."""
        packed = None if self._packer is None else self._packer.pack(chunk.start, chunk.end)
        if packed is not None:
            return MessageType.INPUT_PACKED, packed
        data = self._data[chunk.start : chunk.end]
        return MessageType.INPUT, LAYOUTS["INPUT"].pack({"offset": chunk.start}, data)

    def _take_answer(self, frame: Frame) -> bool:
        """Whether `frame` shows progress."""
        if frame.type == MessageType.ERROR:
            refusal = Refusal.unpack(frame.payload)
            if refusal.request in _REQUESTS and frame.seq == self._window.next_seq:
                self._exchange.next_seq = (frame.seq + 1) & 0xFFFF
                raise RefusedError(refusal)
            return False
        if frame.type not in _ANSWERS:
            return False
        report = Report.unpack(frame.payload)
        before = self._window.next_seq
        if not self._window.report(report.next_seq, report.received):
            return False
        sent_at = self._sent_at.pop((report.next_seq - 1) & 0xFFFF, None)
        if sent_at is not None:
            self._round_trip.measured(time.monotonic() - sent_at)
        if frame.type == MessageType.NACK:
            self._window.go_back()
        return self._window.next_seq != before
