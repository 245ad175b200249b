# SPDX-License-Identifier: Apache-2.0
from importlib.util import find_spec

import numpy as np
import pytest

if find_spec("tensorflow") is None:
    pytest.skip("needs the [train] extra", allow_module_level=True)

from mcu_ser.recipe import AugmentationRecipe
from mcu_ser.train.augmentation import augment
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
