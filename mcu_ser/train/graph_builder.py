# SPDX-License-Identifier: Apache-2.0
"""Turns embeddings into a file of the pairs that are similar: with NSL, or faster for a larger corpus.

Three builders write one format, NSL's TSV with each edge in both directions and weights of six decimals. NSL
computes in float32, the others in float64: the last decimal may differ, and whether a pair is an edge whose
similarity is the threshold to that decimal.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mcu_ser.artifacts import replaced_file
from mcu_ser.errors import ConfigError
from mcu_ser.programs import package_versions, require_packages
from mcu_ser.train.approximate_neighbours import nearest
from mcu_ser.train.similarity import pair_similarities, quantile_threshold, similar_pairs, unit_vectors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from mcu_ser.recipe import GraphRecipe
    from mcu_ser.train.similarity import Pairs

# Lines that are in memory at once.
_LINES = 1 << 16


def require_builder(recipe: GraphRecipe) -> dict[str, str]:
    """Versions of the packages that the recipe's builder needs beside those of training.

    Raises:
        ToolMissingError: One is not installed.
    """
    if recipe.builder != "hnsw":
        return {}
    require_packages("ann")
    return {name: version for name, version in package_versions("ann").items() if version}


def build_graph(
    ids: Sequence[str], embeddings: NDArray[np.float32], recipe: GraphRecipe, seed: int, path: Path
) -> float:
    """Write the similarity graph: source id, target id and weight per line, sorted by the ids.

    Args:
        ids: One id per utterance, (n,), each once.
        embeddings: float32 (n, dimensions).
        recipe: Builder and its settings, threshold or quantile.
        seed: Of hashing and of approximate search.
        path: The TSV.

    Returns:
        The least similarity of an edge: the recipe's threshold, or what its quantile came to.

    Raises:
        ConfigError: An id twice, or one with a control character.
        ToolMissingError: The builder's extra is not installed.
    """
    _check(ids)
    # Everything after this depends on the utterances, not on the order they came in.
    order = sorted(range(len(ids)), key=ids.__getitem__)
    ids, embeddings = [ids[row] for row in order], embeddings[order]
    units = unit_vectors(embeddings)
    threshold = recipe.similarity_threshold
    if recipe.similarity_quantile is not None:
        threshold = quantile_threshold(units, recipe.similarity_quantile)
    with replaced_file(path) as temporary:
        if recipe.builder == "nsl":
            _write_with_nsl(temporary, ids, embeddings, recipe, threshold, seed)
        elif recipe.builder == "exact":
            _write_pairs(temporary, ids, similar_pairs(units, threshold))
        else:
            _write_pairs(temporary, ids, _found_pairs(units, threshold, seed))
    return threshold


def _check(ids: Sequence[str]) -> None:
    seen: set[str] = set()
    for id in ids:
        if id in seen:
            raise ConfigError(f"utterance {id}", "is there twice", hint="one id per utterance")
        # A tab or a line end would make another line of it; the others sort before the tab.
        if any(character < " " for character in id):
            raise ConfigError(f"utterance {id!r}", "has a control character in its id", hint="another id")
        seen.add(id)


def _found_pairs(units: NDArray[np.float64], threshold: float, seed: int) -> Iterator[Pairs]:
    """Pairs of which one found the other, in both directions, with exact similarities."""
    found = nearest(units, seed)
    first = np.repeat(np.arange(len(found)), found.shape[1])[found.ravel() >= 0]
    second = found.ravel()[found.ravel() >= 0]
    coded = np.unique(np.concatenate([first * len(units) + second, second * len(units) + first]))
    first, second = coded // len(units), coded % len(units)
    similarities = pair_similarities(units, first, second)
    similar = similarities >= threshold
    yield first[similar], second[similar], similarities[similar]


def _write_pairs(path: Path, ids: Sequence[str], blocks: Iterable[Pairs]) -> None:
    names = np.array(ids, dtype=object)
    with path.open("w", encoding="utf-8", newline="") as stream:
        for first, second, similarities in blocks:
            for start in range(0, len(first), _LINES):
                part = slice(start, start + _LINES)
                lines = zip(names[first[part]], names[second[part]], similarities[part], strict=True)
                stream.writelines(f"{source}\t{target}\t{weight:f}\n" for source, target, weight in lines)


def _write_with_nsl(
    path: Path,
    ids: Sequence[str],
    embeddings: NDArray[np.float32],
    recipe: GraphRecipe,
    threshold: float,
    seed: int,
) -> None:
    from mcu_ser.train.nsl_import import nsl

    config = nsl.configs.GraphBuilderConfig(
        similarity_threshold=threshold,
        lsh_splits=recipe.lsh_splits,
        lsh_rounds=recipe.lsh_rounds,
        random_seed=seed,
    )
    with tempfile.TemporaryDirectory() as scratch:
        records = Path(scratch) / "embeddings.tfrecord"
        _write_examples(records, ids, embeddings)
        nsl.tools.build_graph_from_config([str(records)], str(path), config)
    # NSL writes edges in the order of its hash buckets.
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    path.write_text("".join(f"{line}\n" for line in sorted(lines)), encoding="utf-8")


def _write_examples(path: Path, ids: Sequence[str], embeddings: NDArray[np.float32]) -> None:
    from mcu_ser.train.nsl_import import tf

    with tf.io.TFRecordWriter(str(path)) as writer:
        for id, embedding in zip(ids, embeddings, strict=True):
            feature = {
                "id": tf.train.Feature(bytes_list=tf.train.BytesList(value=[str(id).encode()])),
                "embedding": tf.train.Feature(float_list=tf.train.FloatList(value=embedding.tolist())),
            }
            example = tf.train.Example(features=tf.train.Features(feature=feature))
            writer.write(example.SerializeToString())
