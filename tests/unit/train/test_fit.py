# SPDX-License-Identifier: Apache-2.0
from importlib.util import find_spec

import numpy as np
import pytest

if find_spec("tensorflow") is None:
    pytest.skip("needs the [train] extra", allow_module_level=True)

from mcu_ser.errors import ConfigError
from mcu_ser.recipe import AugmentationRecipe, FitRecipe
from mcu_ser.train.embed import embed
from mcu_ser.train.fit import Clips, Descent, make_reproducible, predict, steps_per_epoch
from mcu_ser.train.graph_regularization import GraphRegularization
from mcu_ser.train.keras_file import load_model, save_model
from mcu_ser.train.models import ds_cnn, source_cnn
from mcu_ser.train.neighbours import Neighbours
from mcu_ser.train.nsl_import import keras
from mcu_ser.train.training_step import class_weights

pytestmark = pytest.mark.train

QUIET = AugmentationRecipe(time_shift_frames=2, masks=0)
RECIPE = FitRecipe(epochs=6, batch_size=16, learning_rate=0.03, augmentation=QUIET)


def clips(seed=0, count=48) -> Clips:
    """Three classes that a band tells apart, in noise."""
    draws = np.random.default_rng(seed)
    y = draws.integers(0, 3, count)
    x = draws.normal(0, 0.5, (count, 8, 6)).astype(np.float32)
    x[np.arange(count), :, 2 * y] += 1.0
    return Clips(x, y)


def model(seed=1):
    """As small as a model with an embedding can be."""
    make_reproducible(seed)
    layers = keras.layers
    inputs = keras.Input((8, 6, 1), name="log_mel")
    x = layers.Conv2D(4, (1, 6), name="bands")(inputs)
    x = layers.BatchNormalization(momentum=0.7, name="norm")(x)
    x = layers.ReLU(name="relu")(x)
    x = layers.GlobalAveragePooling2D(name="embedding")(x)
    x = layers.Dropout(0.1, name="dropout")(x)
    return keras.Model(inputs, layers.Dense(3, activation="softmax", name="emotion")(x), name="toy")


def pairs(count=48) -> Neighbours:
    """Clip i and clip i + 1 are neighbours."""
    rows = ((np.arange(count, dtype=np.int32) + 1) % count)[:, None]
    return Neighbours(rows, np.ones((count, 1), np.float32))


def test_weights_that_are_no_numbers_are_not_kept() -> None:
    broken = clips()
    broken.x[3, 2, 1] = np.nan
    with pytest.raises(
        ConfigError, match=r"recipe, toy: diverged in epoch 1 at a learning rate of 0\.03; try: a lo"
    ):
        Descent(model(), broken, RECIPE, "toy", seed=1).run()


def test_learns_what_can_be_learnt() -> None:
    one = model()
    fitted = Descent(one, clips(), RECIPE, "toy", seed=1).run()
    assert fitted.epochs[-1].loss < 0.7 * fitted.epochs[0].loss
    assert (predict(one, clips(9).x).argmax(axis=1) == clips(9).y).mean() > 0.8


def test_same_recipe_and_seed_give_identical_weights() -> None:
    def trained(seed):
        one = model(seed)
        graph = GraphRegularization(pairs(), 0.5, "embedding")
        Descent(one, clips(), RECIPE, "toy", seed=seed, validation=clips(9), graph=graph).run()
        return b"".join(weights.tobytes() for weights in one.get_weights())

    assert trained(1) == trained(1)
    assert trained(1) != trained(2)


def test_the_epoch_of_the_best_validation_uar_stays() -> None:
    one = model()
    fitted = Descent(one, clips(), RECIPE, "toy", seed=1, validation=clips(9)).run()
    ranks = [(epoch.validation.uar, -epoch.validation.loss) for epoch in fitted.epochs]
    assert fitted.chosen_epoch == 1 + ranks.index(max(ranks))
    probabilities = predict(one, clips(9).x)
    loss = -np.log(probabilities[np.arange(48), clips(9).y]).mean()
    assert -loss == pytest.approx(max(ranks)[1], abs=1e-5)


