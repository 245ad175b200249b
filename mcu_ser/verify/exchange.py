# SPDX-License-Identifier: Apache-2.0
"""Requests and answers over a link: a session, sequence numbers, repetition, and a clear end to waiting.

A request is sent until its answer comes or time is up. What belongs to another session, is damaged or comes
twice is dropped here and counted.
"""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable, Sequence

from mcu_ser.device.device import DEFAULT_BAUD
from mcu_ser.device.link import Link
from mcu_ser.errors import DeviceError, DeviceFaultError, LinkError, MismatchError
from mcu_ser.verify.link_stats import LinkStats
from mcu_ser.verify.messages import Boot, PayloadError, Refusal, Report
from mcu_ser.verify.protocol import (
    ANSWER,
    PROTOCOL_VERSION,
    ErrorCode,
    Frame,
    FrameDecoder,
    MessageType,
    encode_frame,
)

_HELLO_WAIT_S = 0.25
_UNASKED_LIMIT = 4096
_UNASKED = (MessageType.DECISION, MessageType.SOUND)
# A request is repeated when its answer arrives damaged: at once, and then no sooner than after a pause, for
# that may be mere noise.
_QUICK_REPEATS = 8
_DAMAGE_PAUSE_S = 0.1
_SEQ_MASK = 0xFFFF
_SHOWN_BYTES = 16
# So much without one good frame is not line noise.
_GARBAGE_LIMIT_BYTES = 65536

_REBUILD = "rebuilding and flashing the firmware"


