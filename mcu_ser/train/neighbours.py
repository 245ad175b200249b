# SPDX-License-Identifier: Apache-2.0
"""Turns embeddings into a similarity graph with NSL, and the graph into arrays that training gathers from."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mcu_ser.artifacts import replaced_file
from mcu_ser.train.nsl_import import nsl, read_tsv_graph, tf

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mcu_ser.recipe import GraphRecipe


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The k nearest graph neighbours of each of n utterances.

    Args:
        rows: Their positions, int32 (n, k); an absent neighbour is the utterance itself.
        weights: Their cosine similarities, float32 (n, k); 0 for an absent neighbour.
    """

    rows: NDArray[np.int32]
    weights: NDArray[np.float32]

    @property
    def edges(self) -> int:
        """How many neighbours are present."""
        return int(np.count_nonzero(self.weights))


def build_graph(
    ids: Sequence[str], embeddings: NDArray[np.float32], recipe: GraphRecipe, seed: int, path: Path
) -> None:
    """Write the similarity graph as NSL's TSV (source id, target id, weight), sorted.

    Args:
        ids: One id per utterance, (n,).
        embeddings: float32 (n, dimensions).
        recipe: Similarity threshold and locality-sensitive hashing.
        seed: Of the hashing.
        path: The TSV.
    """
    config = nsl.configs.GraphBuilderConfig(
        similarity_threshold=recipe.similarity_threshold,
        lsh_splits=recipe.lsh_splits,
        lsh_rounds=recipe.lsh_rounds,
        random_seed=seed,
    )
    with tempfile.TemporaryDirectory() as scratch, replaced_file(path) as temporary:
        records = Path(scratch) / "embeddings.tfrecord"
        _write_examples(records, ids, embeddings)
        nsl.tools.build_graph_from_config([str(records)], str(temporary), config)
        # NSL writes edges in the order of its hash buckets.
        lines = sorted(temporary.read_text(encoding="utf-8").splitlines(keepends=True))
        temporary.write_text("".join(lines), encoding="utf-8")


def load_neighbours(path: Path, ids: Sequence[str], recipe: GraphRecipe) -> Neighbours:
    """The nearest neighbours in an undirected graph, among the utterances that train.

    Args:
        path: What `build_graph` wrote; edges to utterances not in `ids` are left out.
        ids: Ids of the utterances in the order of the training arrays, (n,).
        recipe: How many neighbours.

    Raises:
        ConfigError: The file is not a graph.
    """
    graph = read_tsv_graph(path)
    nsl.tools.add_undirected_edges(graph)
    row = {id: index for index, id in enumerate(ids)}
    rows = np.tile(np.arange(len(row), dtype=np.int32)[:, None], (1, recipe.neighbours))
    weights = np.zeros((len(row), recipe.neighbours), np.float32)
    for id in sorted(graph.keys() & row.keys()):
        edges = [(-weight, target) for target, weight in graph[id].items() if target in row and weight > 0]
        for place, (negative, target) in enumerate(sorted(edges)[: recipe.neighbours]):
            rows[row[id], place] = row[target]
            weights[row[id], place] = -negative
    return Neighbours(rows, weights)


def _write_examples(path: Path, ids: Sequence[str], embeddings: NDArray[np.float32]) -> None:
    with tf.io.TFRecordWriter(str(path)) as writer:
        for id, embedding in zip(ids, embeddings, strict=True):
            feature = {
                "id": tf.train.Feature(bytes_list=tf.train.BytesList(value=[str(id).encode()])),
                "embedding": tf.train.Feature(float_list=tf.train.FloatList(value=embedding.tolist())),
            }
            example = tf.train.Example(features=tf.train.Features(feature=feature))
            writer.write(example.SerializeToString())