def test_epochs_before_the_first_choice_are_not_chosen() -> None:
    fitted = Descent(model(), clips(), RECIPE, "toy", seed=1, validation=clips(9), first_choice=6).run()
    assert fitted.chosen_epoch == 6


def test_without_validation_the_last_epoch_stays() -> None:
    fitted = Descent(model(), clips(), RECIPE, "toy", seed=1).run()
    assert fitted.chosen_epoch == 6
    assert all(epoch.validation is None for epoch in fitted.epochs)
    assert fitted.as_document()["validation_uar"] == []


def test_averaging_ends_with_the_moving_average_of_every_weight() -> None:
    def weights_after(epochs, averaging):
        # One step an epoch at one rate: a shorter run is the start of a longer one.
        changes = {"epochs": epochs, "batch_size": 48, "schedule": "steps", "step_factor": 1.0}
        recipe = RECIPE.model_copy(update=changes | {"warmup_fraction": 0.0, "weight_averaging": averaging})
        one = model()
        Descent(one, clips(), recipe, "toy", seed=1).run()
        return one.get_weights()

    expected = model().get_weights()
    for step in (1, 2, 3):
        decay = min(0.15, step / (step + 10))
        last = weights_after(step, 0.0)
        expected = [decay * old + (1 - decay) * new for old, new in zip(expected, last, strict=True)]
    for one, other in zip(weights_after(3, 0.15), expected, strict=True):
        # Some roundings of float32, in which the averages are kept.
        np.testing.assert_allclose(one, other, rtol=3e-7, atol=3e-7)
    assert any((one != other).any() for one, other in zip(expected, weights_after(3, 0.0), strict=True))


def test_averages_are_what_validation_chooses_from() -> None:
    recipe = RECIPE.model_copy(update={"weight_averaging": 0.9})
    one = model()
    fitted = Descent(one, clips(), recipe, "toy", seed=1, validation=clips(9)).run()
    chosen = fitted.epochs[fitted.chosen_epoch - 1].validation
    probabilities = predict(one, clips(9).x)
    loss = -np.log(probabilities[np.arange(48), clips(9).y]).mean()
    assert loss == pytest.approx(chosen.loss, abs=1e-5)  # float32 in batches


def test_progress_and_hook_are_called_once_per_epoch() -> None:
    from contextlib import contextmanager

    calls = []

    @contextmanager
    def track(what, total):
        calls.append((what, total))
        yield calls.append

    recipe = RECIPE.model_copy(update={"epochs": 2})
    Descent(model(), clips(), recipe, "toy", seed=1, after_epoch=lambda: calls.append("hook")).run(track)
    assert calls == [("toy", 2), "hook", 1, "hook", 1]


def test_the_graph_draws_neighbours_together() -> None:
    def distance(multiplier):
        one = model()
        graph = GraphRegularization(pairs(), multiplier, "embedding")
        recipe = RECIPE.model_copy(update={"epochs": 6})
        return Descent(one, clips(), recipe, "toy", seed=1, graph=graph).run().epochs[-1].graph_loss

    assert distance(10.0) < 0.5 * distance(1e-6)


def test_absent_neighbours_do_not_touch_the_training() -> None:
    """Every third clip has a neighbour; room for more of them is no edge, no clip in the batch, no draw."""

    def trained(room):
        rows = np.tile(np.arange(48, dtype=np.int32)[:, None], (1, room))
        weights = np.zeros((48, room), np.float32)
        rows[::3, 0], weights[::3, 0] = (rows[::3, 0] + 1) % 48, 1.0
        one = model()
        graph = GraphRegularization(Neighbours(rows, weights), 0.5, "embedding")
        Descent(one, clips(), RECIPE, "toy", seed=1, graph=graph).run()
        return b"".join(array.tobytes() for array in one.get_weights())

    assert trained(1) == trained(4)


