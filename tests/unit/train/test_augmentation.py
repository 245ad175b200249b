# SPDX-License-Identifier: Apache-2.0
from importlib.util import find_spec

import numpy as np
import pytest

if find_spec("tensorflow") is None:
    pytest.skip("needs the [train] extra", allow_module_level=True)

from mcu_ser.errors import ConfigError
from mcu_ser.features.integer_log_mel import LEVEL_STEP, level_offset
from mcu_ser.features.normalization import Normalization
from mcu_ser.features.recordings import Recordings
from mcu_ser.recipe import AugmentationRecipe, FeaturesRecipe
from mcu_ser.train.augmentation import Drawn, augment
from mcu_ser.train.fit import Clips
from mcu_ser.train.nsl_import import tf

pytestmark = pytest.mark.train

OFF = AugmentationRecipe(
    time_shift_frames=0,
    time_mask_frames=0,
    mel_mask_bands=0,
    masks=0,
)
X = np.random.default_rng(0).normal(5, 1, (64, 20, 10)).astype(np.float32)


def changed(seed=(1, 2), **settings) -> np.ndarray:
    return augment(tf.constant(X), OFF.model_copy(update=settings), tf.constant(seed)).numpy()


def test_all_bounds_zero_change_nothing() -> None:
    assert (changed() == X).all()
    assert (changed(masks=2) == X).all()


def test_the_seed_decides() -> None:
    everything = {
        "time_shift_frames": 5,
        "time_stretch_fraction": 0.1,
        "mel_warp_fraction": 0.1,
        "mel_shift_bands": 1.0,
        "tilt": 0.3,
        "mel_mask_bands": 2,
        "time_mask_frames": 4,
        "masks": 1,
    }
    assert (changed((1, 2), **everything) == changed((1, 2), **everything)).all()
    assert (changed((1, 2), **everything) != changed((1, 3), **everything)).any()


def test_time_shift_is_circular_bounded_and_different_per_clip() -> None:
    seen = set()
    for before, after in zip(X, changed(time_shift_frames=3), strict=True):
        shifts = [shift for shift in range(-10, 10) if (np.roll(before, -shift, axis=0) == after).all()]
        assert len(shifts) == 1
        seen.update(shifts)
    assert seen == {-3, -2, -1, 0, 1, 2, 3}


@pytest.mark.parametrize(
    ("settings", "axis", "bound"), [({"time_mask_frames": 4}, 1, 4), ({"mel_mask_bands": 3}, 2, 3)]
)
def test_masks_are_one_run_of_zeros_within_the_bound(settings, axis, bound) -> None:
    after = changed(masks=1, **settings)
    zero = (after == 0).all(axis=3 - axis)
    assert ((after == X) | np.expand_dims(zero, 3 - axis)).all()
    assert set(zero.sum(axis=1)) == set(range(bound + 1))
    for row in zero:
        places = np.flatnonzero(row)
        assert len(places) == 0 or places[-1] - places[0] + 1 == len(places)
    # The first and the last place are reached too.
    assert zero[:, 0].any()
    assert zero[:, -1].any()


def test_a_mask_may_cover_all_there_is() -> None:
    assert changed(masks=1, mel_mask_bands=100).shape == X.shape


def ramp(axis) -> np.ndarray:
    """Each value is its own position along an axis."""
    places = np.arange(X.shape[axis], dtype=np.float32)
    return np.broadcast_to(np.expand_dims(places, (0, 3 - axis)), X.shape)


def changed_ramp(axis, **settings) -> np.ndarray:
    return augment(tf.constant(ramp(axis)), OFF.model_copy(update=settings), tf.constant((1, 2))).numpy()


def test_stretching_changes_the_speed_within_the_bound_and_wraps() -> None:
    after = changed_ramp(1, time_stretch_fraction=0.2)[:, :, 0]
    steps = np.diff(after[:, :12], axis=1)
    speeds = steps[:, 0]
    assert np.allclose(steps, speeds[:, None], atol=1e-4)
    assert 0.8 <= speeds.min() < 0.85
    assert 1.15 < speeds.max() <= 1.2
    # At 1.2 times the speed the last of 20 frames is number 22.8, which is 2.8 of the start.
    fastest = int(speeds.argmax())
    last = 19 * speeds[fastest] - 20
    assert after[fastest, -1] == pytest.approx(last, abs=1e-3)


def test_warping_moves_bands_by_a_factor_and_a_shift_and_stays_inside() -> None:
    after = changed_ramp(2, mel_warp_fraction=0.1, mel_shift_bands=1.0)[:, 0]
    assert (np.diff(after, axis=1) >= 0).all()
    assert after.min() == 0
    assert after.max() == 9
    inner = after[:, 2:8]
    factors = np.diff(inner, axis=1)
    assert np.allclose(factors, factors[:, :1], atol=1e-4)
    assert 0.9 - 1e-4 <= factors.min() < 0.95
    assert 1.05 < factors.max() <= 1.1 + 1e-4
    # The axis is scaled about its edge, which is half a band before the middle of the first.
    shifts = inner[:, 0] + 0.5 - 2.5 * factors[:, 0]
    assert -1 - 1e-3 <= shifts.min() < -0.5
    assert 0.5 < shifts.max() <= 1 + 1e-3


