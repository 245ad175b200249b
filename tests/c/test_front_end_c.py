# SPDX-License-Identifier: Apache-2.0
"""The C front end against the numpy one, compiled with sanitizers: equal bytes for every clip and block."""

import struct
import subprocess
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcu_ser.features.clip import fitted, frame_count
from mcu_ser.features.front_end import FrontEnd
from mcu_ser.features.integer_log_mel import level_map, level_rows, log_power, without_clip_mean
from mcu_ser.features.normalization import Normalization
from mcu_ser.recipe import FeaturesRecipe
from tests.native_firmware import require_gcc
from tests.native_front_end import FRONT_END_DIR, NativeFrontEnd, push, start_clip
from tests.speech import emodb_clips, synthetic_clips, worst_clips

SPECS = {
    "level": FeaturesRecipe(mels=40, frames=24),
    "band": FeaturesRecipe(mels=32, frames=17, clip_mean="band", window_samples=400, hop_samples=160),
    "keep": FeaturesRecipe(
        mels=128, frames=8, clip_mean="keep", window_samples=131, hop_samples=67, min_hz=0, max_hz=8000
    ),
    "hop of a window": FeaturesRecipe(mels=4, frames=9, hop_samples=512),
}
NOISE = np.random.default_rng(0).integers(-32768, 32768, 40000).astype(np.int16)


@lru_cache
def front_end_of(spec: FeaturesRecipe) -> FrontEnd:
    """A front end for made-up voices, whose steps are a fortieth of a standard deviation."""
    maps = np.array([log_power(level_map(pcm, spec), spec) for pcm in synthetic_clips(spec)])
    return FrontEnd.folded(spec, Normalization.measured(maps), 0.025, -5)


def of_stream(front_end: FrontEnd, pcm: np.ndarray) -> np.ndarray:
    """The map of a stream after `pcm`: that of its newest rows."""
    spec = front_end.spec
    rows = level_rows(pcm, spec)[-spec.frames :]
    return front_end.quantized(without_clip_mean(fitted(rows, spec.frames), spec))


def in_blocks(pcm: np.ndarray, sizes: list[int]) -> bytes:
    """Pushes of the given sizes, over and over, until nothing is left."""
    commands, at = [], 0
    while at < len(pcm):
        size = sizes[len(commands) % len(sizes)]
        commands.append(push(pcm[at : at + size]))
        at += size
    return b"".join(commands)


@pytest.fixture(scope="module", params=SPECS)
def pair(request, tmp_path_factory) -> tuple[FrontEnd, NativeFrontEnd]:
    front_end = front_end_of(SPECS[request.param])
    return front_end, NativeFrontEnd(front_end, tmp_path_factory.mktemp("front_end"))


def assert_equal(pair, clips) -> None:
    front_end, native = pair
    for pcm, found in zip(clips, native.clips(clips), strict=True):
        expected = front_end.run(pcm)
        assert (found == expected).all(), f"frame and band {np.argwhere(found != expected)[0]}"


def test_the_worst_clips_give_equal_bytes(pair) -> None:
    assert_equal(pair, list(worst_clips().values()))


def test_made_up_voices_give_equal_bytes(pair) -> None:
    clips = synthetic_clips(pair[0].spec)
    assert_equal(pair, clips)
    # What is compared is not saturated.
    maps = np.array([pair[0].run(pcm) for pcm in clips])
    assert ((maps > -128) & (maps < 127)).mean() > 0.9


def test_real_speech_gives_equal_bytes(pair) -> None:
    assert_equal(pair, emodb_clips(pair[0].spec, every=20))


