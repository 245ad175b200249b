# SPDX-License-Identifier: Apache-2.0
"""Turns neighbours and labels into what a reader wants to know of a graph: figures, and a picture in 2-D."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mcu_ser.train.neighbours import Neighbours


@dataclass(frozen=True)
class GraphFigures:
    """A graph of training utterances in numbers.

    Args:
        utterances: Its nodes.
        neighbours: Those of all utterances; a pair that are each other's counts twice.
        edges: Pairs of which at least one is the other's neighbour.
        mean_weight: Of the edges, a cosine similarity; 0 without edges.
        utterances_without_neighbours: On them the graph has no effect.
        homophily: Share of edges that join equal labels, 0..1; 0 without edges.
        homophily_by_chance: What it would be if edges joined random pairs of the utterances.
    """

    utterances: int
    neighbours: int
    edges: int
    mean_weight: float
    utterances_without_neighbours: int
    homophily: float
    homophily_by_chance: float

    def as_document(self) -> dict[str, float]:
        """For metrics.json."""
        return asdict(self)


def graph_figures(neighbours: Neighbours, y: NDArray[np.int64]) -> GraphFigures:
    """Figures of the graph as training sees it.

    Args:
        neighbours: Of n utterances.
        y: Their classes, (n,).
    """
    first, second, weights = _edges(neighbours)
    counts = np.bincount(y)
    pairs = len(y) * (len(y) - 1)
    return GraphFigures(
        utterances=len(y),
        neighbours=neighbours.edges,
        edges=len(first),
        mean_weight=float(weights.mean()) if len(first) else 0.0,
        utterances_without_neighbours=int(np.count_nonzero(~(neighbours.weights > 0).any(axis=1))),
        homophily=float((y[first] == y[second]).mean()) if len(first) else 0.0,
        homophily_by_chance=float((counts * (counts - 1)).sum() / pairs) if pairs else 0.0,
    )


def embedding_picture(
    embeddings: NDArray[np.float32], y: NDArray[np.int64], neighbours: Neighbours
) -> dict[str, Any]:
    """Points and lines of a graph: embeddings on their first two principal components.

    Edges join utterances whose embeddings point the same way, so lengths are taken off first.

    Args:
        embeddings: float32 (n, dimensions).
        y: Classes, (n,).
        neighbours: Of the same utterances.

    Returns:
        `x`, `y`: coordinates -1..1, one scale for both; `label`: classes; `edges`: pairs of positions;
        `explained`: share of the variance that the picture shows, 0..1.
    """
    plane, explained = _principal_plane(embeddings)
    first, second, _ = _edges(neighbours)
    return {
        "x": plane[:, 0].tolist(),
        "y": plane[:, 1].tolist(),
        "label": y.tolist(),
        "edges": np.stack([first, second], axis=1).tolist(),
        "explained": explained,
    }


def _edges(neighbours: Neighbours) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Each pair once, lower row first, sorted; their weights."""
    row, place = np.nonzero(neighbours.weights > 0)
    other = neighbours.rows[row, place].astype(np.int64)
    first, second = np.minimum(row, other), np.maximum(row, other)
    coded, chosen = np.unique(first * len(neighbours.rows) + second, return_index=True)
    count = max(1, len(neighbours.rows))
    return coded // count, coded % count, neighbours.weights[row, place][chosen]


def _principal_plane(embeddings: NDArray[np.float32]) -> tuple[NDArray[np.float64], float]:
    """Coordinates (n, 2) on the axes of largest variance, the largest 1, and the share of those axes."""
    vectors = embeddings.astype(np.float64)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float64).tiny)
    vectors -= vectors.mean(axis=0)
    variances, axes = np.linalg.eigh(vectors.T @ vectors)
    axes = axes[:, ::-1][:, :2]
    # An axis has two directions; the one in which its largest component is positive is taken.
    largest = np.abs(axes).argmax(axis=0)
    axes = axes * np.where(axes[largest, np.arange(axes.shape[1])] < 0, -1, 1)
    plane = vectors @ np.pad(axes, ((0, 0), (0, 2 - axes.shape[1])))
    plane /= max(float(np.abs(plane).max(initial=0)), np.finfo(np.float64).tiny)
    total = float(variances.clip(min=0).sum())
    explained = float(variances[::-1][:2].clip(min=0).sum()) / total if total else 0.0
    # Four decimals are finer than a pixel and coarser than the last bits of a matrix product; + 0 makes -0 0.
    return np.round(plane, 4) + 0.0, round(explained, 4)
