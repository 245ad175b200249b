# SPDX-License-Identifier: Apache-2.0
"""Turns a similarity graph into the arrays that training gathers neighbours from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mcu_ser.train.nsl_import import read_tsv_graph

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

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


@dataclass(frozen=True, eq=False)
class _Edges:
    """Directed edges between rows of the training arrays, each of shape (edges,)."""

    source: NDArray[np.int64]
    target: NDArray[np.int64]
    weight: NDArray[np.float64]

    def where(self, chosen: NDArray[np.bool_] | NDArray[np.signedinteger]) -> _Edges:
        return _Edges(self.source[chosen], self.target[chosen], self.weight[chosen])


def load_neighbours(
    path: Path,
    ids: Sequence[str],
    recipe: GraphRecipe,
    *,
    y: NDArray[np.int64],
    speakers: NDArray[np.str_],
) -> Neighbours:
    """The nearest neighbours in the undirected graph, among the utterances that train.

    Without `mutual`, `same_emotion_only` and `across_speakers_only` they are those that
    `nsl.tools.pack_nbrs(..., add_undirected_edges=True, max_nbrs=recipe.neighbours)` packs, in its order. The
    utterance itself is never among them. (The authors' scripts pack one more than they then read: their 3, 6
    and 9 are 3, 6 and 9 here.) An edge of a similarity of 0 or less is left out: its loss would push apart.

    Args:
        path: What `build_graph` wrote; edges to utterances not in `ids` are left out.
        ids: Ids of the utterances in the order of the training arrays, (n,).
        recipe: How many neighbours, and which may be joined.
        y: Classes of the training utterances, (n,).
        speakers: Their speakers, (n,).

    Raises:
        ConfigError: The file is not a graph.
    """
    edges = _read_edges(path, ids)
    if recipe.same_emotion_only:
        edges = edges.where(y[edges.source] == y[edges.target])
    if recipe.across_speakers_only:
        edges = edges.where(speakers[edges.source] != speakers[edges.target])
    edges, place = _nearest(edges, np.argsort(np.argsort(np.array(ids))), recipe.neighbours)
    if recipe.mutual:
        edges, place = _mutual(edges, len(ids))
    rows = np.tile(np.arange(len(ids), dtype=np.int32)[:, None], (1, recipe.neighbours))
    weights = np.zeros((len(ids), recipe.neighbours), np.float32)
    rows[edges.source, place] = edges.target
    weights[edges.source, place] = edges.weight
    return Neighbours(rows, weights)


def _read_edges(path: Path, ids: Sequence[str]) -> _Edges:
    """Both directions of every edge between two different utterances of `ids`, each once."""
    row = {id: index for index, id in enumerate(ids)}
    directed = [
        (row[source], row[target], weight)
        for source, targets in read_tsv_graph(path).items()
        if source in row
        for target, weight in targets.items()
        if target in row and target != source and weight > 0
    ]
    source, target = (np.array([edge[end] for edge in directed], np.int64) for end in (0, 1))
    weight = np.array([edge[2] for edge in directed], np.float64)
    both = _Edges(
        np.concatenate([source, target]), np.concatenate([target, source]), np.concatenate([weight, weight])
    )
    # The heaviest of the same two ends comes first, and `unique` keeps the first.
    by_weight = np.argsort(-both.weight, kind="stable")
    _, first = np.unique((both.source * len(row) + both.target)[by_weight], return_index=True)
    return both.where(by_weight[first])


def _nearest(edges: _Edges, rank: NDArray[np.int64], count: int) -> tuple[_Edges, NDArray[np.int64]]:
    """The `count` heaviest edges of each source, and their places among them.

    Args:
        edges: Each once.
        rank: Of the ids in sorted order, (n,); of equally heavy edges the one to the later id comes first.
        count: How many.
    """
    order = np.lexsort((-rank[edges.target], -edges.weight, edges.source))
    source = edges.source[order]
    place = np.arange(len(source)) - np.searchsorted(source, source)
    kept = place < count
    return edges.where(order[kept]), place[kept]


def _mutual(edges: _Edges, utterances: int) -> tuple[_Edges, NDArray[np.int64]]:
    """Edges whose reverse is among `edges` too, and their places; sources stay grouped and sorted."""
    forth = edges.source * utterances + edges.target
    back = edges.target * utterances + edges.source
    kept = edges.where(np.isin(forth, back))
    return kept, np.arange(len(kept.source)) - np.searchsorted(kept.source, kept.source)
