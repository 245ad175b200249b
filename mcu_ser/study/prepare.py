# SPDX-License-Identifier: Apache-2.0
"""Turns a recipe and its corpora into everything that is to be done: folds, grid and jobs."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcu_ser import __version__
from mcu_ser.code_digest import STUDY_CODE, code_digest
from mcu_ser.corpus.content import corpus_sha256, require_unheard
from mcu_ser.corpus.read import read_corpus
from mcu_ser.corpus.splits import without_speakers
from mcu_ser.programs import package_versions
from mcu_ser.recipe import Wav2Vec2Recipe
from mcu_ser.study.folds import make_folds
from mcu_ser.study.grid import WITH_GRAPH, make_jobs
from mcu_ser.train.graph_builder import require_builder
from mcu_ser.train.wav2vec2_checkpoint import find_checkpoint, require_source_model

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mcu_ser.corpus.utterance import Corpus
    from mcu_ser.recipe import Recipe
    from mcu_ser.study.grid import Job
    from mcu_ser.study.study import GridCell, StudyFold


@dataclass(frozen=True)
class Prepared:
    """A study before any of it is computed.

    Args:
        recipe: Of the study.
        labels: Class names of the target corpus.
        folds: In the order of the protocol.
        grid: In the order of the recipe.
        jobs: In the order of work.
        versions: Package name to version, of what computes on this machine.
        corpora: Role to a line about the corpus.
        inputs: What decides results beside the recipe; see `grid.make_jobs`.
    """

    recipe: Recipe
    labels: tuple[str, ...]
    folds: tuple[StudyFold, ...]
    grid: tuple[GridCell, ...]
    jobs: tuple[Job, ...]
    versions: Mapping[str, str]
    corpora: Mapping[str, str]
    inputs: Mapping[str, Any]


def prepare(recipe: Recipe, corpus_root: Path | None, *, graphs: bool | None = None) -> Prepared:
    """Plan a study.

    Args:
        recipe: Its [study] is the plan.
        corpus_root: Where recordings are; the synthetic corpus needs none.
        graphs: Whether anything will be trained with a graph; by default, whether the plan says so.

    Raises:
        ConfigError: The recipe does not fit its corpora, or asks for what cannot be trained.
        CorpusError: A corpus is absent, empty or unreadable.
        ToolMissingError: An extra that the graph's source model or builder needs is not installed.
    """
    with_graph = _compares_graphs(recipe) if graphs is None else graphs
    # What only graphs need; what is missing is found before anything is trained.
    graph_packages = (
        require_source_model(recipe.source_model) | require_builder(recipe.graph) if with_graph else {}
    )
    corpora = {
        "source": read_corpus(recipe.corpora.source, corpus_root),
        "target": read_corpus(recipe.corpora.target, corpus_root),
    }
    folds = make_folds(recipe.study.folds, recipe.corpora.target, corpora["target"])
    if _learns_source(recipe):
        held_out = {speaker for fold in folds for speaker in (*fold.validation, *fold.test)}
        source = without_speakers(corpora["source"], recipe.corpora.source.test_speakers)
        require_unheard(source, corpora["target"], held_out)
    hashes = {role: corpus_sha256(corpus) for role, corpus in corpora.items()}
    inputs: dict[str, Any] = {
        "corpora": hashes,
        "versions": _versions(),
        "code": code_digest(*STUDY_CODE),
        "graph": {"versions": graph_packages},
    }
    if with_graph and isinstance(recipe.source_model, Wav2Vec2Recipe):
        # The recipe says where the checkpoint is, not what it is.
        inputs["graph"]["checkpoint"] = find_checkpoint(recipe.source_model.checkpoint).digests()
    grid, jobs = make_jobs(recipe, folds, inputs)
    return Prepared(
        recipe,
        corpora["target"].emotions,
        folds,
        grid,
        jobs,
        _versions() | graph_packages,
        {role: _line(corpus, hashes[role]) for role, corpus in corpora.items()},
        inputs,
    )


def _compares_graphs(recipe: Recipe) -> bool:
    return any(WITH_GRAPH.intersection(row.approaches) for row in recipe.study.rows)


def _learns_source(recipe: Recipe) -> bool:
    return any(approach != "speech_only" for row in recipe.study.rows for approach in row.approaches)


def _versions() -> dict[str, str]:
    packages = {**package_versions(""), **package_versions("train")}
    installed = {name: version for name, version in packages.items() if version is not None}
    return {"mcu-ser": __version__, "python": platform.python_version(), **installed}


def _line(corpus: Corpus, sha256: str) -> str:
    return (
        f"{corpus.name}: {len(corpus.utterances)} utterances of {len(corpus.speakers)} speakers, "
        f"{len(corpus.emotions)} emotions, SHA-256 {sha256}"
    )
