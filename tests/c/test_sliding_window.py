# SPDX-License-Identifier: Apache-2.0
"""The C sliding window and energy gate against the reference, with sanitizers: any blocks, equal bytes."""

import struct
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcu_ser.features.front_end import FrontEnd
from mcu_ser.features.listening import DueMap, Gate, due_maps
from mcu_ser.features.normalization import Normalization
from mcu_ser.recipe import FeaturesRecipe
from tests.native_front_end import NativeFrontEnd, push
from tests.speech import worst_clips

SPECS = {
    "level": FeaturesRecipe(mels=8, frames=24),
    "band, odd hop": FeaturesRecipe(mels=5, frames=17, clip_mean="band", window_samples=400, hop_samples=161),
    "keep, hop of a window": FeaturesRecipe(mels=4, frames=9, clip_mean="keep", hop_samples=512),
}
FILTER = Path(__file__).parent / "sliding_window_filter.c"
NO_MAP = 0xFFFFFFFF


@lru_cache
def noise() -> np.ndarray:
    """Noise whose level comes and goes, upon a constant."""
    rng = np.random.default_rng(5)
    level = 8000.0 * np.square(np.sin(np.arange(60000) / 9000.0))
    return (300 + rng.normal(0, 1, 60000) * level).clip(-32768, 32767).astype(np.int16)


@pytest.fixture(scope="module", params=SPECS)
def pair(request, tmp_path_factory) -> tuple[FrontEnd, NativeFrontEnd]:
    spec = SPECS[request.param]
    mean, std = np.full(spec.mels, -6.0, np.float32), np.full(spec.mels, 2.0, np.float32)
    front_end = FrontEnd.folded(spec, Normalization(mean, std), 0.025, 3)
    directory = tmp_path_factory.mktemp("window")
    return front_end, NativeFrontEnd(front_end, directory, FILTER)


def start(period: int, gate: Gate) -> bytes:
    return b"s" + struct.pack("<3I", period, gate.power, gate.hops)


def found_maps(front_end: FrontEnd, answers: bytes) -> list[DueMap]:
    shape = (front_end.spec.frames, front_end.spec.mels)
    found, at = [], 0
    while at < len(answers):
        (rows,) = struct.unpack_from("<I", answers, at)
        at += 4
        if rows != NO_MAP:
            is_open, power = struct.unpack_from("<II", answers, at)
            end = at + 8 + shape[0] * shape[1]
            features = np.frombuffer(answers[at + 8 : end], np.int8).reshape(shape)
            found.append(DueMap(rows, bool(is_open), power, features))
            at = end
    return found


def assert_equal(found: list[DueMap], expected: list[DueMap]) -> None:
    plain = [[(one.rows, one.is_open, one.power) for one in maps] for maps in (found, expected)]
    assert plain[0] == plain[1]
    for one, other in zip(found, expected, strict=True):
        assert (one.features == other.features).all()


def in_blocks(pcm: np.ndarray, sizes: list[int]) -> bytes:
    commands, at = [], 0
    while at < len(pcm):
        size = sizes[len(commands) % len(sizes)]
        commands.append(push(pcm[at : at + size]))
        at += size
    return b"".join(commands)


@given(data=st.data())
@settings(max_examples=25)
def test_blocks_of_any_size_give_the_maps_of_the_whole(pair, data) -> None:
    front_end, native = pair
    spec = front_end.spec
    map_samples = spec.window_samples + (spec.frames - 1) * spec.hop_samples
    length = data.draw(st.integers(0, 4 * map_samples))
    period = data.draw(st.integers(1, 2 * spec.frames))
    gate = Gate(
        data.draw(st.sampled_from([0, 1, 10**4, 10**6, 2**30, 2**32 - 1])), data.draw(st.integers(0, 30))
    )
    sizes = data.draw(st.lists(st.integers(max(1, length // 50), length + 100), min_size=1, max_size=5))
    first = data.draw(st.integers(0, 20000))
    pcm = noise()[first : first + length]
    # What was before a start changes nothing.
    before = start(1, Gate(5, 2)) + push(noise()[:5000]) if data.draw(st.booleans()) else b""
    answers = native.execute(before + start(period, gate) + in_blocks(pcm, sizes))
    skipped = len(native.execute(before)) if before else 0
    assert_equal(found_maps(front_end, answers[skipped:]), list(due_maps(pcm, front_end, period, gate)))


@pytest.mark.parametrize("name", worst_clips())
def test_the_worst_samples(pair, name) -> None:
    front_end, native = pair
    pcm, gate = worst_clips()[name], Gate(2**29, 1)
    found = found_maps(front_end, native.execute(start(3, gate) + in_blocks(pcm, [777])))
    assert found
    assert_equal(found, list(due_maps(pcm, front_end, 3, gate)))


def test_the_gate_opens_and_closes(pair) -> None:
    front_end, native = pair
    gate = Gate.of_level(-30.0, 4)
    found = found_maps(front_end, native.execute(start(1, gate) + in_blocks(noise(), [1000])))
    assert {one.is_open for one in found} == {True, False}
    assert_equal(found, list(due_maps(noise(), front_end, 1, gate)))


def test_the_first_map_is_due_with_the_last_sample_of_its_last_row(pair) -> None:
    front_end, native = pair
    spec = front_end.spec
    needed = spec.window_samples + (spec.frames - 1) * spec.hop_samples
    for length, rows in ((needed - 1, []), (needed, [spec.frames])):
        commands = start(5, Gate()) + push(noise()[:length])
        assert [one.rows for one in found_maps(front_end, native.execute(commands))] == rows
