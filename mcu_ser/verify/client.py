# SPDX-License-Identifier: Apache-2.0
"""The requests of the protocol as calls: what a program on the host says to a board.

Lost, damaged and repeated frames are dealt with here; what comes back is right or an error. The client never
sends while an inference runs, so no receive interrupt falls into the measured time.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from mcu_ser.device.link import Link
from mcu_ser.errors import DeviceError, DeviceFaultError, MismatchError
from mcu_ser.verify.exchange import Exchange, RefusedError
from mcu_ser.verify.heard import Heard
from mcu_ser.verify.link_stats import LinkStats
from mcu_ser.verify.messages import (
    LAYOUTS,
    RECORDS,
    ArenaTrial,
    Boot,
    DeviceStats,
    Hello,
    Inference,
    LayerPage,
    LayerRecord,
    PayloadError,
    Refusal,
)
from mcu_ser.verify.packing import InputPacker
from mcu_ser.verify.patience import InferenceTime, Patience, RoundTrip
from mcu_ser.verify.protocol import (
    MAX_PAYLOAD,
    ErrorCode,
    Feature,
    MessageType,
    crc32,
    engine_status_text,
)
from mcu_ser.verify.transfer import InputTransfer
from mcu_ser.verify.window import InputWindow, WindowError, longer_chunk, shorter_chunk

logger = logging.getLogger(__name__)

T = TypeVar("T")

_MIN_PAYLOAD = 64
# An input that arrives wrong although every frame of it was right: once is chance, more is a defect.
_INPUT_TRIES = 3
_OF_FRONT_END = (MessageType.AUDIO, MessageType.LISTEN)


@dataclass(frozen=True)
class Answer:
    """What the board computed.

    Attributes:
        output: The whole output tensor.
        ticks: Duration, in the ticks that HELLO describes.
        undisturbed: Whether nothing was sent to the board while it computed: the request went out only once.
        heard: What a board that was sent audio says of its features.
    """

    output: bytes
    ticks: int
    undisturbed: bool
    heard: Heard | None = None


class Client:
    """One conversation with one board. Call `hello` first.

    Args:
        link: The port.
        patience: How long to wait for what.
        packs: Whether inputs are packed for a board that takes them packed.

    Every method raises LinkError when the board does not answer in time, and DeviceFaultError when it has
    restarted or died.
    """

    def __init__(self, link: Link, patience: Patience | None = None, *, packs: bool = True) -> None:
        self._exchange = Exchange(link)
        self._patience = patience or Patience()
        self._round_trip = RoundTrip()
        self._inference_time = InferenceTime()
        self._trace_time = InferenceTime()
        self._hello: Hello | None = None
        self._chunk_bytes = 0
        self._payload_bytes = 0
        self._computing_s = 0.0
        self._packs = packs

    @property
    def url(self) -> str:
        return self._exchange.url

    @property
    def last_message(self) -> str:
        """The message that was sent last, for errors."""
        return self._exchange.last_message

    def link_stats(self) -> LinkStats:
        """What passed over the link so far."""
        stats = self._exchange.stats()
        return replace(stats, payload_bytes=self._payload_bytes, computing_s=self._computing_s)

    def hello(self) -> Hello:
        """Start a new session; the board forgets any input that it holds.

        Raises:
            LinkError: Nothing answers, or something that is no such board.
            MismatchError: The board speaks another version of the protocol.
        """
        payload = self._exchange.open_session(self._patience.hello_s)
        hello = self._unpack(Hello.unpack, payload)
        if not _MIN_PAYLOAD <= hello.max_payload <= MAX_PAYLOAD or hello.credit < 1:
            raise self._exchange.broken(f"payload {hello.max_payload}, credit {hello.credit}")
        self._hello = hello
        self._chunk_bytes = self._largest_chunk_bytes
        return hello

    def run(self, sample: int, data: bytes) -> Answer:
        """Send an input and run the model on it.

        Args:
            sample: Number of the sample, below 2^32; the board repeats it in its answer.
            data: The whole input tensor.

        Raises:
            DeviceFaultError: The engine fails, or the board's data does not have the CRC it claims.
        """
        inference, undisturbed = self._with_input(
            lambda: self._write_input(data), lambda: self._infer(sample, crc32(data))
        )
        output = inference.output + self._fetch(
            MessageType.OUTPUT, {}, len(inference.output), self._said_hello.output_bytes
        )
        if crc32(output) != inference.output_crc:
            problem = f"output of sample {sample} has not the CRC-32 that the board announced"
            raise DeviceFaultError(self.url, problem, hint="a reset of the board")
        self._payload_bytes += len(data) + len(output)
        return Answer(output, inference.ticks, undisturbed)

    @property
    def layers_per_run(self) -> int:
        """The most layers that one `trace` can ask for."""
        fields = LAYOUTS["LAYERS_ANSWER"].bytes
        return (self._said_hello.max_payload - fields) // RECORDS["LAYER"].bytes

    def trace(
        self, sample: int, data: bytes, first: int, last: int
    ) -> tuple[int, tuple[LayerRecord, ...], bool]:
        """Send an input and run the model on it up to layer `last`.

        Args:
            sample: Number of the sample, below 2^32.
            data: The whole input tensor.
            first: The first layer to be told of.
            last: The last, at most `layers_per_run` in all.

        Returns:
            How many layers the board's model has; a record of each layer from `first` to `last`; whether
            nothing was sent to the board while it computed.

        Raises:
            MismatchError: The firmware does not trace layers.
            DeviceFaultError: The engine fails.
        """
        page, undisturbed = self._with_input(
            lambda: self._write_input(data), lambda: self._trace(sample, crc32(data), first, last)
        )
        return page.layers, page.records, undisturbed

    def tensor(self, layer: int, total: int) -> bytes:
        """The `total` bytes that layer `layer` gave, behind which the last `trace` has stopped."""
        return self._fetch(MessageType.TENSOR, {"layer": layer}, 0, total)

    def stats(self) -> DeviceStats:
        """What the board has counted since it started."""
        return self._unpack(DeviceStats.unpack, self._ask(MessageType.STATS)[0])

    def echo(self, data: bytes) -> bytes:
        """What the board sends back; it must equal `data`, which is at most `Hello.max_payload` bytes."""
        if len(data) > self._said_hello.max_payload:
            raise ValueError(f"echo of {len(data)} bytes, limit {self._said_hello.max_payload}")
        return self._ask(MessageType.ECHO, data)[0]

    def try_arena(self, arena_bytes: int) -> ArenaTrial:
        """Have the engine prepared anew with only so many bytes of its arena; `hello` makes it whole again.

        Raises:
            DeviceFaultError: The engine has an arena that cannot change.
        """
        request = LAYOUTS["ARENA"].pack({"bytes": arena_bytes})
        trial = self._unpack(ArenaTrial.unpack, self._ask(MessageType.ARENA, request)[0])
        if trial.arena_bytes != arena_bytes:
            raise self._exchange.broken(f"answer for {trial.arena_bytes} B of arena, expected {arena_bytes}")
        return trial

    def reset(self) -> Boot | None:
        """Restart the board; returns what it says on starting. The session is over: call `hello`.

        None if its announcement was lost and only its ignorance of the session shows the restart.
        """
        try:
            self._ask(MessageType.RESET)
        except DeviceFaultError:
            self._exchange.raise_if_dead()
            return None  # its answer was lost; our repeated request met a restarted board
        return self._exchange.await_restart(time.monotonic() + self._patience.hello_s)

    def _with_input(self, write: Callable[[], None], request: Callable[[], T]) -> T:
        """What `request` gives once `write` has put the input in place; again if it arrived wrong."""
        for attempt in range(_INPUT_TRIES):
            try:
                write()
                return request()
            except RefusedError as error:
                repeatable = error.refusal.code in {ErrorCode.BAD_INPUT_CRC, ErrorCode.BAD_STATE}
                if not repeatable or attempt == _INPUT_TRIES - 1:
                    raise self._refused(error.refusal) from error
                logger.debug("%s; sending the input again", error)
        raise AssertionError("every try returns or raises")

    def _write_input(self, data: bytes) -> None:
        window = InputWindow(
            total=len(data),
            first_seq=self._exchange.next_seq,
            credit=self._said_hello.credit,
            chunk_bytes=self._chunk_bytes,
            largest_chunk_bytes=self._largest_chunk_bytes,
        )
        hello = self._said_hello
        packer = None
        if self._packs and hello.features & Feature.PACKED_INPUT:
            packer = InputPacker(data, hello.input_shape)
        transfer = InputTransfer(
            self._exchange, window, data, self._round_trip, self._patience.answer_s, packer=packer
        )
        self._carry(transfer, window)
        self._chunk_bytes = window.chunk_bytes

    def _carry(self, transfer: InputTransfer, window: InputWindow) -> None:
        try:
            transfer.run()
        except (WindowError, PayloadError) as error:
            raise self._exchange.broken(error) from error
        self._exchange.next_seq = window.next_seq

    def _infer(self, sample: int, input_crc: int) -> tuple[Inference, bool]:
        """The board's answer, and whether the request was sent only once."""
        request = LAYOUTS["INFER"].pack({"sample": sample, "input_crc": input_crc})
        answer, undisturbed = self._compute(MessageType.INFER, request, self._inference_time)
        inference = self._unpack(Inference.unpack, answer)
        if inference.sample != sample:
            raise self._exchange.broken(f"answer for sample {inference.sample}, expected {sample}")
        length, limit = len(inference.output), self._said_hello.output_bytes
        if length > limit:
            raise self._exchange.broken(f"{length} output bytes, expected at most {limit}")
        return inference, undisturbed

    def _trace(self, sample: int, input_crc: int, first: int, last: int) -> tuple[LayerPage, bool]:
        """The board's answer, and whether the request was sent only once."""
        request = LAYOUTS["LAYERS"].pack(
            {"sample": sample, "input_crc": input_crc, "first": first, "last": last}
        )
        answer, undisturbed = self._compute(MessageType.LAYERS, request, self._trace_time)
        page = self._unpack(LayerPage.unpack, answer)
        count = last - first + 1
        if page.sample != sample or len(page.records) != count:
            problem = f"{len(page.records)} layers of sample {page.sample}, expected {count} of {sample}"
            raise self._exchange.broken(problem)
        return page, undisturbed

    def _compute(self, kind: MessageType, payload: bytes, duration: InferenceTime) -> tuple[bytes, bool]:
        """Payload of the answer to a request that runs the model, and whether it was sent only once.

        One that a NACK asked for again was sent twice too: a late NACK, of a frame before it, reads the same,
        and the board may be computing already.
        """
        started, retries = time.monotonic(), self._exchange.stats().retries
        frame, repeats = self._exchange.request(
            kind, payload, wait_s=duration.wait_s, give_up_s=self._patience.inference_s
        )
        self._computing_s += self._exchange.answered_after_s
        if repeats == 0:
            duration.measured(self._exchange.answered_after_s)
        else:
            duration.repeated(time.monotonic() - started)
        return frame.payload, self._exchange.stats().retries == retries

    def _fetch(self, kind: MessageType, of: Mapping[str, int], at: int, total: int) -> bytes:
        """Bytes `at` to `total` of what the board holds, in frames as long as the line allows.

        `of` are the fields besides offset and length that say of what.
        """
        answered = LAYOUTS[f"{kind.name}_ANSWER"]
        largest = self._said_hello.max_payload - answered.bytes
        rest = bytearray()
        while at < total:
            length = min(self._chunk_bytes, largest, total - at)
            request = LAYOUTS[kind.name].pack({**of, "offset": at, "length": length})
            answer, repeats = self._ask(kind, request)
            values, data = self._unpack(answered.unpack, answer)
            if values != {**of, "offset": at} or len(data) != length:
                name = kind.name.lower()
                raise self._exchange.broken(f"{len(data)} {name} bytes at {values['offset']}")
            rest += data
            at += length
            self._chunk_bytes = (
                shorter_chunk(self._chunk_bytes)
                if repeats
                else longer_chunk(self._chunk_bytes, self._largest_chunk_bytes)
            )
        return bytes(rest)

    def _ask(self, kind: MessageType, payload: bytes = b"") -> tuple[bytes, int]:
        """Payload of the answer, and how often the request was repeated."""
        try:
            answer, repeats = self._exchange.request(
                kind, payload, wait_s=self._round_trip.wait_s, give_up_s=self._patience.answer_s
            )
        except RefusedError as error:
            raise self._refused(error.refusal) from error
        if repeats == 0:
            self._round_trip.measured(self._exchange.answered_after_s)
        return answer.payload, repeats

    @property
    def _said_hello(self) -> Hello:
        if self._hello is None:
            raise RuntimeError("Client.hello comes first")
        return self._hello

    @property
    def _largest_chunk_bytes(self) -> int:
        # Answers to OUTPUT have fields of the same length as INPUT; _fetch sees to other answers.
        return self._said_hello.max_payload - LAYOUTS["INPUT"].bytes

    def _unpack(self, unpack: Callable[[bytes], T], payload: bytes) -> T:
        try:
            return unpack(payload)
        except PayloadError as error:
            raise self._exchange.broken(error) from error

    def _refused(self, refusal: Refusal) -> DeviceError:
        if refusal.code == ErrorCode.ENGINE:
            problem = f"the inference engine failed: {engine_status_text(_signed(refusal.detail))}"
            return DeviceFaultError(self.url, problem)
        if refusal.code == ErrorCode.UNKNOWN_TYPE and refusal.request == MessageType.LAYERS:
            problem = "the firmware does not trace layers"
            return MismatchError(self.url, problem, hint="mcu-ser generate with --layers, build and flash")
        if refusal.code == ErrorCode.UNKNOWN_TYPE and refusal.request in _OF_FRONT_END:
            problem = "the firmware has no front end"
            return MismatchError(self.url, problem, hint="mcu-ser generate with --front-end, build and flash")
        if refusal.code == ErrorCode.NO_MICROPHONE:
            return MismatchError(
                self.url, "the firmware has no microphone that starts", hint="--wav FILE, which plays one"
            )
        return self._exchange.broken(RefusedError(refusal))


def _signed(number: int) -> int:
    return number - (1 << 32) if number >= 1 << 31 else number
