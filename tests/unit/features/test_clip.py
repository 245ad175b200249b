# SPDX-License-Identifier: Apache-2.0
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.features.clip import fitted, frame_count, frames_of, pcm16, trimmed
from mcu_ser.recipe import FeaturesRecipe

SPEC = FeaturesRecipe()


def noise(seed: int, samples: int, deviation: int = 3000) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, deviation, samples).astype(np.int16)


def test_samples_are_rounded_and_saturate() -> None:
    samples = np.array([0.0, 1.0, -1.0, 2.0, -2.0, 1.4 / 32768, -1.6 / 32768, 0.5], np.float32)
    assert pcm16(samples).tolist() == [0, 32767, -32768, 32767, -32768, 1, -2, 16384]
    assert pcm16(samples).dtype == np.int16


@pytest.mark.parametrize(
    ("samples", "frames"), [(1, 1), (511, 1), (512, 1), (767, 1), (768, 2), (1023, 2), (1024, 3)]
)
def test_frames_lie_wholly_inside(samples, frames) -> None:
    assert frame_count(samples, SPEC) == frames
    assert len(frames_of(np.ones(samples, np.int16), SPEC)) == frames


def test_a_clip_shorter_than_a_window_is_followed_by_zeros() -> None:
    assert frames_of(np.array([1, 2, 3], np.int16), SPEC).tolist() == [[1, 2, 3] + 509 * [0]]


def test_silence_at_the_ends_is_dropped() -> None:
    speech = noise(4, 512 + 15 * 256)
    silence = np.zeros(20 * 256, np.int16)
    kept = trimmed(np.concatenate([silence, speech, silence]), SPEC)
    # Frames that reach into the speech by one hop stay.
    expected = np.concatenate([silence[:256], speech, silence[:256]])
    assert kept.tolist() == expected.tolist()


def test_silence_in_the_middle_stays() -> None:
    clip = np.concatenate([noise(5, 1024), np.zeros(5120, np.int16), noise(6, 1024)])
    assert len(trimmed(clip, SPEC)) == len(clip)


def test_a_constant_offset_is_silence() -> None:
    speech = noise(7, 2048, deviation=1000)
    clip = np.concatenate([np.zeros(5120, np.int16), speech]) + 9000
    assert len(trimmed(clip.astype(np.int16), SPEC)) == 2048 + 256


@pytest.mark.parametrize("value", [0, 1, -32768, 32767])
def test_a_clip_without_any_sound_stays_whole(value) -> None:
    assert len(trimmed(np.full(5000, value, np.int16), SPEC)) == 4864


@given(
    st.lists(st.sampled_from([0, 1, 30, 1000, 32767]), min_size=1, max_size=12),
    st.integers(1, 300),
    st.sampled_from([0.5, 20.0, 40.0, 90.0]),
)
def test_trims_by_the_documented_rule(loudness, odd, decibel) -> None:
    """Square waves of given loudness, one per hop, against exact arithmetic."""
    spec = FeaturesRecipe(trim_below_peak_db=decibel, window_samples=128, hop_samples=64)
    clip = np.concatenate([np.tile([one, -one], 32) for one in loudness] + [np.zeros(odd)]).astype(np.int16)
    count = frame_count(len(clip), spec)
    frames = [[int(x) for x in clip[64 * i : 64 * i + 128]] for i in range(count)]
    energy = [128 * sum(x * x for x in frame) - sum(frame) ** 2 for frame in frames]
    ratio = Fraction(int(10 ** (-decibel / 10) * 2**24), 2**24)
    loud = [i for i in range(count) if energy[i] >= int(max(energy) * ratio)]
    assert trimmed(clip, spec).tolist() == clip[64 * loud[0] : 64 * loud[-1] + 128].tolist()


def test_rows_repeat_or_lose_their_ends() -> None:
    rows = np.arange(5, dtype=np.int32)[:, None]
    assert fitted(rows, 7).ravel().tolist() == [0, 1, 2, 3, 4, 0, 1]
    assert fitted(rows, 5).ravel().tolist() == [0, 1, 2, 3, 4]
    assert fitted(rows, 2).ravel().tolist() == [1, 2]
