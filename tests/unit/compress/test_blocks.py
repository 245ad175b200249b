# SPDX-License-Identifier: Apache-2.0
"""Pruning by blocks: which weights stay is counted by hand."""

from importlib.util import find_spec

import numpy as np
import pytest

if find_spec("tensorflow") is None:
    pytest.skip("needs the [train] extra", allow_module_level=True)

from mcu_ser.compress.prune import prune
from mcu_ser.recipe import AugmentationRecipe, FitRecipe, PruningRecipe
from mcu_ser.train.fit import Clips
from mcu_ser.train.nsl_import import keras

pytestmark = pytest.mark.train

FRAMES, MELS = 8, 4
FIT = FitRecipe(
    epochs=1,
    batch_size=4,
    # So little that no weight overtakes another.
    learning_rate=1e-9,
    weight_decay=0,
    augmentation=AugmentationRecipe(time_shift_frames=0, masks=0),
)


@pytest.fixture
def model():
    """A convolution of one channel, one of eight, a depthwise one and a dense layer."""
    keras.utils.set_random_seed(5)
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((FRAMES, MELS, 1)),
            layers.Conv2D(8, 3, name="first"),
            layers.Conv2D(6, (2, 1), name="second"),
            layers.DepthwiseConv2D((2, 1), name="depthwise"),
            layers.Flatten(),
            layers.Dense(3, activation="softmax", name="dense"),
        ]
    )


def pruned(model, sparsity):
    draws = np.random.default_rng(1)
    clips = Clips(draws.normal(size=(8, FRAMES, MELS)).astype(np.float32), draws.integers(0, 3, 8))
    recipe = PruningRecipe(sparsity_fraction=sparsity, structure="block4", fit=FIT)
    result, _ = prune(model, clips, recipe, seed=1)
    return {layer.name: layer.get_weights()[0] for layer in result.layers if layer.get_weights()}


def test_the_weakest_fours_of_input_channels_go(model) -> None:
    whole = {layer.name: layer.get_weights()[0] for layer in model.layers if layer.get_weights()}
    kept = pruned(model, 0.75)
    for name in ("second", "dense"):
        *window, inputs, outputs = whole[name].shape
        fours = np.abs(whole[name]).reshape(*window, inputs // 4, 4, outputs).mean(axis=-2)
        count = round(0.25 * fours.size)
        stays = fours >= np.sort(fours.ravel())[-count]
        assert stays.sum() == count
        expected = np.repeat(stays, 4, axis=-2)
        np.testing.assert_array_equal(kept[name] != 0, expected)
        # One step of the optimiser may round a weight to its float32 neighbour.
        np.testing.assert_array_max_ulp(kept[name][expected], whole[name][expected], maxulp=1)


def test_kernels_without_fours_and_depthwise_ones_stay_whole(model) -> None:
    kept = pruned(model, 0.75)
    assert kept["first"].all()
    assert kept["depthwise"].all()


def test_sparsity_zero_removes_nothing(model) -> None:
    assert all(weights.all() for weights in pruned(model, 0.0).values())
