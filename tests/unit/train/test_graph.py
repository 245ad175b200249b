# SPDX-License-Identifier: Apache-2.0
from importlib.util import find_spec

import numpy as np
import pytest

if find_spec("tensorflow") is None:
    pytest.skip("needs the [train] extra", allow_module_level=True)

from mcu_ser.errors import ConfigError
from mcu_ser.recipe import GraphRecipe
from mcu_ser.train.embed import embed
from mcu_ser.train.graph_builder import build_graph
from mcu_ser.train.graph_regularization import graph_loss, with_embedding
from mcu_ser.train.models import ds_cnn, source_cnn
from mcu_ser.train.neighbours import load_neighbours
from mcu_ser.train.nsl_import import read_tsv_graph, tf

pytestmark = pytest.mark.train

# Cosines: a-b 0.8, a-c 0.6, b-c 0.96, d opposite to a, e alone.
EMBEDDINGS = np.array(
    [[1, 0, 0], [0.8, 0.6, 0], [0.6, 0.8, 0], [-1, 0, 0], [0, 0, 1]], np.float32
) * np.array([[1], [2], [3], [4], [5]], np.float32)
IDS = ["a", "b", "c", "d", "e"]


def built(tmp_path, **settings):
    recipe = GraphRecipe(**settings)
    build_graph(IDS, EMBEDDINGS, recipe, 7, tmp_path / "graph.tsv")
    return recipe, tmp_path / "graph.tsv"


def loaded(path, ids, recipe):
    return load_neighbours(
        path, ids, recipe, y=np.zeros(len(ids), np.int64), speakers=np.array(["s"] * len(ids))
    )


def test_edges_are_the_similar_pairs_in_both_directions(tmp_path) -> None:
    _, path = built(tmp_path, similarity_threshold=0.7)
    graph = read_tsv_graph(path)
    assert {source: sorted(targets) for source, targets in graph.items()} == {
        "a": ["b"],
        "b": ["a", "c"],
        "c": ["b"],
    }
    assert graph["b"]["a"] == pytest.approx(0.8, abs=1e-5)
    assert graph["b"]["c"] == pytest.approx(0.96, abs=1e-5)


def test_same_seed_same_bytes_also_with_hashing(tmp_path) -> None:
    _, path = built(tmp_path, similarity_threshold=0.5, lsh_splits=1, lsh_rounds=3)
    first = path.read_bytes()
    assert first
    built(tmp_path, similarity_threshold=0.5, lsh_splits=1, lsh_rounds=3)
    assert path.read_bytes() == first


def test_neighbours_are_the_nearest_first(tmp_path) -> None:
    recipe, path = built(tmp_path, similarity_threshold=0.5, neighbours=1)
    neighbours = loaded(path, IDS, recipe)
    assert neighbours.rows[:, 0].tolist() == [1, 2, 1, 3, 4]
    assert np.allclose(neighbours.weights[:, 0], [0.8, 0.96, 0.96, 0, 0], atol=1e-5)
    assert neighbours.edges == 3


def test_absent_neighbours_are_the_utterance_itself_at_weight_zero(tmp_path) -> None:
    recipe, path = built(tmp_path, similarity_threshold=0.7, neighbours=3)
    neighbours = loaded(path, IDS, recipe)
    assert neighbours.rows.tolist() == [[1, 0, 0], [2, 0, 1], [1, 2, 2], [3, 3, 3], [4, 4, 4]]
    assert (neighbours.weights > 0).tolist() == [
        [True, False, False],
        [True, True, False],
        [True, False, False],
        [False] * 3,
        [False] * 3,
    ]


def test_a_one_way_edge_counts_both_ways(tmp_path) -> None:
    (tmp_path / "graph.tsv").write_text("a\tb\t0.5\n")
    neighbours = loaded(tmp_path / "graph.tsv", ["a", "b"], GraphRecipe(neighbours=1))
    assert neighbours.rows.tolist() == [[1], [0]]


def test_utterances_that_do_not_train_are_no_neighbours(tmp_path) -> None:
    recipe, path = built(tmp_path, similarity_threshold=0.5, neighbours=1)
    neighbours = loaded(path, ["c", "a"], recipe)
    assert neighbours.rows.tolist() == [[1], [0]]
    assert np.allclose(neighbours.weights, 0.6, atol=1e-5)


def test_graph_loss_is_the_weighted_mean_cosine_distance() -> None:
    embeddings = tf.constant([[1.0, 0.0], [1.0, 0.0], [0.0, 3.0], [0.0, 3.0]])
    neighbours = tf.constant([[0.0, 2.0], [5.0, 0.0], [0.0, -1.0], [4.0, 4.0]])
    # Distances 1, 0, 2, and one whose weight of 0 takes it out of the mean.
    loss = graph_loss(embeddings, neighbours, tf.constant([0.5, 1.0, 0.25, 0.0]))
    assert float(loss) == pytest.approx((0.5 * 1 + 1.0 * 0 + 0.25 * 2) / 3)


def test_graph_loss_without_edges_is_zero() -> None:
    assert float(graph_loss(tf.ones((4, 3)), -tf.ones((4, 3)), tf.zeros(4))) == 0.0
    assert float(graph_loss(tf.ones((0, 3)), -tf.ones((0, 3)), tf.zeros(0))) == 0.0


def test_graph_loss_pulls_neighbours_together() -> None:
    embeddings = tf.Variable([[1.0, 0.0]])
    with tf.GradientTape() as tape:
        loss = graph_loss(embeddings, tf.constant([[0.0, 1.0]]), tf.ones(1))
    assert tape.gradient(loss, embeddings).numpy()[0, 1] < 0


def test_the_layer_is_found_by_name_alone() -> None:
    model = ds_cnn.build((16, 8), 3, width=8, blocks=1, dropout=0.1)
    embeddings, probabilities = with_embedding(model, "embedding")(np.zeros((2, 16, 8, 1), np.float32))
    assert embeddings.shape == (2, 32)
    assert np.allclose(probabilities, model(np.zeros((2, 16, 8, 1), np.float32)))
    with pytest.raises(
        ConfigError, match=r"recipe graph\.layer: ds_cnn has no layer relu; try: one of log_mel, stem"
    ):
        with_embedding(model, "relu")


def test_embeddings_are_centred_and_one_per_clip() -> None:
    model = source_cnn.build((16, 8), 3, width=8)
    x = np.random.default_rng(0).normal(size=(150, 16, 8)).astype(np.float32)
    embeddings = embed(model, x)
    assert embeddings.shape == (150, 32)
    assert np.allclose(embeddings.mean(axis=0), 0, atol=1e-5)
    assert embeddings.std() > 0
    # Batches of 128 must not show.
    raw = model.get_layer("embedding")
    assert raw.output_shape == (None, 32)
    assert np.allclose(embed(model, x[::-1])[::-1], embeddings, atol=1e-5)
