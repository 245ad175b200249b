# SPDX-License-Identifier: Apache-2.0
"""The payloads of protocol version 1: one table of layouts, and a dataclass for each that a caller sees.

All integers are little endian. A layout with `tail` is followed by any number of bytes. The C header of the
firmware is generated from the same table (`protocol_header`), so the two sides cannot drift apart.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_RANK = 6
"""Most dimensions of an input or output tensor."""

MAX_TENSOR_BYTES = 1 << 24
"""Most bytes of an input or output tensor, whatever a device claims: more than any board has RAM."""


class PayloadError(ValueError):
    """A payload that has not the length or the values of its message."""


class Layout:
    """Names, `struct` codes and order of the fields of one payload.

    Args:
        fields: Pairs of field name and `struct` code, e.g. ("offset", "I") or ("shape", "6I").
        tail: Whether any number of bytes follows the fields.
    """

    def __init__(self, *fields: tuple[str, str], tail: bool = False) -> None:
        self.fields = fields
        self.tail = tail
        self._structs = [(name, struct.Struct("<" + code)) for name, code in fields]
        self.bytes = sum(part.size for _, part in self._structs)

    def offsets(self) -> Mapping[str, int]:
        """Where each field starts, in bytes from the start of the payload."""
        offsets, at = {}, 0
        for name, part in self._structs:
            offsets[name] = at
            at += part.size
        return offsets

    def pack(self, values: Mapping[str, Any], tail: bytes = b"") -> bytes:
        """The payload with these field values."""
        if tail and not self.tail:
            raise PayloadError("this payload has no tail")
        parts = []
        for name, part in self._structs:
            value = values[name]
            parts.append(part.pack(*value) if isinstance(value, tuple) else part.pack(value))
        return b"".join(parts) + tail

    def unpack(self, payload: bytes) -> tuple[dict[str, Any], bytes]:
        """Field values and tail of a payload.

        Raises:
            PayloadError: The payload has the wrong length.
        """
        if len(payload) < self.bytes or (len(payload) > self.bytes and not self.tail):
            at_least = "at least " if self.tail else ""
            raise PayloadError(f"payload of {len(payload)} bytes, expected {at_least}{self.bytes}")
        values: dict[str, Any] = {}
        at = 0
        for name, part in self._structs:
            value = part.unpack_from(payload, at)
            values[name] = value[0] if len(value) == 1 else value
            at += part.size
        return values, payload[at:]


_FAULT = (("fault_pc", "I"), ("fault_lr", "I"), ("fault_cfsr", "I"), ("fault_hfsr", "I"))
_REPORT = (("next_seq", "H"), ("reserved", "H"), ("received", "I"))

_FEATURES_BYTES = 4

# Key: the message as in `protocol.MessageType`. Messages that are not here have an empty payload.
LAYOUTS: Mapping[str, Layout] = {
    "INPUT": Layout(("offset", "I"), tail=True),
    "INPUT_PACKED": Layout(("offset", "I"), ("count", "H"), ("above", "H"), ("left", "B"), tail=True),
    "INFER": Layout(("sample", "I"), ("input_crc", "I")),
    "OUTPUT": Layout(("offset", "I"), ("length", "I")),
    "ECHO": Layout(tail=True),
    "ARENA": Layout(("bytes", "I")),
    "LAYERS": Layout(("sample", "I"), ("input_crc", "I"), ("first", "I"), ("last", "I")),
    "TENSOR": Layout(("layer", "I"), ("offset", "I"), ("length", "I")),
    "AUDIO": Layout(("offset", "I"), ("samples", "I"), tail=True),
    "HEAR": Layout(("sample", "I"), ("audio_crc", "I")),
    "FEATURE_MAP": Layout(("offset", "I"), ("length", "I")),
    "LISTEN": Layout(
        *(("source", "B"), ("flags", "B"), ("period", "H"), ("gate_hops", "H"), ("reserved", "H")),
        ("gate_power", "I"),
    ),
    "HELLO_ANSWER": Layout(
        ("board_id", "32s"),
        ("engine", "8s"),
        ("model_sha256", "32s"),
        ("build_id", "16s"),
        ("input_bytes", "I"),
        ("output_bytes", "I"),
        ("input_rank", "B"),
        ("output_rank", "B"),
        ("tick_source", "B"),
        ("reset_cause", "B"),
        ("input_shape", f"{MAX_RANK}I"),
        ("output_shape", f"{MAX_RANK}I"),
        ("input_scale_bits", "I"),
        ("input_zero_point", "i"),
        ("output_scale_bits", "I"),
        ("output_zero_point", "i"),
        ("arena_bytes", "I"),
        ("arena_used", "I"),
        ("core_hz", "I"),
        ("tick_hz", "I"),
        ("engine_status", "i"),
        *_FAULT,
        ("rx_buffer_bytes", "I"),
        ("max_payload", "H"),
        ("credit", "H"),
        ("features", "I"),
    ),
    "INPUT_ANSWER": Layout(*_REPORT),
    "INPUT_PACKED_ANSWER": Layout(*_REPORT),
    "INFER_ANSWER": Layout(
        ("sample", "I"), ("ticks_low", "I"), ("ticks_high", "I"), ("output_crc", "I"), tail=True
    ),
    "OUTPUT_ANSWER": Layout(("offset", "I"), tail=True),
    "STATS_ANSWER": Layout(
        *(("frames_ok", "I"), ("frames_bad", "I"), ("frames_foreign", "I"), ("duplicates", "I")),
        *(("nacks", "I"), ("errors", "I"), ("inferences", "I"), ("rx_overruns", "I")),
        *(("stack_bytes", "I"), ("stack_high_water", "I")),
    ),
    "ECHO_ANSWER": Layout(tail=True),
    "ARENA_ANSWER": Layout(("bytes", "I"), ("used", "I"), ("engine_status", "i")),
    # Behind the fields: one LAYER of `RECORDS` for each layer from first to last.
    "LAYERS_ANSWER": Layout(("sample", "I"), ("layers", "I"), tail=True),
    "TENSOR_ANSWER": Layout(("layer", "I"), ("offset", "I"), tail=True),
    "AUDIO_ANSWER": Layout(*_REPORT),
    # As INFER_ANSWER, and then what the front end did.
    "HEAR_ANSWER": Layout(
        *(("sample", "I"), ("ticks_low", "I"), ("ticks_high", "I"), ("output_crc", "I")),
        *(("features_crc", "I"), ("rows", "I"), ("front_end_ticks", "I")),
        tail=True,
    ),
    "FEATURE_MAP_ANSWER": Layout(("offset", "I"), tail=True),
    "LISTEN_ANSWER": Layout(
        *(("sample_rate_hz", "I"), ("ring_samples", "I")),
        *(("frames", "H"), ("window_samples", "H"), ("hop_samples", "H"), ("reserved", "H")),
    ),
    # Behind the fields: the output, if the gate was open.
    "DECISION": Layout(
        *(("number", "I"), ("rows", "I"), ("power", "I"), ("lost_blocks", "I"), ("lost_samples", "I")),
        *(("features_crc", "I"), ("output_crc", "I"), ("ticks", "I"), ("front_end_ticks", "I")),
        *(("gate_open", "B"), ("engine_status", "B"), ("reserved", "H")),
        tail=True,
    ),
    # Behind the fields: samples, as in AUDIO.
    "SOUND": Layout(("offset", "I"), tail=True),
    "NACK": Layout(*_REPORT),
    "ERROR": Layout(("request", "B"), ("code", "B"), ("reserved", "H"), ("detail", "I")),
    "BOOT": Layout(("reset_cause", "B"), ("reserved", "3s"), *_FAULT),
}

# What stands in the tail of a message, any number of times.
RECORDS: Mapping[str, Layout] = {
    "LAYER": Layout(("crc", "I"), ("bytes", "I"), ("ticks", "I")),
}


class TickSource(enum.IntEnum):
    """Where the ticks of an inference come from (`enum port_tick_source` in port.h)."""

    NONE = 0
    DWT = 1
    TIM2 = 2
    SYSTICK = 3
    HOST = 4


class ResetCause(enum.IntEnum):
    """Why the device started (`enum port_reset_cause` in port.h)."""

    UNKNOWN = 0
    POWER_ON = 1
    PIN = 2
    SOFTWARE = 3
    WATCHDOG = 4
    LOW_POWER = 5


@dataclass(frozen=True)
class FaultRecord:
    """Registers of the fault that ended the previous run (Armv7-M B3.2.15, B3.2.16)."""

    pc: int
    lr: int
    cfsr: int
    hfsr: int

    def __str__(self) -> str:
        return f"pc 0x{self.pc:08x}, lr 0x{self.lr:08x}, cfsr 0x{self.cfsr:08x}, hfsr 0x{self.hfsr:08x}"


@dataclass(frozen=True)
class Hello:
    """What the device says about itself. Everything is untrusted until the harness has compared it."""

    board_id: str
    engine: str
    model_sha256: str
    build_id: str
    input_bytes: int
    output_bytes: int
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    input_scale_bits: int
    input_zero_point: int
    output_scale_bits: int
    output_zero_point: int
    tick_source: TickSource
    tick_hz: int
    core_hz: int
    reset_cause: ResetCause
    arena_bytes: int
    arena_used: int
    engine_status: int
    fault: FaultRecord | None
    rx_buffer_bytes: int
    max_payload: int
    credit: int
    features: int = 0

    @classmethod
    def unpack(cls, payload: bytes) -> Hello:
        """Raises PayloadError if the length, a rank, a size or a number of an enumeration is wrong."""
        layout = LAYOUTS["HELLO_ANSWER"]
        if len(payload) == layout.bytes - _FEATURES_BYTES:
            payload += bytes(_FEATURES_BYTES)  # firmware from before there were any
        values, _ = layout.unpack(payload)
        fault = _fault(values)
        for side in ("input", "output"):
            rank = values.pop(f"{side}_rank")
            if rank > MAX_RANK:
                raise PayloadError(f"{side} of rank {rank}, limit {MAX_RANK}")
            if values[f"{side}_bytes"] > MAX_TENSOR_BYTES:
                raise PayloadError(f"{side} of {values[f'{side}_bytes']} bytes, limit {MAX_TENSOR_BYTES}")
            values[f"{side}_shape"] = tuple(values[f"{side}_shape"][:rank])
        for name in ("board_id", "engine"):
            values[name] = _text(values[name])
        for name in ("model_sha256", "build_id"):
            values[name] = values[name].hex()
        values["tick_source"] = _member(TickSource, values["tick_source"])
        values["reset_cause"] = _member(ResetCause, values["reset_cause"])
        return cls(fault=fault, **values)


@dataclass(frozen=True)
class Report:
    """Answer to INPUT, and NACK: the seq that the device expects next and the input bytes it holds."""

    next_seq: int
    received: int

    @classmethod
    def unpack(cls, payload: bytes) -> Report:
        values, _ = LAYOUTS["NACK"].unpack(payload)
        return cls(values["next_seq"], values["received"])


@dataclass(frozen=True)
class Inference:
    """Answer to INFER. `output` is the start of the output, as much as fits in one frame."""

    sample: int
    ticks: int
    output_crc: int
    output: bytes

    @classmethod
    def unpack(cls, payload: bytes) -> Inference:
        values, output = LAYOUTS["INFER_ANSWER"].unpack(payload)
        ticks = values["ticks_low"] | values["ticks_high"] << 32
        return cls(values["sample"], ticks, values["output_crc"], output)


@dataclass(frozen=True)
class DeviceStats:
    """What the device counted since it started."""

    frames_ok: int
    frames_bad: int
    frames_foreign: int
    duplicates: int
    nacks: int
    errors: int
    inferences: int
    rx_overruns: int
    stack_bytes: int
    stack_high_water: int

    @classmethod
    def unpack(cls, payload: bytes) -> DeviceStats:
        values, _ = LAYOUTS["STATS_ANSWER"].unpack(payload)
        return cls(**values)


@dataclass(frozen=True)
class ArenaTrial:
    """Answer to ARENA: what became of the engine within `arena_bytes`, of which it uses `used`."""

    arena_bytes: int
    used: int
    engine_status: int

    @classmethod
    def unpack(cls, payload: bytes) -> ArenaTrial:
        values, _ = LAYOUTS["ARENA_ANSWER"].unpack(payload)
        return cls(values["bytes"], values["used"], values["engine_status"])


@dataclass(frozen=True)
class LayerRecord:
    """What the device says of one layer of a run: CRC-32 and length of its output, ticks that it took."""

    crc: int
    bytes: int
    ticks: int


@dataclass(frozen=True)
class LayerPage:
    """Answer to LAYERS: `records` of the layers that were asked for; `layers` is how many the model has."""

    sample: int
    layers: int
    records: tuple[LayerRecord, ...]

    @classmethod
    def unpack(cls, payload: bytes) -> LayerPage:
        """Raises PayloadError if the payload does not end with a whole record."""
        values, tail = LAYOUTS["LAYERS_ANSWER"].unpack(payload)
        layout = RECORDS["LAYER"]
        if len(tail) % layout.bytes:
            raise PayloadError(f"{len(tail)} bytes of records, expected a multiple of {layout.bytes}")
        parts = (tail[at : at + layout.bytes] for at in range(0, len(tail), layout.bytes))
        records = tuple(LayerRecord(**layout.unpack(part)[0]) for part in parts)
        return cls(values["sample"], values["layers"], records)


@dataclass(frozen=True)
class Refusal:
    """ERROR: the request, an `protocol.ErrorCode` (or an unknown number), and a detail that depends on it."""

    request: int
    code: int
    detail: int

    @classmethod
    def unpack(cls, payload: bytes) -> Refusal:
        values, _ = LAYOUTS["ERROR"].unpack(payload)
        return cls(values["request"], values["code"], values["detail"])


@dataclass(frozen=True)
class Boot:
    """BOOT: why the device started, and the fault that ended its previous run."""

    reset_cause: ResetCause
    fault: FaultRecord | None

    @classmethod
    def unpack(cls, payload: bytes) -> Boot:
        values, _ = LAYOUTS["BOOT"].unpack(payload)
        return cls(_member(ResetCause, values["reset_cause"]), _fault(values))


def _fault(values: dict[str, Any]) -> FaultRecord | None:
    """The fault record in `values` (taken out of it); all zeros mean that there was no fault."""
    registers = [values.pop(name) for name, _ in _FAULT]
    return FaultRecord(*registers) if any(registers) else None


def _text(raw: bytes) -> str:
    # What a device claims ends up in messages on a terminal: printable ASCII only.
    text = raw.rstrip(b"\0").decode("ascii", errors="replace")
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in text)


def _member(kind: type[Any], number: int) -> Any:
    try:
        return kind(number)
    except ValueError as error:
        raise PayloadError(f"{number} is no {kind.__name__}") from error
