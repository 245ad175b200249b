# SPDX-License-Identifier: Apache-2.0
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

if find_spec("tensorflow") is None:
    pytest.skip("needs the [train] extra", allow_module_level=True)

from mcu_ser.train.graph_figures import embedding_picture, graph_figures
from mcu_ser.train.neighbours import Neighbours

pytestmark = pytest.mark.train


def neighbours(rows, weights):
    return Neighbours(np.array(rows, np.int32), np.array(weights, np.float32))


# a and b are each other's, c has a, d has nobody.
FOUR = neighbours([[1, 0], [0, 1], [0, 2], [3, 3]], [[0.75, 0], [0.75, 0], [0.25, 0], [0, 0]])


def test_figures_of_four_utterances() -> None:
    assert graph_figures(FOUR, np.array([0, 0, 1, 1])).as_document() == {
        "utterances": 4,
        "neighbours": 3,
        "edges": 2,
        "mean_weight": 0.5,
        "utterances_without_neighbours": 1,
        "homophily": 0.5,
        # Of twelve ordered pairs, four are of one class.
        "homophily_by_chance": pytest.approx(1 / 3),
    }


@pytest.mark.parametrize("count", [1, 3])
def test_figures_without_edges(count) -> None:
    alone = neighbours([[row] for row in range(count)], [[0]] * count)
    figures = graph_figures(alone, np.arange(count))
    assert (figures.edges, figures.homophily, figures.mean_weight) == (0, 0, 0)
    assert figures.homophily_by_chance == 0
    assert figures.utterances_without_neighbours == count


@given(st.lists(st.integers(0, 3), min_size=2, max_size=20))
def test_chance_is_the_share_of_all_pairs(y) -> None:
    pairs = [(one, other) for one in range(len(y)) for other in range(one)]
    everyone = [[other for other in range(len(y)) if other != row] for row in range(len(y))]
    figures = graph_figures(neighbours(everyone, np.ones((len(y), len(y) - 1))), np.array(y))
    share = sum(y[one] == y[other] for one, other in pairs) / len(pairs)
    # A graph of all pairs does what chance does.
    assert figures.homophily == pytest.approx(share)
    assert figures.homophily_by_chance == pytest.approx(share)
    assert figures.edges == len(pairs)


def test_picture_is_the_plane_of_largest_variance() -> None:
    embeddings = np.random.default_rng(3).normal(size=(40, 5)).astype(np.float32) * [5, 3, 1, 1, 1]
    picture = embedding_picture(
        embeddings.astype(np.float32),
        np.arange(40) % 2,
        neighbours(np.roll(np.arange(40), -1)[:, None], np.ones((40, 1))),
    )
    directions = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    directions -= directions.mean(axis=0)
    _, scales, axes = np.linalg.svd(directions)
    plane = directions @ axes[:2].T
    plane /= np.abs(plane).max()
    for found, axis, coordinates in zip((picture["x"], picture["y"]), axes, plane.T, strict=False):
        sign = np.sign(axis[np.abs(axis).argmax()])
        assert np.allclose(found, sign * coordinates, atol=1e-4)
    assert picture["explained"] == pytest.approx((scales[:2] ** 2).sum() / (scales**2).sum(), abs=1e-4)
    assert picture["label"] == [0, 1] * 20
    assert picture["edges"] == sorted([[row, row + 1] for row in range(39)] + [[0, 39]])


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_picture_does_not_depend_on_signs_or_lengths(seed) -> None:
    random = np.random.default_rng(seed)
    embeddings = random.normal(size=(30, 4)).astype(np.float32) * np.array([4, 2, 1, 0.5], np.float32)
    alone = neighbours(np.arange(30)[:, None], np.zeros((30, 1)))
    y = np.zeros(30, np.int64)
    first = embedding_picture(embeddings, y, alone)
    scaled = embeddings * random.choice([0.25, 1, 4], size=(30, 1)).astype(np.float32)
    assert embedding_picture(scaled, y, alone) == first
    # Two more dimensions in which nothing happens.
    wider = np.pad(embeddings, ((0, 0), (1, 1)))
    again = embedding_picture(wider, y, alone)
    assert np.allclose(again["x"], first["x"], atol=1.1e-4)
    assert np.allclose(again["y"], first["y"], atol=1.1e-4)


@pytest.mark.parametrize("shape", [(1, 3), (2, 1), (3, 2)])
def test_picture_of_few_or_flat_embeddings(shape) -> None:
    count = shape[0]
    alone = neighbours(np.arange(count)[:, None], np.zeros((count, 1)))
    picture = embedding_picture(np.zeros(shape, np.float32), np.zeros(count, np.int64), alone)
    assert picture["x"] == picture["y"] == [0.0] * count
    assert picture["explained"] == 0
    assert picture["edges"] == []
