# SPDX-License-Identifier: Apache-2.0
"""Finds nearest neighbours without comparing all pairs: hierarchical navigable small worlds, by faiss.

Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using Hierarchical Navigable
Small World graphs" (arXiv 1603.09320). Time grows as n log n; some neighbours are missed.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from mcu_ser.errors import ToolMissingError
from mcu_ser.programs import extra_hint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

# Edges that an utterance gets at most: four times the neighbours that can train with it, so that some are
# left where only those of its emotion or of other speakers count.
NEAREST = 64
# On 10 000 clustered embeddings these found every edge, at 64 and at 256 dimensions (tools/bench_graph.py).
_LINKS = 32
_BREADTH_OF_BUILD = 80
_BREADTH_OF_SEARCH = 128


def nearest(units: NDArray[np.float64], seed: int) -> NDArray[np.int64]:
    """Rows of the `NEAREST` most similar other rows, as far as they are found, most similar first.

    The same rows and seed give the same answer: one thread builds the index.

    Args:
        units: Vectors of length 1, (n, dimensions).
        seed: Of the index's layers.

    Returns:
        int64 (n, at most NEAREST); -1 where fewer were found.

    Raises:
        ToolMissingError: The extra [ann] is not installed.
    """
    faiss = _faiss()
    vectors = units.astype(np.float32)
    count = min(NEAREST + 1, len(vectors))
    index = faiss.IndexHNSWFlat(vectors.shape[1], _LINKS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = _BREADTH_OF_BUILD
    index.hnsw.efSearch = _BREADTH_OF_SEARCH
    index.hnsw.rng = faiss.RandomGenerator(seed)
    with _one_thread(faiss):
        index.add(vectors)
        _, found = index.search(vectors, count)
    rows = np.asarray(found, np.int64)
    # The row itself is usually first, but not where others are its copies.
    rows[rows == np.arange(len(rows))[:, None]] = -1
    last = np.argsort(rows < 0, axis=1, kind="stable")
    return np.take_along_axis(rows, last, axis=1)[:, :NEAREST]


@contextmanager
def _one_thread(faiss: Any) -> Iterator[None]:
    """Threads that insert side by side link the index in the order in which they happen to run."""
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)


def _faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise ToolMissingError(
            "Python package faiss-cpu", "is not installed", hint=extra_hint("ann")
        ) from error
    return faiss
