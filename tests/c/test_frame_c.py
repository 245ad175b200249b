# SPDX-License-Identifier: Apache-2.0
"""The C codec against the Python codec, compiled with sanitizers: many cases in one process."""

import random
import struct
import subprocess
import zlib
from pathlib import Path

import pytest

from mcu_ser.resources import firmware_templates_dir
from mcu_ser.verify.protocol import HEADER_BYTES, Frame, FrameDecoder, encode_frame
from tests.native_firmware import SANITIZED, STRICT, require_gcc

MAX_PAYLOAD = 512  # SERVER_MAX_PAYLOAD of server_config.h


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    runtime = firmware_templates_dir() / "runtime"
    out = tmp_path_factory.mktemp("frame") / "frame_filter"
    sources = [Path(__file__).with_name("frame_filter.c"), runtime / "frame.c", runtime / "crc32.c"]
    command = [require_gcc(), *STRICT, *SANITIZED, f"-I{runtime}", *map(str, sources), "-o", str(out)]
    subprocess.run(command, check=True, timeout=120)
    return out


def run(program: Path, cases: list[tuple[bytes, bytes]]) -> bytes:
    stdin = b"".join(mode + struct.pack("<I", len(data)) + data for mode, data in cases)
    return subprocess.run([program], input=stdin, capture_output=True, check=True, timeout=120).stdout


def decode_in_c(program: Path, streams: list[bytes]) -> list[tuple[list[bytes], int, int]]:
    """For each stream: the wire form of every frame found, frames_ok, frames_bad."""
    out = run(program, [(b"d", stream) for stream in streams])
    results, at = [], 0
    for _ in streams:
        frames = []
        while length := struct.unpack_from("<I", out, at)[0]:
            frames.append(out[at + 4 : at + 4 + length])
            at += 4 + length
        results.append((frames, *struct.unpack_from("<II", out, at + 4)))
        at += 12
    assert at == len(out)
    return results


def decode_in_python(stream: bytes) -> tuple[list[bytes], int, int]:
    decoder = FrameDecoder()
    frames = decoder.feed(stream)
    fitting = [frame for frame in frames if len(frame.payload) <= MAX_PAYLOAD]
    too_long = len(frames) - len(fitting)
    return list(map(encode_frame, fitting)), len(fitting), decoder.frames_bad + too_long


def random_frame(rng: random.Random, longest: int = MAX_PAYLOAD) -> Frame:
    length = rng.choice([0, 1, 8, 241, 242, 243, 253, 254, 255, 508, longest, rng.randrange(longest + 1)])
    # Few values make zeros and long runs likely, and so every branch of COBS.
    values = rng.choice([[0], [1], [255], [0, 1], range(1, 256), range(256)])
    payload = bytes(rng.choice(values) for _ in range(length))
    return Frame(
        rng.randrange(256),
        rng.choice([0, rng.randrange(1 << 32)]),
        rng.randrange(0x10000),
        payload,
        rng.choice([1, 0, 2]),
    )


def damaged(rng: random.Random, wire: bytes) -> bytes:
    """The bytes of a frame after one of the things that lines do."""
    data = bytearray(wire)
    at = rng.randrange(len(data))
    match rng.randrange(6):
        case 0:
            data[at] ^= 1 << rng.randrange(8)
        case 1:
            del data[at]
        case 2:
            data.insert(at, rng.randrange(256))
        case 3:
            del data[at:]
        case 4:
            data[at:at] = data[: rng.randrange(len(data))]
        case _:
            data[at] = 0
    return bytes(data)


def random_stream(rng: random.Random) -> bytes:
    parts = []
    for _ in range(rng.randrange(1, 5)):
        kind = rng.random()
        if kind < 0.4:
            parts.append(encode_frame(random_frame(rng, rng.choice([MAX_PAYLOAD, 700]))))
        elif kind < 0.8:
            parts.append(damaged(rng, encode_frame(random_frame(rng))))
        else:
            parts.append(
                rng.randbytes(rng.choice([3, 40, 600, 3000])).replace(b"\0", rng.choice([b"\0", b"\1"]))
            )
    return b"".join(parts)


def test_both_encoders_give_the_same_bytes(program):
    rng = random.Random(1)
    frames = [random_frame(rng) for _ in range(3000)]
    cases = [(b"e", struct.pack("<BBIH", f.version, f.type, f.session, f.seq) + f.payload) for f in frames]
    expected = b"".join(struct.pack("<I", len(wire)) + wire for wire in map(encode_frame, frames))
    assert run(program, cases) == expected


def test_both_decoders_find_the_same_frames_in_any_stream(program):
    rng = random.Random(2)
    streams = [random_stream(rng) for _ in range(6000)]
    results = decode_in_c(program, streams)
    expected = [decode_in_python(stream) for stream in streams]
    assert results == expected
    # The streams must be worth the name: good and bad frames in plenty.
    assert sum(ok for _, ok, _ in expected) > 5000
    assert sum(bad for _, _, bad in expected) > 5000


def test_noise_is_no_frame_and_no_crash(program):
    rng = random.Random(3)
    streams = [rng.randbytes(rng.randrange(1500)) + b"\0" for _ in range(3000)]
    for (frames, ok, bad), stream in zip(decode_in_c(program, streams), streams, strict=True):
        assert (frames, ok) == ([], 0)
        assert bad == len([piece for piece in stream.split(b"\0") if piece])


def cobs_by_hand(data: bytes) -> bytes:
    return b"".join(bytes([len(run) + 1]) + run for run in data.split(b"\0"))


@pytest.mark.parametrize("length", [0, 2, 4, 0xFFFF])
def test_a_length_field_that_lies_is_refused(program, length):
    body = struct.pack("<BBIHH", 1, 6, 1, 1, length) + b"abc"
    body += struct.pack("<I", zlib.crc32(body))
    assert decode_in_c(program, [b"\0" + cobs_by_hand(body) + b"\0"]) == [([], 0, 1)]


def test_a_frame_shorter_than_a_header_is_refused_although_its_crc_holds(program):
    for size in range(HEADER_BYTES):
        body = bytes(range(1, size + 1))
        body += struct.pack("<I", zlib.crc32(body))
        assert decode_in_c(program, [cobs_by_hand(body) + b"\0"]) == [([], 0, 1)]


def test_a_frame_longer_than_the_buffer_is_dropped_and_the_next_one_found(program):
    good = encode_frame(Frame(6, 1, 2, b"x" * MAX_PAYLOAD))
    too_long = encode_frame(Frame(6, 1, 2, b"x" * (MAX_PAYLOAD + 1)))
    assert decode_in_c(program, [too_long + good]) == [([good], 1, 1)]
