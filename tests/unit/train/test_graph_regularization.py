# SPDX-License-Identifier: Apache-2.0
"""The graph loss of a training against numbers worked out by hand, and against training without it."""

import dataclasses
from importlib.util import find_spec

import numpy as np
import pytest

if find_spec("tensorflow") is None:
    pytest.skip("needs the [train] extra", allow_module_level=True)

from mcu_ser.recipe import AugmentationRecipe, DsCnnRecipe, FitRecipe, GraphRecipe
from mcu_ser.train.fit import Clips, Descent, make_reproducible
from mcu_ser.train.graph_regularization import GraphRegularization
from mcu_ser.train.models import build_small
from mcu_ser.train.neighbours import Neighbours, load_neighbours
from mcu_ser.train.nsl_import import keras
from mcu_ser.train.training_step import _deciding

pytestmark = pytest.mark.train

STILL = AugmentationRecipe(time_shift_frames=0, masks=0)
ONE_STEP = FitRecipe(
    epochs=1, batch_size=3, learning_rate=1e-2, warmup_fraction=0, weight_decay=0, augmentation=STILL
)

# Three utterances whose embeddings are themselves. Cosines: a-b 0, a-c 0.6, b-c 0.8.
IDS = ["a", "b", "c"]
VECTORS = Clips(np.array([[[1, 0]], [[0, 2]], [[3, 4]]], np.float32), np.array([0, 1, 1]))
GRAPH = "a\tb\t0.5\nb\tc\t0.9\n"
# Neighbours, of two possible ones: a has b and none, b has c and a, c has b and none.
#   a: 0.5 * (1 - 0)                     = 0.5
#   b: 0.9 * (1 - 0.8) + 0.5 * (1 - 0)   = 0.18 + 0.5
#   c: 0.9 * (1 - 0.8)                   = 0.18
# The mean over the four neighbours that exist: 1.36 / 4.
BY_HAND = 0.34


def linear_model(classes=2):
    inputs = keras.Input((1, 2, 1))
    x = keras.layers.Flatten()(inputs)
    x = keras.layers.Dense(2, use_bias=False, kernel_initializer="identity", name="embedding")(x)
    return keras.Model(inputs, keras.layers.Dense(classes, activation="softmax")(x))


def three_nodes(path):
    path.write_text(GRAPH)
    return load_neighbours(
        path, IDS, GraphRecipe(neighbours=2), y=VECTORS.y, speakers=np.array(["s", "s", "t"])
    )


def trained(neighbours, multiplier, schedule="constant", **settings):
    make_reproducible(1)
    model = linear_model()
    graph = GraphRegularization(neighbours, multiplier, "embedding", schedule)
    recipe = ONE_STEP.model_copy(update=settings)
    fitted = Descent(model, VECTORS, recipe, what="test", seed=1, graph=graph).run()
    return model.get_weights(), fitted


def same(one, other):
    return all((a == b).all() for a, b in zip(one, other, strict=True))


def test_graph_loss_of_three_nodes_is_the_one_worked_out_by_hand(tmp_path) -> None:
    _, fitted = trained(three_nodes(tmp_path / "graph.tsv"), 0.1)
    assert fitted.epochs[0].graph_loss == pytest.approx(BY_HAND, abs=1e-6)


def test_an_absent_neighbour_weighs_nothing(tmp_path) -> None:
    few = three_nodes(tmp_path / "graph.tsv")
    nobody = ((0, 0), (0, 3))
    more = Neighbours(
        np.pad(few.rows, nobody, constant_values=1), np.pad(few.weights, nobody, constant_values=0)
    )
    _, fitted = trained(more, 0.1)
    assert fitted.epochs[0].graph_loss == pytest.approx(BY_HAND, abs=1e-6)