class RefusedError(Exception):
    """The device answered a request with ERROR; the client turns this into an error for the user."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal)
        self.refusal = refusal

    def __str__(self) -> str:
        names = {code.value: code.name for code in ErrorCode}
        requests = {kind.value: kind.name for kind in MessageType}
        code = names.get(self.refusal.code, f"error {self.refusal.code}")
        request = requests.get(self.refusal.request, f"request 0x{self.refusal.request:02x}")
        return f"{request} refused with {code} (detail 0x{self.refusal.detail:x})"


class Exchange:
    """The host's end of a link."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._decoder = FrameDecoder()
        self._arrived: deque[Frame] = deque()
        self._first_bytes = b""
        self._own_words = 0
        self.unasked: deque[Frame] = deque(maxlen=_UNASKED_LIMIT)
        """What a device that listens has said, in order, at most so much of it."""
        self._announced: Frame | None = None  # a BOOT that nothing has confirmed or refuted yet
        self._started = time.monotonic()
        self._frames = 0
        self._retries = 0
        self.session: int | None = None
        self.next_seq = 0
        self.last_message = "none"
        self.answered_after_s = 0.0
        """Seconds from the last sending of the last request to its answer."""

    @property
    def url(self) -> str:
        """The port, for errors."""
        return self._link.url

    def stats(self) -> LinkStats:
        """What passed so far."""
        return LinkStats(
            frames=self._frames,
            retries=self._retries,
            answers=self._decoder.frames_ok,
            bad_frames=self._decoder.frames_bad,
            bytes=self._link.bytes_sent + self._link.bytes_received,
            seconds=time.monotonic() - self._started,
            sent_bytes=self._link.bytes_sent,
            # 8N1: ten bits on the line for each byte.
            capacity_bytes_per_s=None if "://" in self._link.url else self._link.baud / 10,
        )

    def open_session(self, give_up_s: float) -> bytes:
        """Start a session with a new random number; returns the payload of the answer to HELLO.

        Raises:
            LinkError: Nothing answers, or what answers is not this protocol.
            MismatchError: The device speaks another version of it.
        """
        deadline = time.monotonic() + give_up_s
        self.session = None
        session, attempt = _new_session(), 0
        while time.monotonic() < deadline and not self._only_garbage:
            hello = Frame(MessageType.HELLO, session, 0)
            self.send([hello], repeated=int(attempt > 0))
            attempt += 1
            answer = self._await_hello(session, min(deadline, time.monotonic() + _HELLO_WAIT_S))
            if answer is None:
                continue
            if answer.type == MessageType.BOOT:
                attempt = 0  # it had no chance to hear us before
                continue
            if answer.type == MessageType.NACK:
                # The device is in a session of the same number with somebody before us.
                session, attempt = _new_session(), 0
                continue
            self.session, self.next_seq, self._announced = session, 1, None
            return answer.payload
        raise self._no_hello(give_up_s)

    def send(self, frames: Sequence[Frame], *, repeated: int = 0) -> None:
        """Send frames in one piece; `repeated` of them were sent before."""
        self._frames += len(frames)
        self._retries += repeated
        self.last_message = str(frames[-1])
        self._link.write(b"".join(encode_frame(frame) for frame in frames))

    def receive(
        self, deadline: float, *, until_damage: bool = False, until_unasked: bool = False
    ) -> Frame | None:
        """The next frame of this session that was asked for; None when there is reason to ask again.

        Args:
            deadline: When to stop waiting (time.monotonic).
            until_damage: Stop waiting as well when something damaged arrives.
            until_unasked: Stop waiting as well when something unasked arrives.

        Raises:
            DeviceFaultError: The device has restarted, or has died.
        """
        while True:
            frame = self._next_frame(deadline, until_damage=until_damage)
            if frame is None:
                return None
            if frame.type == MessageType.BOOT:
                # A line may repeat old bytes. Asking again tells: a restarted device knows no session.
                self._announced = frame
                return None
            if frame.session != self.session or not frame.type & ANSWER:
                continue
            if frame.type == MessageType.ERROR and _refusal(frame).code == ErrorCode.NO_SESSION:
                raise self._restarted()
            self._announced = None
            if frame.type not in _UNASKED:
                return frame
            self.unasked.append(frame)
            if until_unasked:
                return None

    def request(
        self,
        kind: MessageType,
        payload: bytes = b"",
        *,
        wait_s: Callable[[int], float],
        give_up_s: float,
    ) -> tuple[Frame, int]:
        """Send a request until it is answered; returns the answer and how often the request was repeated.

        What the device says never to have got does not count as repeated.

        Args:
            kind: The request.
            payload: Its payload.
            wait_s: Seconds to wait after the n-th sending (from 0) before the next.
            give_up_s: Seconds until the device counts as silent.

        Raises:
            RefusedError: The device refused it.
            LinkError: No answer in time.
            DeviceFaultError: The device has restarted, or has died.
        """
        assert self.session is not None
        frame = Frame(kind, self.session, self.next_seq, payload)
        deadline = time.monotonic() + give_up_s
        sent = repeats = 0
        while True:
            self.send([frame], repeated=int(sent > 0))
            sent += 1
            sent_at = time.monotonic()
            until = min(deadline, sent_at + wait_s(repeats))
            pause_until = sent_at if sent <= _QUICK_REPEATS else sent_at + _DAMAGE_PAUSE_S
            answer = self._await_answer(frame, until, pause_until)
            if answer is not None and answer.type != MessageType.NACK:
                self.next_seq = (self.next_seq + 1) & _SEQ_MASK
                self.answered_after_s = time.monotonic() - sent_at
                return _granted(answer), repeats
            if time.monotonic() >= deadline:
                raise self.silence(str(frame), give_up_s)
            self._link.raise_if_dead()
            repeats = 0 if answer is not None else repeats + 1

    def await_restart(self, deadline: float) -> Boot | None:
        """Wait for the device to announce its start; ends the session. None if it only has lost the session.

        Raises:
            LinkError: It does neither until the deadline.
        """
        session, self.session = self.session, None
        while (frame := self._next_frame(deadline)) is not None:
            if frame.type == MessageType.BOOT:
                return _boot(frame)
            if (
                frame.session == session
                and frame.type == MessageType.ERROR
                and _refusal(frame).code == ErrorCode.NO_SESSION
            ):
                return None
        raise LinkError(self.url, "the board does not come back after a reset", hint="its reset button")

    def raise_if_dead(self) -> None:
        """Raise DeviceFaultError if the device is known to have died."""
        self._link.raise_if_dead()

    def silence(self, what: str, seconds: float) -> DeviceError:
        """The error for a request that was not answered in `seconds`."""
        self._link.raise_if_dead()
        if self._announced is not None:
            return self._restarted()
        problem = f"no answer to {what} in {seconds:g} s: the firmware hangs, or the line is cut"
        return LinkError(self.url, problem, hint="a reset of the board")

    def broken(self, what: object) -> LinkError:
        """The error for an answer that has the right CRC and cannot be."""
        return LinkError(self.url, f"the board breaks the protocol: {what}", hint=_REBUILD)

    @property
    def _only_garbage(self) -> bool:
        return self._decoder.frames_ok == 0 and self._link.bytes_received > _GARBAGE_LIMIT_BYTES

    def _next_frame(self, deadline: float, *, until_damage: bool = False) -> Frame | None:
        bad_before = self._decoder.frames_bad
        while not self._arrived:
            if until_damage and self._decoder.frames_bad != bad_before:
                return None
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            data = self._link.read(left)
            if len(self._first_bytes) < _SHOWN_BYTES:
                self._first_bytes += data[: _SHOWN_BYTES - len(self._first_bytes)]
            self._arrived.extend(self._decoder.feed(data))
            if self._only_garbage:
                return None
        frame = self._arrived.popleft()
        if frame.version != PROTOCOL_VERSION:
            problem = f"the board speaks protocol version {frame.version}, expected {PROTOCOL_VERSION}"
            raise MismatchError(self.url, problem, hint=_REBUILD)
        return frame

    def _await_hello(self, session: int, deadline: float) -> Frame | None:
        while (frame := self._next_frame(deadline)) is not None:
            if frame.type == MessageType.BOOT:
                return frame
            if frame.session == session and frame.type in {MessageType.HELLO_ANSWER, MessageType.NACK}:
                return frame
            if frame.session == session and frame.type == MessageType.HELLO:
                self._own_words += 1
        return None

    def _await_answer(self, request: Frame, deadline: float, pause_until: float) -> Frame | None:
        """The answer to `request`, or the NACK that says that the device has not got it.

        None at the deadline, and when the answer was damaged or lost, but then not before `pause_until`.
        """
        lost = False
        while True:
            bad_before = self._decoder.frames_bad
            limit = min(deadline, pause_until) if lost else deadline
            frame = self.receive(limit, until_damage=not lost)
            if frame is None:
                if lost or self._decoder.frames_bad == bad_before:
                    return None
                lost = True
            elif frame.type == MessageType.NACK:
                report = _report(frame)
                if report is not None and report.next_seq == request.seq:
                    return frame
                # It has carried out the request and speaks of another: its answer came before, or never.
                lost = lost or (report is not None and report.next_seq == (request.seq + 1) & _SEQ_MASK)
            elif frame.seq == request.seq and frame.type in {request.type | ANSWER, int(MessageType.ERROR)}:
                return frame

    def _no_hello(self, seconds: float) -> LinkError:
        self._link.raise_if_dead()
        hint = "another port, closing other programs that use it, or flashing the firmware"
        if self._link.baud != DEFAULT_BAUD:
            # board.stm32.Stm32Build.reset_baud
            hint += f"; a chip whose PLL does not lock falls back to {DEFAULT_BAUD}: generate without --baud"
        received = self._link.bytes_received
        if self._own_words:
            problem = "sends back what it receives: a loop, no board"
        elif self._decoder.frames_ok:
            problem = f"speaks the protocol, but does not answer HELLO in {seconds:g} s"
        elif received:
            first = self._first_bytes.hex(" ")
            problem = f"answers with something else than protocol frames ({received} bytes, first {first})"
        else:
            problem = f"is silent: nothing received in {seconds:g} s"
        return LinkError(self.url, problem, hint=hint)

    def _restarted(self) -> DeviceFaultError:
        boot = None if self._announced is None else _boot(self._announced)
        if boot is None:
            problem = "the board has forgotten the session: it restarted, or another program uses the port"
            return DeviceFaultError(self.url, problem)
        why = boot.reset_cause.name.lower().replace("_", " ")
        fault = f", after a fault at {boot.fault}" if boot.fault else ""
        return DeviceFaultError(self.url, f"the board restarted in the middle of the run ({why}{fault})")


def _new_session() -> int:
    # Never 0, the session of BOOT. Of 32 bits, so that what is left over from an old run is never an answer.
    return secrets.randbelow(0xFFFF_FFFF) + 1


def _boot(frame: Frame) -> Boot | None:
    try:
        return Boot.unpack(frame.payload)
    except PayloadError:
        return None


def _report(frame: Frame) -> Report | None:
    try:
        return Report.unpack(frame.payload)
    except PayloadError:
        return None


def _granted(answer: Frame) -> Frame:
    """`answer`, unless it is a refusal."""
    if answer.type == MessageType.ERROR:
        raise RefusedError(_refusal(answer))
    return answer


def _refusal(frame: Frame) -> Refusal:
    try:
        return Refusal.unpack(frame.payload)
    except PayloadError:
        return Refusal(request=0, code=0, detail=0)
