# SPDX-License-Identifier: Apache-2.0
"""Turns frames into the bytes of a serial link and bytes back into frames, for the client of a board.

One frame on the wire is

    0x00 | COBS(version u8 | type u8 | session u32 | seq u16 | length u16 | payload | crc32 u32) | 0x00

little endian; the CRC is CRC-32/ISO-HDLC over everything before it. 0x00 occurs in no COBS code, so a decoder
finds the next frame behind any garbage. A frame that fails any check is counted and dropped.

`MessageType` and `ErrorCode` are the numbers of protocol version 1; the payloads are in `messages`. The
firmware gets both as firmware_templates/runtime/protocol_messages.h (see `protocol_header`).
"""

from __future__ import annotations

import enum
import struct
import zlib
from dataclasses import dataclass

from cobs import cobs

from mcu_ser.verify.messages import Layout

PROTOCOL_VERSION = 1

# The most payload bytes that the host accepts in one frame, whatever the device claims.
MAX_PAYLOAD = 4096

DELIMITER = b"\x00"
HEADER = Layout(("version", "B"), ("type", "B"), ("session", "I"), ("seq", "H"), ("length", "H"))
_HEADER = struct.Struct("<" + "".join(code for _, code in HEADER.fields))
_CRC = struct.Struct("<I")
HEADER_BYTES = _HEADER.size
OVERHEAD_BYTES = HEADER_BYTES + _CRC.size

# An answer has the type of its request plus this.
ANSWER = 0x80


class MessageType(enum.IntEnum):
    """What a frame is. Requests come from the host; the rest comes from the device."""

    HELLO = 0x01
    INPUT = 0x02
    INFER = 0x03
    OUTPUT = 0x04
    STATS = 0x05
    ECHO = 0x06
    RESET = 0x07
    ARENA = 0x08
    """Prepare the engine anew with less of its arena, to find out how little will do."""
    LAYERS = 0x09
    """Run the model on the input and tell of each layer; stop behind the last that is asked for."""
    TENSOR = 0x0A
    """Bytes of the output of the layer behind which LAYERS has stopped."""
    INPUT_PACKED = 0x0B
    """INPUT whose bytes travel as differences to a prediction (`packing`)."""
    AUDIO = 0x10
    """A block of 16-bit samples, of which the device makes its input itself."""
    HEAR = 0x11
    """Run the model on the features of the audio that has come."""
    FEATURE_MAP = 0x12
    """Bytes of the features of the last HEAR."""
    LISTEN = 0x13
    """Run the model again and again on what a microphone hears, or no longer."""

    HELLO_ANSWER = ANSWER | 0x01
    INPUT_ANSWER = ANSWER | 0x02
    INFER_ANSWER = ANSWER | 0x03
    OUTPUT_ANSWER = ANSWER | 0x04
    STATS_ANSWER = ANSWER | 0x05
    ECHO_ANSWER = ANSWER | 0x06
    RESET_ANSWER = ANSWER | 0x07
    ARENA_ANSWER = ANSWER | 0x08
    LAYERS_ANSWER = ANSWER | 0x09
    TENSOR_ANSWER = ANSWER | 0x0A
    INPUT_PACKED_ANSWER = ANSWER | 0x0B
    AUDIO_ANSWER = ANSWER | 0x10
    HEAR_ANSWER = ANSWER | 0x11
    FEATURE_MAP_ANSWER = ANSWER | 0x12
    LISTEN_ANSWER = ANSWER | 0x13

    NACK = 0xC0
    """A request came out of order and was not carried out."""
    ERROR = 0xC1
    """A request was refused."""
    BOOT = 0xC2
    """Sent once, unasked, when the device starts."""
    DECISION = 0xC3
    """Sent unasked by a device that listens: what it makes of the newest features."""
    SOUND = 0xC4
    """Sent unasked by a device that listens: what it hears."""


class Feature(enum.IntFlag):
    """What a device can beyond the first firmware of this version (`features` in HELLO)."""

    PACKED_INPUT = 1
    """It takes INPUT_PACKED."""


class ListenSource(enum.IntEnum):
    """Whose samples LISTEN is about."""

    NONE = 0
    """The device stops listening."""
    MICROPHONE = 1
    """That of the board."""
    LINE = 2
    """The host plays it: AUDIO brings the samples, in place of a microphone."""


class ListenFlag(enum.IntFlag):
    """What LISTEN may ask for besides."""

    SEND_SOUND = 1
    """Each block of samples comes back in SOUND."""


class ErrorCode(enum.IntEnum):
    """Why a request was refused."""

    NO_SESSION = 1
    """The device knows no such session: it restarted, or another host took over."""
    BAD_VERSION = 2
    """The frame has another protocol version."""
    UNKNOWN_TYPE = 3
    """The device has no such request."""
    BAD_LENGTH = 4
    """The payload has not the length of the request, or is no packed input."""
    BAD_STATE = 5
    """The input is incomplete (INFER, LAYERS), or there is no output (OUTPUT, TENSOR)."""
    BAD_INPUT_CRC = 6
    """The input that arrived has another CRC-32 than the host announced."""
    ENGINE = 7
    """The engine failed; the detail is its `EngineStatus`."""
    OUT_OF_RANGE = 8
    """Bytes beyond the end of the input, output, tensor or arena, or layers that the model has not."""
    NO_MICROPHONE = 9
    """The firmware has none, or it does not start."""