def test_clips_and_neighbours_are_one_forward_pass(tmp_path) -> None:
    passes = []

    class Counted(keras.layers.Layer):
        def call(self, x):
            passes.append(x.shape[0])
            return x

    inputs = keras.Input((1, 2, 1))
    x = Counted(name="embedding")(keras.layers.Flatten()(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(x))
    passes.clear()
    graph = GraphRegularization(three_nodes(tmp_path / "graph.tsv"), 0.1, "embedding")
    fitted = Descent(model, VECTORS, ONE_STEP, what="test", seed=1, graph=graph).run()
    # float32 against numbers worked out by hand, as in the tests above.
    assert fitted.epochs[0].graph_loss == pytest.approx(BY_HAND, abs=1e-6)
    # The compiled step holds the model once; how many neighbours a batch has is known only when it runs.
    assert passes == [None]


@pytest.mark.parametrize(
    "change", [{"multiplier": 0.2}, {"layer": "logits"}, {"schedule": "linear_up"}, {"neighbours": "fewer"}]
)
def test_workers_have_to_agree_on_the_graph(tmp_path, change) -> None:
    all_three = three_nodes(tmp_path / "graph.tsv")
    graph = GraphRegularization(all_three, 0.1, "embedding")
    if "neighbours" in change:
        change = {"neighbours": Neighbours(all_three.rows[:, :1], all_three.weights[:, :1])}
    model, others = linear_model(), dataclasses.replace(graph, **change)
    assert _deciding(model, VECTORS, ONE_STEP, graph) == _deciding(model, VECTORS, ONE_STEP, graph)
    assert _deciding(model, VECTORS, ONE_STEP, others) != _deciding(model, VECTORS, ONE_STEP, graph)


def test_the_multiplier_weighs_the_graph_loss(tmp_path) -> None:
    neighbours = three_nodes(tmp_path / "graph.tsv")
    halved = Neighbours(neighbours.rows, neighbours.weights / 2)
    weights, _ = trained(neighbours, 0.1, epochs=3)
    # Powers of two move no bit: half the weights and twice the multiplier are the same loss.
    assert same(weights, trained(halved, 0.2, epochs=3)[0])
    assert not same(weights, trained(halved, 0.1, epochs=3)[0])


def test_a_schedule_weighs_every_step(tmp_path) -> None:
    neighbours = three_nodes(tmp_path / "graph.tsv")
    constant, _ = trained(neighbours, 0.5)
    # So little that no bit of a sum moves; a graph that is off would be another computation.
    nothing, _ = trained(neighbours, 1e-30)
    assert not same(constant, nothing)
    assert same(trained(neighbours, 0.5, "linear_up")[0], nothing)  # its only step is the first
    assert same(trained(neighbours, 0.5, "cosine_down")[0], constant)
    assert not same(
        trained(neighbours, 0.5, "linear_up", epochs=2)[0], trained(neighbours, 1e-30, epochs=2)[0]
    )


def test_multipliers_over_a_training() -> None:
    one = Neighbours(np.array([[1], [0]], np.int32), np.ones((2, 1), np.float32))
    of = {
        schedule: GraphRegularization(one, 0.5, "embedding", schedule).multipliers(5)
        for schedule in ("constant", "linear_up", "cosine_down")
    }
    assert of["constant"].tolist() == [0.5] * 5
    assert of["linear_up"].tolist() == [0, 0.125, 0.25, 0.375, 0.5]
    assert np.allclose(
        of["cosine_down"], [0.5, 0.25 + 0.25 * np.sqrt(0.5), 0.25, 0.25 - 0.25 * np.sqrt(0.5), 0]
    )


# A graph that does nothing: no weight of the loss, or no edge to weigh.
IDLE = {
    "multiplier 0": (0.0, np.ones((12, 2), np.float32)),
    "multiplier 0, no edges": (0.0, np.zeros((12, 2), np.float32)),
    "no edges": (0.1, np.zeros((12, 2), np.float32)),
}


def small_model_trained(graph):
    """Weights of a model with batch normalisation, dropout and augmentation after some steps."""
    make_reproducible(3)
    random = np.random.default_rng(0)
    clips = Clips(random.normal(size=(12, 16, 8)).astype(np.float32), np.arange(12) % 3)
    model = build_small((16, 8), 3, DsCnnRecipe(width=8, blocks=1))
    recipe = FitRecipe(epochs=1, batch_size=4, learning_rate=1e-2)
    Descent(model, clips, recipe, what="test", seed=5, graph=graph).run()
    return model.get_weights()


@pytest.fixture(scope="module")
def plain_weights():
    return small_model_trained(None)


@pytest.mark.parametrize("multiplier, weights", IDLE.values(), ids=IDLE)
def test_a_graph_that_does_nothing_trains_plainly_bit_for_bit(multiplier, weights, plain_weights) -> None:
    rows = np.random.default_rng(1).integers(0, 12, (12, 2)).astype(np.int32)
    graph = GraphRegularization(Neighbours(rows, weights), multiplier, "embedding")
    assert same(small_model_trained(graph), plain_weights)


@pytest.mark.parametrize("layer", ["fc1", "logits"])
def test_a_graph_acts_on_any_named_layer(layer, plain_weights) -> None:
    rows = np.random.default_rng(1).integers(0, 12, (12, 2)).astype(np.int32)
    graph = GraphRegularization(Neighbours(rows, np.ones((12, 2), np.float32)), 0.1, layer)
    weights = small_model_trained(graph)
    assert not same(weights, plain_weights)
    assert all(np.isfinite(array).all() for array in weights)