def test_a_tilt_is_one_curve_per_clip_and_the_same_in_all_its_frames() -> None:
    curves = changed(tilt=0.5) - X
    assert np.allclose(curves, curves[:, :1], atol=1e-5)
    slopes = (curves[:, 0, -1] - curves[:, 0, 0]) / 2
    assert 0.35 < slopes.std() < 0.7
    assert abs(slopes.mean()) < 0.2


FRAMES, BANDS = 8, 4
SPEEDS = (0.5, 1.0, 2.0)
NORMALIZATION = Normalization(np.arange(BANDS, dtype=np.float32), np.full(BANDS, 2, np.float32))


def recordings(clip_mean="keep", lengths=((14, 9, 5), (8, 4, 1)), arithmetic="integer"):
    """Two recordings at three speeds: longer than a clip, of its length, shorter, of one row.

    Returns them as natural logarithms of power and as what clips are cut from.
    """
    draws = np.random.default_rng(1)
    levels = [
        [draws.integers(0, 2**15, (length, BANDS)).astype(np.int16) for length in one] for one in lengths
    ]
    spec = FeaturesRecipe(frames=FRAMES, mels=BANDS, clip_mean=clip_mean, arithmetic=arithmetic)
    logarithms = [[rows * LEVEL_STEP + level_offset(spec) for rows in one] for one in levels]
    exact = [[rows.astype(np.float32) for rows in one] for one in logarithms]
    return logarithms, Recordings.joined(levels if arithmetic == "integer" else exact, SPEEDS, spec)


def drawn(kept, rows, speeds=SPEEDS, seed=(1, 2), **settings) -> np.ndarray:
    clips = Clips(np.zeros((2, FRAMES, BANDS), np.float32), np.array([0, 1]), kept, NORMALIZATION)
    recipe = OFF.model_copy(update={"speeds": speeds, **settings})
    return Drawn(clips, recipe)(tf.constant(rows, tf.int32), tf.constant(seed)).numpy()


def cuts(versions, clip_mean):
    """Every clip that may be drawn from the versions of one recording, by version and first frame."""
    found = {}
    for index, version in enumerate(versions):
        n = len(version)
        for start in range(n if n < FRAMES else n - FRAMES + 1):
            clip = version[(start + np.arange(FRAMES)) % n]
            if clip_mean == "level":
                clip = clip - clip.mean()
            if clip_mean == "band":
                clip = clip - clip.mean(axis=0)
            found[index, start] = (clip - NORMALIZATION.mean) / NORMALIZATION.std
    return found


@pytest.mark.parametrize("arithmetic", ["integer", "float64"])
@pytest.mark.parametrize("clip_mean", ["keep", "level", "band"])
@pytest.mark.parametrize("recording", [0, 1])
def test_clips_are_cut_from_every_version_at_every_place_alike(arithmetic, clip_mean, recording) -> None:
    versions, kept = recordings(clip_mean, arithmetic=arithmetic)
    possible = cuts(versions[recording], clip_mean)
    seen = dict.fromkeys(possible, 0)
    # Tolerances here: float32 of normalised values, against cuts in float64.
    for clip in drawn(kept, [recording] * 1200):
        matches = [place for place, cut in possible.items() if np.allclose(cut, clip, atol=1e-4)]
        assert len(matches) == 1 or (clip_mean == "band" and len(versions[recording][matches[0][0]]) == 1)
        seen[matches[0]] += 1
    for index in range(len(SPEEDS)):
        counts = [count for (version, _), count in seen.items() if version == index]
        # 1200 draws: a third each, 16 the standard deviation; places of a version share it evenly.
        assert 320 < sum(counts) < 480
        assert min(counts) > 0.5 * sum(counts) / len(counts)


def test_only_the_speeds_of_the_recipe_are_drawn() -> None:
    versions, kept = recordings()
    possible = [cut for (version, _), cut in cuts(versions[0], "keep").items() if version == 1]
    for clip in drawn(kept, [0] * 50, speeds=(1.0,)):
        assert any(np.allclose(cut, clip, atol=1e-4) for cut in possible)


def test_the_level_that_a_tilt_adds_is_subtracted_with_the_mean_of_the_clip() -> None:
    _, kept = recordings("level")
    clips = drawn(kept, [0] * 20, tilt=0.5, mel_warp_fraction=0.2)
    levels = clips * NORMALIZATION.std + NORMALIZATION.mean
    assert np.allclose(levels.mean(axis=(1, 2)), 0, atol=1e-3)


def test_masks_of_cut_clips_are_zero_after_the_normalisation() -> None:
    _, kept = recordings("level")
    clips = drawn(kept, [0] * 50, masks=1, mel_mask_bands=2)
    assert (clips == 0).all(axis=1).any()


def test_speeds_need_recordings() -> None:
    with pytest.raises(ConfigError, match="hold no recordings at any speed"):
        drawn(None, [0])
    with pytest.raises(ConfigError, match=r"recordings at speed 1.5: are not in the features"):
        drawn(recordings()[1], [0], speeds=(1.5,))