class EngineStatus(enum.IntEnum):
    """What an engine says about itself: ready, or why it cannot run (`engine_status` in HELLO)."""

    READY = 0
    WRONG_SCHEMA = 1
    UNKNOWN_OPERATOR = 2
    NOT_ALLOCATED = 3
    WRONG_TENSORS = 4
    INVOKE_FAILED = 5
    ARENA_IS_FIXED = 6

    @property
    def meaning(self) -> str:
        """The status as part of a sentence."""
        return _MEANINGS[self]


_MEANINGS = {
    EngineStatus.READY: "it is ready",
    EngineStatus.WRONG_SCHEMA: "the library reads another version of the .tflite format",
    EngineStatus.UNKNOWN_OPERATOR: "the library lacks an operator of the model",
    EngineStatus.NOT_ALLOCATED: "the arena is too small, or the library cannot prepare an operator",
    EngineStatus.WRONG_TENSORS: "input or output are not those that the project was generated for",
    EngineStatus.INVOKE_FAILED: "an operator failed",
    EngineStatus.ARENA_IS_FIXED: "its arena was planned and cannot change",
}


def engine_status_text(code: int) -> str:
    """An engine's status in words; a number that no `EngineStatus` has stays a number."""
    known = {status.value: status for status in EngineStatus}
    status = known.get(code)
    return f"code {code}" if status is None else f"{status.name}: {status.meaning}"


@dataclass(frozen=True)
class Frame:
    """One message. `type` may be a number that `MessageType` does not know; the CRC held."""

    type: int
    session: int
    seq: int
    payload: bytes = b""
    version: int = PROTOCOL_VERSION

    def __str__(self) -> str:
        known = {member.value: member.name for member in MessageType}
        return f"{known.get(self.type, f'message 0x{self.type:02x}')} seq {self.seq}"


def crc32(data: bytes) -> int:
    """CRC-32/ISO-HDLC (the CRC of zip and Ethernet; check value 0xCBF43926 over b"123456789")."""
    return zlib.crc32(data)


def encode_frame(frame: Frame) -> bytes:
    """The bytes of a frame on the wire, with a delimiter before and after it.

    The leading delimiter ends whatever garbage the receiver holds.
    """
    if len(frame.payload) > MAX_PAYLOAD:
        raise ValueError(f"payload of {len(frame.payload)} bytes, limit {MAX_PAYLOAD}")
    body = (
        _HEADER.pack(frame.version, frame.type, frame.session, frame.seq, len(frame.payload)) + frame.payload
    )
    return DELIMITER + bytes(cobs.encode(body + _CRC.pack(crc32(body)))) + DELIMITER


def wire_bytes(payload_bytes: int) -> int:
    """The most bytes that a frame with so much payload takes on the wire, delimiters included."""
    raw = payload_bytes + OVERHEAD_BYTES
    return raw + -(-raw // 254) + 2


def decode_body(body: bytes) -> Frame | None:
    """The frame in the bytes between two delimiters, or None if it is damaged."""
    try:
        raw = bytes(cobs.decode(body))
    except cobs.DecodeError:
        return None
    if len(raw) < OVERHEAD_BYTES or crc32(raw[: -_CRC.size]) != _CRC.unpack(raw[-_CRC.size :])[0]:
        return None
    version, kind, session, seq, length = _HEADER.unpack_from(raw)
    if length != len(raw) - OVERHEAD_BYTES:
        return None
    return Frame(kind, session, seq, raw[HEADER_BYTES : -_CRC.size], version)


class FrameDecoder:
    """Finds the frames in a stream of bytes that comes in pieces of any size.

    Memory is bounded by `MAX_PAYLOAD`: an over-long piece without a delimiter is dropped as it arrives.
    """

    def __init__(self) -> None:
        self.frames_ok = 0
        self.frames_bad = 0
        self._pending = bytearray()
        self._overlong = False

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that `data` completes, in order."""
        frames = []
        *ended, rest = data.split(DELIMITER)
        for piece in ended:
            self._hold(piece)
            frame = self._end_frame()
            if frame is not None:
                frames.append(frame)
        self._hold(rest)
        return frames

    def _hold(self, piece: bytes) -> None:
        if len(self._pending) + len(piece) > wire_bytes(MAX_PAYLOAD):
            self._overlong = True
            self._pending.clear()
        elif not self._overlong:
            self._pending += piece

    def _end_frame(self) -> Frame | None:
        body, overlong = bytes(self._pending), self._overlong
        self._pending.clear()
        self._overlong = False
        if not body and not overlong:
            return None  # two delimiters in a row are no frame
        frame = None if overlong else decode_body(body)
        if frame is None:
            self.frames_bad += 1
        else:
            self.frames_ok += 1
        return frame