def test_any_length_gives_equal_bytes(pair) -> None:
    spec = pair[0].spec
    window, hop, frames = spec.window_samples, spec.hop_samples, spec.frames
    lengths = [1, 2, window // 2, window - 1, window, window + 1, window + hop - 1, window + hop]
    for rows in (frames - 1, frames, frames + 1, frames + 2, 3 * frames):
        lengths += [window + (rows - 1) * hop, window + rows * hop - 1]
    assert_equal(pair, [NOISE[:length] for length in lengths])


@given(data=st.data())
@settings(max_examples=25)
def test_blocks_of_any_size_give_the_bytes_of_the_whole(pair, data) -> None:
    front_end, native = pair
    spec = front_end.spec
    longest = spec.window_samples + 3 * spec.frames * spec.hop_samples
    length = data.draw(st.integers(1, min(longest, 12000)))
    # Many small blocks cost the test more than the front end.
    sizes = data.draw(st.lists(st.integers(max(1, length // 50), length + 100), min_size=1, max_size=5))
    start = data.draw(st.integers(0, 20000))
    pcm = NOISE[start : start + length]
    rows, found = native.rows_and_map(start_clip(length) + in_blocks(pcm, sizes))
    assert rows == min(frame_count(length, spec), spec.frames)
    assert (found == front_end.run(pcm)).all()
    rows, found = native.rows_and_map(b"s" + in_blocks(pcm, sizes))
    if length < spec.window_samples:
        assert (rows, found) == (0, None)
    else:
        assert rows == min(frame_count(length, spec), spec.frames)
        assert (found == of_stream(front_end, pcm)).all()


def test_a_stream_has_a_map_after_every_row(pair) -> None:
    """One program, one stream: each map is that of the samples so far, none disturbs the next."""
    front_end, native = pair
    spec = front_end.spec
    blocks = [spec.window_samples] + [spec.hop_samples] * (2 * spec.frames + 1)
    ends = np.cumsum(blocks)
    pieces = np.split(NOISE[: ends[-1]], ends[:-1])
    answers = native.execute(b"s" + b"".join(push(piece) + b"m" for piece in pieces))
    size = 12 + spec.frames * spec.mels
    for number, end in enumerate(ends):
        answer = answers[number * size : (number + 1) * size]
        assert struct.unpack_from("<IIi", answer) == (1, min(number + 1, spec.frames), 0)
        expected = of_stream(front_end, NOISE[:end])
        assert answer[12:] == expected.tobytes(), f"after row {number}"


def test_pushes_say_how_many_rows_they_completed(pair) -> None:
    front_end, native = pair
    spec = front_end.spec
    first = spec.window_samples - 1
    answers = native.execute(
        b"s" + push(NOISE[:first]) + push(NOISE[:0]) + push(NOISE[:1]) + push(NOISE[: 3 * spec.hop_samples])
    )
    assert struct.unpack("<4I", answers) == (0, 0, 1, 3)


def test_a_clip_ends_where_it_was_said_to_end(pair) -> None:
    front_end, native = pair
    spec = front_end.spec
    for length in (spec.window_samples // 3, spec.window_samples + 2 * spec.hop_samples):
        _, found = native.rows_and_map(start_clip(length) + push(NOISE[:length]) + push(NOISE))
        assert (found == front_end.run(NOISE[:length])).all()


def test_every_start_forgets_what_was_before(pair) -> None:
    front_end, native = pair
    short = NOISE[:50]
    for before in (b"s", start_clip(30000)):
        for loud in (NOISE[:700], NOISE):
            _, found = native.rows_and_map(before + push(loud) + start_clip(50) + push(short))
            assert (found == front_end.run(short)).all()
            rows, found = native.rows_and_map(before + push(loud) + b"s" + push(short))
            assert (rows, found) == (0, None)


@pytest.mark.parametrize(("zero_point", "scale"), [(-128, 0.01), (127, 0.01), (0, 1e-6)])
def test_the_zero_point_and_both_ends_of_int8(zero_point, scale, tmp_path) -> None:
    spec = SPECS["level"]
    steep = Normalization(np.zeros(spec.mels, np.float32), np.full(spec.mels, 1e-3, np.float32))
    front_end = FrontEnd.folded(spec, steep, scale, zero_point)
    clip = worst_clips()["sweep"]
    (found,) = NativeFrontEnd(front_end, tmp_path).clips([clip])
    assert (found == front_end.run(clip)).all()
    assert found.min() == -128
    assert found.max() == 127


def test_the_largest_map_does_not_overflow_its_mean(tmp_path) -> None:
    spec = FeaturesRecipe(mels=128, frames=1024, min_hz=0, max_hz=8000, window_samples=128, hop_samples=64)
    front_end = front_end_of(spec)
    clip = np.where(np.arange(128 + 1023 * 64) // 2 % 2, 32767, -32768).astype(np.int16)
    (found,) = NativeFrontEnd(front_end, tmp_path).clips([clip])
    assert (found == front_end.run(clip)).all()


@pytest.mark.parametrize("source", sorted(path.name for path in FRONT_END_DIR.glob("*.h")))
def test_every_header_stands_alone_also_in_cpp(source, tmp_path) -> None:
    from mcu_ser.generate.front_end import front_end_sources

    require_gcc()
    for name, text in front_end_sources(front_end_of(SPECS["level"])).items():
        (tmp_path / name).write_text(text)
    (tmp_path / "alone.cpp").write_text(f'#include "{source}"\n#include "{source}"\n')
    command = ["g++", "-std=c++11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
    subprocess.run(
        [*command, f"-I{FRONT_END_DIR}", f"-I{tmp_path}", str(tmp_path / "alone.cpp")], check=True, timeout=60
    )
