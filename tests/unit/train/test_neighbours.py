# SPDX-License-Identifier: Apache-2.0
"""Which edges of a graph train: against nsl.tools.pack_nbrs, and against a slow definition of each choice."""

import sys
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

if find_spec("tensorflow") is None:
    pytest.skip("needs the [train] extra", allow_module_level=True)

from mcu_ser.recipe import GraphRecipe
from mcu_ser.train.neighbours import load_neighbours
from mcu_ser.train.nsl_import import nsl, read_tsv_graph, tf

pytestmark = pytest.mark.train

# Few weights make many ties.
WEIGHTS = st.sampled_from([0.25, 0.5, 0.75, 0.999999, 1.0])


@st.composite
def graphs(draw):
    """Ids, a TSV of random edges between them and strangers, classes and speakers."""
    ids = draw(st.lists(st.text("abé1-", min_size=1, max_size=3), min_size=1, max_size=9, unique=True))
    ends = st.sampled_from([*ids, "stranger", "other"])
    edges = draw(st.lists(st.tuples(ends, ends, WEIGHTS), max_size=40))
    # NSL's builder joins nothing to itself; a file may.
    text = "".join(f"{source}\t{target}\t{weight:f}\n" for source, target, weight in edges)
    y = draw(st.lists(st.integers(0, 2), min_size=len(ids), max_size=len(ids)))
    speakers = draw(st.lists(st.sampled_from("pqr"), min_size=len(ids), max_size=len(ids)))
    return ids, text, np.array(y), np.array(speakers)


def expected(path, ids, recipe, y, speakers):
    """id -> [(weight, neighbour id)], nearest first, by the words of the recipe."""
    graph = {}
    for source, targets in read_tsv_graph(path).items():
        for target, weight in targets.items():
            for one, other in ((source, target), (target, source)):
                graph.setdefault(one, {})[other] = max(weight, graph.get(one, {}).get(other, 0))
    row = {id: index for index, id in enumerate(ids)}

    def joined(one, other):
        if one == other or one not in row or other not in row:
            return False
        same_emotion = y[row[one]] == y[row[other]]
        same_speaker = speakers[row[one]] == speakers[row[other]]
        return (same_emotion or not recipe.same_emotion_only) and not (
            same_speaker and recipe.across_speakers_only
        )

    near = {
        id: sorted(((w, other) for other, w in graph.get(id, {}).items() if joined(id, other)), reverse=True)
        for id in ids
    }
    near = {id: found[: recipe.neighbours] for id, found in near.items()}
    if recipe.mutual:
        near = {
            id: [(w, other) for w, other in found if id in [back for _, back in near[other]]]
            for id, found in near.items()
        }
    return near


def as_names(neighbours, ids):
    return {
        ids[row]: [
            (round(float(weight), 6), ids[other])
            for other, weight in zip(neighbours.rows[row], neighbours.weights[row], strict=True)
            if weight > 0
        ]
        for row in range(len(ids))
    }


@settings(max_examples=60)
@given(graphs(), st.integers(1, 4), st.booleans(), st.booleans(), st.booleans())
def test_neighbours_are_what_the_recipe_says(
    tmp_path_factory, graph, count, mutual, same_emotion, across
) -> None:
    ids, text, y, speakers = graph
    path = tmp_path_factory.mktemp("graph") / "graph.tsv"
    path.write_text(text, encoding="utf-8")
    recipe = GraphRecipe(
        neighbours=count, mutual=mutual, same_emotion_only=same_emotion, across_speakers_only=across
    )
    neighbours = load_neighbours(path, ids, recipe, y=y, speakers=speakers)
    assert as_names(neighbours, ids) == expected(path, ids, recipe, y, speakers)
    assert neighbours.rows.shape == neighbours.weights.shape == (len(ids), count)
    absent = neighbours.weights == 0
    assert (neighbours.rows == np.arange(len(ids))[:, None])[absent].all()
    # What is present comes first, nearest first.
    assert (np.diff(neighbours.weights, axis=1) <= 0).all()


