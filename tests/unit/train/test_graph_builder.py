# SPDX-License-Identifier: Apache-2.0
"""The three builders against each other, and thresholds by quantile."""

import sys
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

if find_spec("tensorflow") is None:
    pytest.skip("needs the [train] extra", allow_module_level=True)

from mcu_ser.errors import ConfigError, ToolMissingError
from mcu_ser.programs import PACKAGES
from mcu_ser.recipe import GraphRecipe
from mcu_ser.train import similarity
from mcu_ser.train.approximate_neighbours import NEAREST, nearest
from mcu_ser.train.graph_builder import build_graph, require_builder
from mcu_ser.train.similarity import quantile_threshold, unit_vectors

pytestmark = pytest.mark.train

needs_faiss = pytest.mark.skipif(find_spec("faiss") is None, reason="needs the [ann] extra")
# Share of the edges of the exact graph that approximate search has to find.
RECALL = 0.999


def clustered(count, dimensions, seed, size=12):
    """Groups of `size` similar embeddings, in random order."""
    random = np.random.default_rng(seed)
    centres = np.repeat(random.normal(size=(-(-count // size), dimensions)), size, axis=0)[:count]
    return random.permutation(centres + 0.3 * random.normal(size=centres.shape)).astype(np.float32)


def names(count):
    return [f"clip-{index}" for index in range(count)]


def graph_of(path, embeddings, ids=None, **settings):
    ids = ids or names(len(embeddings))
    threshold = build_graph(ids, embeddings, GraphRecipe(**settings), 7, path)
    return path.read_bytes(), threshold


def edges_of(text):
    rows = (line.split("\t") for line in text.decode().splitlines())
    return {(source, target): float(weight) for source, target, weight in rows}


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 9), st.floats(-0.5, 0.95))
def test_blocks_find_the_edges_of_nsl(tmp_path_factory, seed, count, dimensions, threshold) -> None:
    path = tmp_path_factory.mktemp("graph") / "graph.tsv"
    embeddings = np.random.default_rng(seed).normal(size=(count, dimensions)).astype(np.float32)
    options = {"similarity_threshold": threshold}
    by_nsl = edges_of(graph_of(path, embeddings, builder="nsl", **options)[0])
    by_blocks = edges_of(graph_of(path, embeddings, builder="exact", **options)[0])
    # NSL divides and adds in float32: each of the terms is off by at most about four roundings and each of
    # the sums by one, of 2^-24 of what is at most 1; and both files round to six decimals.
    bound = (dimensions + 4) * 2**-24 + 1e-6
    for pair in by_nsl.keys() | by_blocks.keys():
        assert abs(by_nsl.get(pair, threshold) - by_blocks.get(pair, threshold)) <= bound


def test_an_embedding_of_zeros_is_similar_to_nothing(tmp_path) -> None:
    embeddings = np.array([[0, 0], [1, 0], [1, 0.1]], np.float32)
    by_nsl, _ = graph_of(tmp_path / "graph.tsv", embeddings, similarity_threshold=0.5, builder="nsl")
    by_blocks, _ = graph_of(tmp_path / "graph.tsv", embeddings, similarity_threshold=0.5, builder="exact")
    assert by_blocks == by_nsl
    assert by_blocks.count(b"\n") == 2
    assert b"clip-0" not in by_blocks


@pytest.mark.parametrize("block", [1, 700, 1 << 23])
def test_the_size_of_a_block_does_not_show(block, tmp_path, monkeypatch) -> None:
    embeddings = clustered(100, 8, seed=1)
    whole, threshold = graph_of(tmp_path / "graph.tsv", embeddings, similarity_quantile=0.9, builder="exact")
    monkeypatch.setattr(similarity, "_BLOCK", block)
    again = graph_of(tmp_path / "graph.tsv", embeddings, similarity_quantile=0.9, builder="exact")
    assert again == (whole, threshold)


@pytest.mark.parametrize("builder", ["nsl", "exact", pytest.param("hnsw", marks=needs_faiss)])
def test_the_order_of_the_utterances_does_not_show(builder, tmp_path) -> None:
    embeddings, ids = clustered(90, 8, seed=2), names(90)
    options = {"builder": builder, "similarity_threshold": 0.8}
    if builder == "nsl":
        options |= {"lsh_splits": 2, "lsh_rounds": 4}
    first = graph_of(tmp_path / "graph.tsv", embeddings, ids, **options)
    backwards = graph_of(tmp_path / "graph.tsv", embeddings[::-1], ids[::-1], **options)
    assert first == backwards
    assert first[0].count(b"\n") > 90


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.floats(0, 0.999))
def test_a_quantile_is_the_threshold_that_its_share_of_pairs_reaches(seed, count, quantile) -> None:
    embeddings = np.random.default_rng(seed).normal(size=(count, 5)).astype(np.float32)
    units = unit_vectors(embeddings)
    found = quantile_threshold(units, quantile)
    pairs = (units @ units.T)[np.triu_indices(count, 1)]
    wanted = int(np.ceil(len(pairs) * (1 - quantile) - 1e-9))
    least = np.sort(pairs)[::-1][max(1, wanted) - 1]
    # In millionths; the last bit of a product may fall to either side of one.
    assert found - 1e-12 <= least < found + 1.000001e-6
    assert -1 <= found <= 1


def test_a_quantile_keeps_its_share_of_the_pairs(tmp_path) -> None:
    embeddings = np.random.default_rng(3).normal(size=(200, 8)).astype(np.float32)
    text, _ = graph_of(tmp_path / "graph.tsv", embeddings, similarity_quantile=0.98, builder="exact")
    assert text.count(b"\n") / 2 == pytest.approx(0.02 * 200 * 199 / 2, abs=1)


def test_one_utterance_has_no_pair(tmp_path) -> None:
    one = np.ones((1, 3), np.float32)
    assert graph_of(tmp_path / "graph.tsv", one, similarity_quantile=0.5, builder="exact") == (b"", 1.0)


@needs_faiss
@pytest.mark.parametrize("dimensions", [16, 64])
def test_approximate_search_finds_the_edges_and_weighs_them_exactly(dimensions, tmp_path) -> None:
    embeddings = clustered(3000, dimensions, seed=4)
    options = {"similarity_threshold": 0.8}
    exact = set(graph_of(tmp_path / "graph.tsv", embeddings, builder="exact", **options)[0].splitlines())
    found = graph_of(tmp_path / "graph.tsv", embeddings, builder="hnsw", **options)[0].splitlines()
    assert found == sorted(found)
    assert len(exact) > 20_000
    # The same lines: the same pairs with the same six decimals.
    assert set(found) <= exact
    assert len(found) >= RECALL * len(exact)


@needs_faiss
def test_approximate_search_gives_the_same_bytes_again(tmp_path) -> None:
    embeddings = np.random.default_rng(5).normal(size=(2000, 32)).astype(np.float32)
    first, again = (
        graph_of(tmp_path / "graph.tsv", embeddings, similarity_threshold=0.3, builder="hnsw")[0]
        for _ in range(2)
    )
    assert first == again
    assert first


@needs_faiss
def test_copies_of_an_utterance_are_neighbours_of_each_other_and_not_of_themselves() -> None:
    units = unit_vectors(np.tile(np.eye(4, dtype=np.float32)[:1], (200, 1)))
    found = nearest(units, seed=7)
    assert found.shape == (200, NEAREST)
    assert (found != np.arange(200)[:, None]).all()


@needs_faiss
@pytest.mark.parametrize("count", [1, 2, 3])
def test_approximate_search_among_few(count) -> None:
    found = nearest(unit_vectors(np.eye(4, dtype=np.float32)[:count]), seed=7)
    assert [sorted(row[row >= 0]) for row in found.tolist() and found] == [
        [other for other in range(count) if other != row] for row in range(count)
    ]


@needs_faiss
def test_the_threads_of_others_stay_as_they_were() -> None:
    import faiss

    before = faiss.omp_get_max_threads()
    nearest(unit_vectors(np.eye(4, dtype=np.float32)), seed=7)
    assert faiss.omp_get_max_threads() == before


def test_without_its_library_approximate_search_names_the_extra(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ToolMissingError) as caught:
        graph_of(tmp_path / "graph.tsv", clustered(9, 3, seed=0), builder="hnsw")
    assert str(caught.value) == (
        "Python package faiss-cpu: is not installed; try: pip install '.[ann]' in the mcu-ser checkout"
    )
    assert not list(tmp_path.iterdir())


def test_a_builder_that_is_missing_is_found_before_anything_is_trained(monkeypatch) -> None:
    monkeypatch.setitem(PACKAGES, "ann", ("no-such-package",))
    assert require_builder(GraphRecipe()) == {}
    with pytest.raises(ToolMissingError, match="no-such-package: is not installed"):
        require_builder(GraphRecipe(builder="hnsw"))


@needs_faiss
def test_the_version_of_a_builder_is_known() -> None:
    assert require_builder(GraphRecipe(builder="hnsw"))["faiss-cpu"]


@pytest.mark.parametrize(
    ("ids", "problem"),
    [
        (["a", "b", "a"], "utterance a: is there twice; try: one id per utterance"),
        (["a", "b\tc", "d"], "utterance 'b\\tc': has a control character in its id; try: another id"),
        (["a", "b\n", "d"], "utterance 'b\\n': has a control character in its id; try: another id"),
    ],
)
def test_ids_that_would_break_the_file(ids, problem, tmp_path) -> None:
    with pytest.raises(ConfigError) as caught:
        graph_of(tmp_path / "graph.tsv", np.ones((3, 2), np.float32), ids)
    assert str(caught.value) == problem
    assert not list(tmp_path.iterdir())
