# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from mcu_ser.features.clip import fitted, pcm16, trimmed
from mcu_ser.features.feature_set import FeatureSet
from mcu_ser.features.integer_log_mel import LEVEL_STEP, level_rows
from mcu_ser.features.log_mel import log_mel_rows
from mcu_ser.features.recordings import Recordings, rows_at_speeds
from mcu_ser.recipe import FeaturesRecipe

SPEC = FeaturesRecipe(frames=20, mels=8)
SPEEDS = (0.8, 1.0, 1.25)


def tone(hz=1000.0, seconds=1.0) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(int(16000 * seconds)) / 16000)).astype(np.float32)


def recordings() -> Recordings:
    return Recordings.joined([rows_at_speeds(tone(hz), SPEEDS, SPEC) for hz in (300, 900)], SPEEDS, SPEC)


def test_faster_is_shorter_and_higher() -> None:
    spec = FeaturesRecipe(mels=64)
    slow, same, fast = rows_at_speeds(tone(), SPEEDS, spec)
    assert (same == level_rows(trimmed(pcm16(tone()), spec), spec)).all()
    # Whole frames: the trimmed ends may fall into the next one.
    assert len(slow) == pytest.approx(len(same) / 0.8, abs=2)
    assert len(fast) == pytest.approx(len(same) / 1.25, abs=2)
    loudest = [int(rows[len(rows) // 2].argmax()) for rows in (slow, same, fast)]
    at = [int(rows_at_speeds(tone(hz), (1.0,), spec)[0][20].argmax()) for hz in (800, 1000, 1250)]
    assert loudest == at
    assert len(set(at)) == 3


def test_rows_of_each_version_are_found_again() -> None:
    kept = recordings().part(np.array([False, True]))
    expected = rows_at_speeds(tone(900), SPEEDS, SPEC)
    for column, rows in zip(kept.columns((1.25, 0.8)), (expected[2], expected[0]), strict=True):
        first, length = kept.first[0, column], kept.length[0, column]
        assert (kept.levels[first : first + length] == rows).all()


def test_features_carry_their_recordings_through_a_file_and_a_part(tmp_path) -> None:
    kept = recordings()
    x = np.stack([fitted(rows_at_speeds(tone(hz), (1.0,), SPEC)[0], 20) for hz in (300, 900)])
    names = np.array(["a", "b"])
    features = FeatureSet(
        x.astype(np.float32), np.array([0, 1]), names, names, np.array(["train", "test"]), names, kept
    )
    features.save(tmp_path / "features.npz")
    loaded = FeatureSet.load(tmp_path / "features.npz")
    for name, array in vars(kept).items():
        assert (getattr(loaded.recordings, name) == array).all()
    test = loaded.part("test").recordings
    assert test is not None
    assert (test.first == kept.first[1:]).all()
    assert (test.length == kept.length[1:]).all()


def test_features_without_recordings_have_none(tmp_path) -> None:
    names = np.array(["a"])
    x = np.zeros((1, 20, 8), np.float32)
    FeatureSet(x, np.array([0]), names, names, np.array(["train"]), names).save(tmp_path / "features.npz")
    assert FeatureSet.load(tmp_path / "features.npz").recordings is None


def test_rows_of_float64_are_the_logarithms_that_the_integer_ones_approximate() -> None:
    # Nothing is subtracted from rows; levels then count from an offset, which logarithms do not have.
    exact = SPEC.model_copy(update={"arithmetic": "float64", "clip_mean": "keep"})
    approximate = exact.model_copy(update={"arithmetic": "integer"})
    loud = np.random.default_rng(1).normal(0, 0.2, 16000).astype(np.float32)
    rows = rows_at_speeds(loud, SPEEDS, exact)
    assert (rows[1] == log_mel_rows(trimmed(pcm16(loud), exact), exact).astype(np.float32)).all()
    kept = Recordings.joined([rows], SPEEDS, exact)
    other = Recordings.joined([rows_at_speeds(loud, SPEEDS, approximate)], SPEEDS, approximate)
    assert kept.levels.dtype == np.float32
    assert (kept.step, kept.offset) == (1.0, 0.0)
    assert (kept.length == other.length).all()
    assert other.step == LEVEL_STEP
    # The bound of test_integer_log_mel, without the half level of a clip's mean.
    error = np.abs(kept.levels - (other.levels * other.step + other.offset))
    assert error.max() < 0.5 * LEVEL_STEP + 1 / 415