def test_an_unknown_layer_is_a_recipe_error() -> None:
    graph = GraphRegularization(pairs(), 1.0, "no_such_layer")
    with pytest.raises(ConfigError, match="toy has no layer no_such_layer"):
        Descent(model(), clips(), RECIPE, "toy", seed=1, graph=graph).run()


def test_a_set_smaller_than_a_batch_is_one_batch() -> None:
    small = clips(count=5)
    assert steps_per_epoch(small, RECIPE) == 1
    assert steps_per_epoch(clips(count=47), RECIPE) == 2
    assert Descent(model(), small, RECIPE, "toy", seed=1).run().chosen_epoch == 6


def test_class_weights_balance_and_average_to_one() -> None:
    y = np.array([0] * 6 + [1] * 2 + [3] * 4)
    weights = class_weights(y, 4, balanced=True)
    assert weights[y].mean() == pytest.approx(1.0)
    totals = [weights[one] * (y == one).sum() for one in (0, 1, 3)]
    assert totals == pytest.approx([4.0, 4.0, 4.0])
    assert class_weights(y, 4, balanced=False).tolist() == [1, 1, 1, 1]


def test_prediction_does_not_depend_on_the_batch() -> None:
    one = model()
    x = clips(count=200).x
    assert np.allclose(predict(one, x), np.concatenate([predict(one, x[:7]), predict(one, x[7:])]), atol=1e-6)
    assert np.allclose(predict(one, x).sum(axis=1), 1, atol=1e-5)


def test_a_saved_model_is_the_same_model_and_the_same_bytes(tmp_path) -> None:
    one = model()
    save_model(one, tmp_path / "one.keras")
    save_model(one, tmp_path / "two.keras")
    assert (tmp_path / "one.keras").read_bytes() == (tmp_path / "two.keras").read_bytes()
    loaded = load_model(tmp_path / "one.keras")
    assert (predict(loaded, clips().x) == predict(one, clips().x)).all()


@pytest.mark.parametrize("content", [b"", b"junk", b"PK\x03\x04junk"])
def test_a_damaged_model_is_named(content, tmp_path) -> None:
    (tmp_path / "model.keras").write_bytes(content)
    with pytest.raises(ConfigError, match=r"model\.keras: is not a Keras model"):
        load_model(tmp_path / "model.keras")


def test_the_light_model_suits_a_microcontroller() -> None:
    light = ds_cnn.build((96, 32), 6, width=16, blocks=5, dropout=0.2)
    assert light.count_params() < 64 << 10
    assert light.output_shape == (None, 6)
    # Names that Keras makes up count on from model to model, and would end up in the .tflite.
    again = ds_cnn.build((96, 32), 6, width=16, blocks=5, dropout=0.2)
    assert [layer.name for layer in again.layers] == [layer.name for layer in light.layers]
    for layer in light.layers:
        if isinstance(layer, keras.layers.Conv2D):
            assert layer.output_shape[-1] % 8 == 0
    assert isinstance(light.get_layer("block4_add"), keras.layers.Add)


def test_the_source_model_embeds_the_maps_it_ends_in() -> None:
    source = source_cnn.build((32, 16), 8, width=8)
    assert source.output_shape == (None, 8)
    assert embed(source, np.zeros((2, 32, 16), np.float32)).shape == (2, 32)


def test_embeddings_are_centred_unless_the_recipe_says_otherwise() -> None:
    source = source_cnn.build((32, 16), 8, width=8)
    x = np.random.default_rng(1).normal(size=(6, 32, 16)).astype(np.float32)
    centred, kept = embed(source, x), embed(source, x, centred=False)
    assert np.abs(centred.mean(axis=0)).max() < 1e-6 < kept.mean()
    assert (kept >= 0).all()
    assert (centred == kept - kept.mean(axis=0)).all()