@settings(max_examples=40)
@given(graphs())
def test_speakers_that_do_not_train_cannot_reach_training(tmp_path_factory, graph) -> None:
    ids, text, y, speakers = graph
    path = tmp_path_factory.mktemp("graph") / "graph.tsv"
    path.write_text(text, encoding="utf-8")
    trains = speakers != "p"
    training = [id for id, one in zip(ids, trains, strict=True) if one]
    recipe = GraphRecipe(neighbours=16)
    found = load_neighbours(path, training, recipe, y=y[trains], speakers=speakers[trains])
    # Whatever else the file says: with the lines of others taken out of it, nothing changes.
    lines = [line for line in text.splitlines(keepends=True) if {*line.split("\t")[:2]} <= {*training}]
    path.write_text("".join(lines), encoding="utf-8")
    alone = load_neighbours(path, training, recipe, y=y[trains], speakers=speakers[trains])
    assert (found.rows == alone.rows).all()
    assert (found.weights == alone.weights).all()
    assert found.rows.size == 0 or found.rows.max() < len(training)


def packed(path, ids, count, directory, monkeypatch):
    """id -> [(weight, neighbour id)] that nsl.tools.pack_nbrs writes."""
    module = sys.modules["neural_structured_learning.tools.pack_nbrs"]
    # Its own reader opens files in a mode that Python 3.11 no longer has.
    monkeypatch.setattr(module.graph_utils, "read_tsv_graph", lambda name: read_tsv_graph(path))
    with tf.io.TFRecordWriter(str(directory / "clips.tfr")) as writer:
        for id in ids:
            feature = {"id": tf.train.Feature(bytes_list=tf.train.BytesList(value=[id.encode()]))}
            example = tf.train.Example(features=tf.train.Features(feature=feature))
            writer.write(example.SerializeToString())
    merged = str(directory / "merged.tfr")
    nsl.tools.pack_nbrs(
        str(directory / "clips.tfr"), "", str(path), merged, add_undirected_edges=True, max_nbrs=count
    )
    result = {}
    for record in tf.data.TFRecordDataset([merged]):
        feature = tf.train.Example.FromString(record.numpy()).features.feature
        result[feature["id"].bytes_list.value[0].decode()] = [
            (
                round(feature[f"NL_nbr_{index}_weight"].float_list.value[0], 6),
                feature[f"NL_nbr_{index}_id"].bytes_list.value[0].decode(),
            )
            for index in range(feature["NL_num_nbrs"].int64_list.value[0])
        ]
    return result


@settings(max_examples=20)
@given(graphs(), st.integers(1, 4))
def test_neighbours_are_those_that_nsl_packs(tmp_path_factory, graph, count) -> None:
    ids, text, y, speakers = graph
    directory = tmp_path_factory.mktemp("graph")
    path = directory / "graph.tsv"
    lines = [line for line in text.splitlines(keepends=True) if len({*line.split("\t")[:2]}) == 2]
    path.write_text("".join(lines), encoding="utf-8")
    with pytest.MonkeyPatch.context() as monkeypatch:
        theirs = packed(path, ids, count, directory, monkeypatch)
    ours = load_neighbours(path, ids, GraphRecipe(neighbours=count), y=y, speakers=speakers)
    assert as_names(ours, ids) == theirs


def test_the_utterance_itself_takes_no_place(tmp_path) -> None:
    (tmp_path / "graph.tsv").write_text("a\ta\t1.0\na\tb\t0.5\na\tc\t0.25\n")
    neighbours = load_neighbours(
        tmp_path / "graph.tsv",
        ["a", "b", "c"],
        GraphRecipe(neighbours=2),
        y=np.zeros(3),
        speakers=np.zeros(3),
    )
    assert neighbours.rows[0].tolist() == [1, 2]
    assert neighbours.weights[0].tolist() == [0.5, 0.25]


def test_edges_that_would_push_apart_are_left_out(tmp_path) -> None:
    (tmp_path / "graph.tsv").write_text("a\tb\t-0.5\nb\tc\t0.0\n")
    neighbours = load_neighbours(
        tmp_path / "graph.tsv", ["a", "b", "c"], GraphRecipe(), y=np.zeros(3), speakers=np.zeros(3)
    )
    assert neighbours.edges == 0
