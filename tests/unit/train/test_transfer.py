# SPDX-License-Identifier: Apache-2.0
from importlib.util import find_spec

import numpy as np
import pytest

if find_spec("tensorflow") is None:
    pytest.skip("needs the [train] extra", allow_module_level=True)

from mcu_ser.compress.prune import prune
from mcu_ser.compress.qat import quantization_aware
from mcu_ser.errors import ConfigError
from mcu_ser.recipe import AugmentationRecipe, FitRecipe, PruningRecipe
from mcu_ser.train.fit import Clips, Descent, make_reproducible
from mcu_ser.train.graph_regularization import GraphRegularization
from mcu_ser.train.neighbours import Neighbours
from mcu_ser.train.nsl_import import keras
from mcu_ser.train.training_step import TrainingStep, learning_rates
from mcu_ser.train.transfer import freeze_trunk, head_of, take_over, trunk_weights

pytestmark = pytest.mark.train

QUIET = AugmentationRecipe(time_shift_frames=2, masks=0)
FIT = FitRecipe(epochs=2, batch_size=8, learning_rate=0.05, weight_decay=0.1, augmentation=QUIET)


def clips() -> Clips:
    draws = np.random.default_rng(0)
    return Clips(draws.normal(3, 2, (24, 8, 6)).astype(np.float32), draws.integers(0, 3, 24))


def model(classes=3, seed=1, channels=4):
    make_reproducible(seed)
    layers = keras.layers
    inputs = keras.Input((8, 6, 1), name="log_mel")
    x = layers.Conv2D(channels, (1, 6), name="bands")(inputs)
    x = layers.BatchNormalization(momentum=0.7, name="norm")(x)
    x = layers.ReLU(name="relu")(x)
    x = layers.GlobalAveragePooling2D(name="embedding")(x)
    x = layers.Dropout(0.5, name="dropout")(x)
    x = layers.Dense(classes, name="logits")(x)
    return keras.Model(inputs, layers.Softmax(name="emotion")(x), name="toy")


def content(weights):
    return {name: [array.tobytes() for array in arrays] for name, arrays in weights.items()}


def own_weights(wrapped):
    """Weights of the layers inside wrappers, without the ranges and counters that wrappers add."""
    kinds = ("kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance")
    weights = [one for layer in wrapped.layers for one in layer.weights]
    return {one.name: one.numpy() for one in weights if one.name.split("/")[-1].split(":")[0] in kinds}


def test_the_trunk_is_taken_over_to_the_last_bit_and_the_head_is_not() -> None:
    pretrained, target = model(classes=5, seed=1), model(classes=3, seed=2)
    head = [array.copy() for array in head_of(target).get_weights()]
    take_over(target, trunk_weights(pretrained))
    assert content(trunk_weights(target)) == content(trunk_weights(pretrained))
    assert sorted(trunk_weights(target)) == ["bands", "norm"]
    assert all((a == b).all() for a, b in zip(head, head_of(target).get_weights(), strict=True))


def test_another_architecture_is_refused() -> None:
    with pytest.raises(
        ConfigError, match="model toy: is not of the architecture that was pretrained; try: mcu-ser train"
    ):
        take_over(model(channels=4), trunk_weights(model(channels=5)))


def test_a_model_without_a_dense_layer_has_no_head() -> None:
    inputs = keras.Input((4,), name="x")
    headless = keras.Model(inputs, keras.layers.Softmax(name="softmax")(inputs), name="headless")
    with pytest.raises(ConfigError, match="model headless: has no dense layer"):
        head_of(headless)


def test_a_frozen_trunk_is_what_it_was_after_training_and_the_head_is_not() -> None:
    frozen = model()
    freeze_trunk(frozen)
    before, head = content(trunk_weights(frozen)), head_of(frozen).get_weights()[0]
    Descent(frozen, clips(), FIT, "toy", seed=1).run()
    assert content(trunk_weights(frozen)) == before  # moving averages too
    assert (head_of(frozen).get_weights()[0] != head).any()
    # The same training without freezing moves all of it.
    free = model()
    Descent(free, clips(), FIT, "toy", seed=1).run()
    after = content(trunk_weights(free))
    assert all(
        after[name][index] != before[name][index] for name in before for index in range(len(before[name]))
    )


def test_nothing_is_dropped_in_a_frozen_trunk() -> None:
    frozen = model()
    freeze_trunk(frozen)
    x = clips().x[..., None]
    assert (frozen(x, training=True).numpy() == frozen(x, training=False).numpy()).all()
    free = model()
    assert (free(x, training=True).numpy() != free(x, training=False).numpy()).any()


def test_pruning_of_the_head_alone_leaves_a_frozen_trunk() -> None:
    frozen = model()
    freeze_trunk(frozen)
    before = content(trunk_weights(frozen))
    recipe = PruningRecipe(sparsity_fraction=0.5, fit=FIT)
    pruned, _ = prune(frozen, clips(), recipe, seed=1, head_only=True)
    assert content(trunk_weights(pruned)) == before
    assert (head_of(pruned).get_weights()[0] == 0).mean() == 0.5


def test_quantisation_aware_training_leaves_a_frozen_trunk() -> None:
    aware = quantization_aware(model())
    freeze_trunk(aware)
    before = own_weights(aware)
    assert len(before) == 8
    Descent(aware, clips(), FIT, "toy", seed=1).run()
    changed = {name for name, array in own_weights(aware).items() if (array != before[name]).any()}
    assert {name.split("/")[0] for name in changed} == {"logits"}


@pytest.mark.parametrize("graph", [False, True])
def test_all_approaches_see_the_clips_in_one_order(graph, monkeypatch) -> None:
    def rows_of(**settings):
        seen = []
        monkeypatch.setattr(
            TrainingStep,
            "__call__",
            lambda self, rows, seed: seen.append((rows.tolist(), seed)) or (0.0, 0.0),
        )
        Descent(model(), clips(), FIT, "toy", seed=4, **settings).run()
        return seen

    pairs = Neighbours(np.arange(24, dtype=np.int32)[::-1, None].copy(), np.ones((24, 1), np.float32))
    settings = {"graph": GraphRegularization(pairs, 0.1, "embedding")} if graph else {}
    assert rows_of(**settings) == rows_of()
    assert len(rows_of()) == 6


def test_the_papers_schedule_can_be_written_exactly() -> None:
    paper = FitRecipe(
        epochs=50, batch_size=16, learning_rate=1e-3, schedule="steps", warmup_fraction=0.0, weight_decay=0.0
    )
    rates = learning_rates(paper, 50 * 27)
    expected = [1e-3 * 0.9 ** (epoch // 5) for epoch in range(50)]
    assert np.allclose(rates.reshape(50, 27), np.array(expected)[:, None], rtol=1e-6)


@pytest.mark.parametrize("warmup", [0.0, 0.1])
def test_the_cosine_is_that_of_keras(warmup) -> None:
    recipe = FitRecipe(epochs=4, learning_rate=2e-3, warmup_fraction=warmup)
    steps = 40
    warm = round(warmup * steps)
    keras_one = keras.optimizers.schedules.CosineDecay(
        0.0 if warm else 2e-3, steps - warm, warmup_target=2e-3 if warm else None, warmup_steps=warm
    )
    expected = [float(keras_one(step)) for step in range(steps)]
    assert np.allclose(learning_rates(recipe, steps), expected, atol=1e-9)
