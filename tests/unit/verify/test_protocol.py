# SPDX-License-Identifier: Apache-2.0
import random
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.verify.protocol import (
    MAX_PAYLOAD,
    PROTOCOL_VERSION,
    Frame,
    FrameDecoder,
    crc32,
    decode_body,
    encode_frame,
    wire_bytes,
)

FRAMES = st.builds(
    Frame,
    type=st.integers(0, 255),
    session=st.integers(0, 0xFFFF_FFFF),
    seq=st.integers(0, 0xFFFF),
    payload=st.one_of(
        st.binary(max_size=40),
        # Zeros and long runs without one are what COBS treats in a special way.
        st.builds(
            lambda byte, count: bytes([byte]) * count, st.sampled_from([0, 1, 255]), st.integers(0, 1100)
        ),
    ),
)


def cobs_by_hand(data: bytes) -> bytes:
    """COBS as its definition says, for data with no run of 254 bytes without a zero."""
    return b"".join(bytes([len(run) + 1]) + run for run in data.split(b"\0"))


def test_a_frame_on_the_wire_is_what_the_specification_says():
    body = struct.pack("<BBIHH", 1, 0x06, 0xDEADBEEF, 0x0102, 3) + b"a\0b"
    body += struct.pack("<I", zlib.crc32(body))
    assert encode_frame(Frame(0x06, 0xDEADBEEF, 0x0102, b"a\0b")) == b"\0" + cobs_by_hand(body) + b"\0"


def test_crc_check_value():
    assert crc32(b"123456789") == 0xCBF43926


@given(FRAMES)
def test_round_trip(frame):
    assert FrameDecoder().feed(encode_frame(frame)) == [frame]


@given(FRAMES)
def test_wire_length_is_bounded_and_the_delimiter_is_only_at_the_ends(frame):
    wire = encode_frame(frame)
    assert len(wire) <= wire_bytes(len(frame.payload))
    assert wire[0] == wire[-1] == 0
    assert 0 not in wire[1:-1]


@given(st.lists(FRAMES, max_size=6), st.randoms(use_true_random=False))
def test_frames_survive_any_cut_of_the_stream(frames, rng):
    stream = b"".join(map(encode_frame, frames))
    decoder, seen, at = FrameDecoder(), [], 0
    while at < len(stream):
        step = rng.choice([1, 1, 2, 7, 100, 2000])
        seen += decoder.feed(stream[at : at + step])
        at += step
    assert seen == frames
    assert (decoder.frames_ok, decoder.frames_bad) == (len(frames), 0)


@given(FRAMES, FRAMES, st.binary(max_size=300))
def test_a_frame_behind_garbage_is_found(before, after, garbage):
    decoder = FrameDecoder()
    seen = decoder.feed(encode_frame(before) + garbage + encode_frame(after))
    assert seen[0] == before
    assert seen[-1] == after


@given(FRAMES, st.integers(0), st.integers(1, 255))
def test_a_changed_byte_never_gives_another_frame(frame, where, change):
    wire = bytearray(encode_frame(frame))
    wire[where % len(wire)] ^= change
    decoder = FrameDecoder()
    assert [seen for seen in decoder.feed(bytes(wire) + b"\0") if seen != frame] == []


@given(FRAMES, st.integers(0))
def test_a_lost_byte_never_gives_another_frame(frame, where):
    wire = encode_frame(frame)
    at = where % len(wire)
    decoder = FrameDecoder()
    seen = decoder.feed(wire[:at] + wire[at + 1 :] + b"\0")
    # Without its leading delimiter the frame is still whole; the trailing one comes with the next frame.
    assert seen == ([frame] if at in {0, len(wire) - 1} else [])
    if not seen:
        assert decoder.frames_bad == 1


@given(FRAMES, st.integers(0))
def test_a_truncated_frame_is_dropped_and_the_next_one_found(frame, where):
    wire = encode_frame(frame)
    cut = wire[: where % (len(wire) - 1)]
    decoder = FrameDecoder()
    assert decoder.feed(cut + encode_frame(frame)) == [frame]
    assert decoder.frames_bad == int(len(cut) > 1)


@given(st.binary(max_size=2000))
def test_noise_is_no_frame(noise):
    decoder = FrameDecoder()
    assert decoder.feed(noise + b"\0") == []
    assert decoder.frames_bad == len([piece for piece in noise.split(b"\0") if piece])


def test_a_flipped_bit_anywhere_is_noticed():
    wire = encode_frame(Frame(3, 77, 9, bytes(range(20))))
    for at in range(1, len(wire) - 1):
        for bit in range(8):
            damaged = bytearray(wire)
            damaged[at] ^= 1 << bit
            assert FrameDecoder().feed(bytes(damaged)) == []


def test_a_length_field_that_lies_is_refused():
    body = struct.pack("<BBIHH", 1, 6, 1, 1, 4) + b"abc"
    body += struct.pack("<I", zlib.crc32(body))
    assert decode_body(cobs_by_hand(body)) is None


def test_a_frame_shorter_than_a_header_is_refused_although_its_crc_holds():
    body = b"\1\2"
    assert decode_body(cobs_by_hand(body + struct.pack("<I", zlib.crc32(body)))) is None


def test_another_version_is_passed_on_for_the_caller_to_refuse():
    frame = Frame(0xC1, 1, 2, b"x", version=PROTOCOL_VERSION + 1)
    assert FrameDecoder().feed(encode_frame(frame)) == [frame]


def test_two_delimiters_in_a_row_are_no_frame():
    decoder = FrameDecoder()
    assert decoder.feed(b"\0\0\0\0") == []
    assert decoder.frames_bad == 0


def test_endless_garbage_takes_no_memory():
    decoder = FrameDecoder()
    for _ in range(100):
        decoder.feed(b"\x55" * 10_000)
        assert len(decoder._pending) <= wire_bytes(MAX_PAYLOAD)
    frame = Frame(1, 2, 3, b"still here")
    assert decoder.feed(b"\0" + encode_frame(frame)) == [frame]
    assert decoder.frames_bad == 1


def test_the_longest_frame_fits_and_a_longer_one_is_not_made():
    data = random.Random(0).randbytes(MAX_PAYLOAD)
    frame = Frame(6, 1, 1, data)
    assert FrameDecoder().feed(encode_frame(frame)) == [frame]
    with pytest.raises(ValueError, match=f"limit {MAX_PAYLOAD}"):
        encode_frame(Frame(6, 1, 1, data + b"x"))


def test_a_frame_names_itself_for_messages():
    assert str(Frame(3, 1, 12)) == "INFER seq 12"
    assert str(Frame(0x55, 1, 12)) == "message 0x55 seq 12"
