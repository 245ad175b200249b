# SPDX-License-Identifier: Apache-2.0
"""A link that loses, changes, doubles and delays bytes, seeded; and a board that is only a function."""

from __future__ import annotations

import random
import struct
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mcu_ser.device.link import Link
from mcu_ser.verify.messages import LAYOUTS
from mcu_ser.verify.protocol import ANSWER, Frame, FrameDecoder, MessageType, crc32, encode_frame
from tests.native_firmware import TestModel
from tests.packed_input import unpacked


@dataclass
class Faults:
    """How often each thing happens to a byte, in both directions."""

    drop: float = 0.0
    flip: float = 0.0
    double: float = 0.0
    noise: float = 0.0
    repeat_frame: float = 0.0

    def apply(self, data: bytes, rng: random.Random) -> bytes:
        out = bytearray()
        for byte in data:
            if rng.random() < self.drop:
                continue
            out.append(byte ^ (1 << rng.randrange(8)) if rng.random() < self.flip else byte)
            if rng.random() < self.double:
                out.append(out[-1])
            if rng.random() < self.noise:
                out += rng.randbytes(rng.randrange(1, 20))
        if rng.random() < self.repeat_frame:
            out += bytes(out)
        return bytes(out)


class LossyLink(Link):
    """A real link whose bytes suffer on the way."""

    def __init__(self, device, faults: Faults, seed: int) -> None:
        super().__init__(device)
        self.faults = faults
        self._rng = random.Random(seed)

    def read(self, timeout_s: float) -> bytes:
        return self.faults.apply(super().read(timeout_s), self._rng)

    def write(self, data: bytes) -> None:
        super().write(self.faults.apply(data, self._rng))


class ScriptedLink:
    """A link to a board that is a function from a request to the bytes it sends back."""

    url = "scripted://"
    baud = 115200

    def __init__(self, respond: Callable[[Frame], Iterable[bytes]]) -> None:
        self._respond = respond
        self._decoder = FrameDecoder()
        self._waiting: deque[bytes] = deque()
        self.requests: list[Frame] = []
        self.bytes_sent = 0
        self.bytes_received = 0

    def write(self, data: bytes) -> None:
        self.bytes_sent += len(data)
        for frame in self._decoder.feed(data):
            self.requests.append(frame)
            self._waiting.extend(self._respond(frame))

    def read(self, timeout_s: float) -> bytes:
        if not self._waiting:
            time.sleep(max(0.0, timeout_s))
            return b""
        data = self._waiting.popleft()
        self.bytes_received += len(data)
        return data

    def raise_if_dead(self) -> None:
        pass


class PretendBoard:
    """Answers every request as a good board does; tests replace single answers by wrong ones.

    Args:
        model: What HELLO says.
        changes: Request -> function from (board, frame) to the wire bytes to send instead.
    """

    def __init__(self, model: TestModel, changes: dict[int, Callable] | None = None, **hello) -> None:
        self.model = model
        self.changes = changes or {}
        self.hello = hello
        self.inferences = 0
        self.input = bytearray(model.input_bytes)
        self.received = 0
        self.answers: dict[Frame, bytes] = {}

    def __call__(self, frame: Frame) -> list[bytes]:
        change = self.changes.get(frame.type)
        return list(change(self, frame)) if change else [self.answer(frame)]

    def answer(self, frame: Frame) -> bytes:
        if frame not in self.answers:
            payload = getattr(self, f"_{MessageType(frame.type).name.lower()}")(frame)
            self.answers[frame] = self.wrap(frame, payload)
        return self.answers[frame]

    @staticmethod
    def wrap(frame: Frame, payload: bytes) -> bytes:
        """An answer to `frame` on the wire."""
        return encode_frame(Frame(frame.type | ANSWER, frame.session, frame.seq, payload))

    def _hello(self, frame: Frame) -> bytes:
        return LAYOUTS["HELLO_ANSWER"].pack(hello_values(self.model) | self.hello)

    def _input(self, frame: Frame) -> bytes:
        values, data = LAYOUTS["INPUT"].unpack(frame.payload)
        self.input[values["offset"] : values["offset"] + len(data)] = data
        self.received = values["offset"] + len(data)
        return report(frame.seq + 1, self.received)

    def _input_packed(self, frame: Frame) -> bytes:
        offset = LAYOUTS["INPUT_PACKED"].unpack(frame.payload)[0]["offset"]
        data = unpacked(frame.payload, bytes(self.input))
        self.input[offset : offset + len(data)] = data
        self.received = offset + len(data)
        return report(frame.seq + 1, self.received)

    def _infer(self, frame: Frame) -> bytes:
        values, _ = LAYOUTS["INFER"].unpack(frame.payload)
        assert values["input_crc"] == crc32(self.input)
        self.inferences += 1
        output = self.model.expected_output(bytes(self.input))
        return inference(values["sample"], output)

    def _stats(self, frame: Frame) -> bytes:
        names = [name for name, _ in LAYOUTS["STATS_ANSWER"].fields]
        return LAYOUTS["STATS_ANSWER"].pack(dict.fromkeys(names, 0) | {"inferences": self.inferences})

    def _echo(self, frame: Frame) -> bytes:
        return frame.payload


def report(next_seq: int, received: int) -> bytes:
    return LAYOUTS["NACK"].pack({"next_seq": next_seq, "reserved": 0, "received": received})


def refusal(frame: Frame, code: int, detail: int = 0) -> bytes:
    payload = LAYOUTS["ERROR"].pack({"request": frame.type, "code": code, "reserved": 0, "detail": detail})
    return encode_frame(Frame(MessageType.ERROR, frame.session, frame.seq, payload))


def boot() -> bytes:
    return encode_frame(Frame(MessageType.BOOT, 0, 0, bytes(LAYOUTS["BOOT"].bytes)))


def inference(sample: int, output: bytes, output_crc: int | None = None) -> bytes:
    crc = crc32(output) if output_crc is None else output_crc
    values = {"sample": sample, "ticks_low": 1, "ticks_high": 0, "output_crc": crc}
    return LAYOUTS["INFER_ANSWER"].pack(values, output)


def hello_values(model: TestModel) -> dict[str, object]:
    bits = struct.unpack("<I", struct.pack("<f", model.scale))[0]
    zero = {"fault_pc": 0, "fault_lr": 0, "fault_cfsr": 0, "fault_hfsr": 0, "engine_status": 0}
    return zero | {
        "board_id": model.board.encode(),
        "engine": model.engine.encode(),
        "model_sha256": bytes.fromhex(model.model_sha256),
        "build_id": bytes.fromhex(model.build_id),
        "input_bytes": model.input_bytes,
        "output_bytes": model.output_bytes,
        "input_rank": 2,
        "output_rank": 2,
        "tick_source": 4,
        "reset_cause": 1,
        "input_shape": (1, model.input_bytes, 0, 0, 0, 0),
        "output_shape": (1, model.output_bytes, 0, 0, 0, 0),
        "input_scale_bits": bits,
        "input_zero_point": model.zero_point,
        "output_scale_bits": bits,
        "output_zero_point": model.zero_point,
        "arena_bytes": 4096,
        "arena_used": 4000,
        "core_hz": 0,
        "tick_hz": 1_000_000_000,
        "rx_buffer_bytes": 2048,
        "max_payload": 512,
        "credit": 3,
        "features": 0,
    }
