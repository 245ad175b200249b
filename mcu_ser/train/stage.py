# SPDX-License-Identifier: Apache-2.0
"""The train stage: turns a recipe and its corpora into a source model, a graph and a trained small model.

Reads corpora; writes recipe.toml and train/ of the run directory for the compress and convert stages.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from mcu_ser.artifacts import canonical_json, write_text
from mcu_ser.corpus.content import corpus_sha256, require_unheard
from mcu_ser.corpus.read import read_corpus
from mcu_ser.corpus.splits import split_speakers, without_speakers
from mcu_ser.errors import ConfigError
from mcu_ser.features.normalization import Normalization
from mcu_ser.progress import silent
from mcu_ser.provenance import recipe_tables
from mcu_ser.recipe import Wav2Vec2Recipe, save_recipe
from mcu_ser.train.cache import Cache
from mcu_ser.train.corpus_features import corpus_features, corpus_recordings
from mcu_ser.train.fit import Descent, make_reproducible
from mcu_ser.train.graph_builder import build_graph, require_builder
from mcu_ser.train.graph_figures import graph_figures
from mcu_ser.train.graph_regularization import with_embedding
from mcu_ser.train.keras_file import load_model, save_model
from mcu_ser.train.neighbours import load_neighbours
from mcu_ser.train.nsl_import import versions
from mcu_ser.train.source_model import keep_embeddings
from mcu_ser.train.target import load_graph, load_target, scores
from mcu_ser.train.transfer import freeze_trunk, keep_pretrained, small_model, take_over, trunk_weights
from mcu_ser.train.wav2vec2_checkpoint import require_source_model

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from mcu_ser.artifacts import RunDir
    from mcu_ser.features.feature_set import FeatureSet
    from mcu_ser.progress import Track
    from mcu_ser.recipe import CorpusRecipe, Recipe

STAGE = "train"


def run(
    run_dir: RunDir,
    recipe: Recipe,
    corpus_root: Path | None = None,
    track: Track = silent,
    cache: Cache | None = None,
) -> dict[str, Any]:
    """Train; returns the document of train/metrics.json.

    The source corpus is read only where something is learnt from it: for the graph, unless its multiplier is
    0, and for transfer.

    Args:
        run_dir: Where the stage writes.
        recipe: Its resolved form becomes recipe.toml.
        corpus_root: Where recordings are; the synthetic corpus needs none.
        track: Progress.
        cache: Where features and models of the source corpus are kept for other runs, or found; the run
            directory gets copies.

    Raises:
        ConfigError: The recipe does not fit its corpora.
        CorpusError: A corpus is absent, empty or unreadable.
    """
    finished = cache or Cache()
    packages = versions() | _graph_packages(recipe)  # what is missing is found now, not after the features
    corpora: dict[str, Any] = {}
    source = None
    if _learns_source(recipe):
        source, corpora["source"] = _features("source", recipe, corpus_root, finished, track)
    target, corpora["target"] = _features("target", recipe, corpus_root, finished, track)
    if not len(target.part("test")):
        raise ConfigError(
            "recipe corpora.target", "names no test_speakers", hint="speakers that only the final test hears"
        )
    # A graph layer that does not exist is found now, not after the source model is trained.
    with_embedding(small_model(len(target.labels), recipe), recipe.graph.layer)
    save_recipe(recipe, run_dir.recipe)
    target.save(run_dir.target_features)
    training = target.part("train")
    Normalization.measured(training.x).save(run_dir.normalization)

    document: dict[str, Any] = {}
    _remove_former(run_dir)
    if source:
        source.save(run_dir.source_features)
        if recipe.graph.multiplier:
            embeddings, document["source"] = keep_embeddings(
                run_dir, source, training, recipe, corpus_root, finished, track
            )
            document["graph"] = _make_graph(run_dir, embeddings, training, recipe)
        if recipe.transfer.method != "none":
            document["transfer"] = keep_pretrained(run_dir, source, recipe, finished, track)
    model, document["target"] = _train_small(run_dir, recipe, track)
    save_model(model, run_dir.float_model)
    _record(run_dir, recipe, packages, corpora, document)
    return document


def _graph_packages(recipe: Recipe) -> dict[str, str]:
    """Versions of the packages that only a graph needs."""
    if not recipe.graph.multiplier:
        return {}
    return require_source_model(recipe.source_model) | require_builder(recipe.graph)


def _require_unheard_target(recipe: Recipe, corpus_root: Path | None) -> None:
    """Check that nothing learns from, or chooses by, a recording that the target holds out."""
    source = read_corpus(recipe.corpora.source, corpus_root)
    target = recipe.corpora.target
    require_unheard(
        without_speakers(source, recipe.corpora.source.test_speakers),
        read_corpus(target, corpus_root),
        (*target.validation_speakers, *target.test_speakers),
    )


def _learns_source(recipe: Recipe) -> bool:
    return recipe.graph.multiplier > 0 or recipe.transfer.method != "none"


def _optional(run_dir: RunDir) -> list[Path]:
    """What only some recipes write."""
    return [
        run_dir.source_features,
        run_dir.source_model,
        run_dir.embeddings,
        run_dir.graph,
        run_dir.pretrained_model,
    ]


def _remove_former(run_dir: RunDir) -> None:
    """Remove what a former run of another recipe left: it would be taken for this one's."""
    for path in _optional(run_dir):
        path.unlink(missing_ok=True)


def _record(
    run_dir: RunDir,
    recipe: Recipe,
    packages: dict[str, str],
    corpora: dict[str, Any],
    document: dict[str, Any],
) -> None:
    write_text(run_dir.metrics(STAGE), canonical_json(document))
    run_dir.record_stage(
        STAGE,
        seed=recipe.seed,
        read=[],  # recordings are the user's and stay where they are; they are recorded by corpus
        wrote=[
            run_dir.recipe,
            run_dir.target_features,
            run_dir.normalization,
            run_dir.float_model,
            run_dir.metrics(STAGE),
            *(path for path in _optional(run_dir) if path.exists()),
        ],
        versions=packages,
        facts={"corpora": corpora, "recipe": recipe_tables(STAGE, recipe)},
    )


def _features(
    role: Literal["source", "target"], recipe: Recipe, corpus_root: Path | None, cache: Cache, track: Track
) -> tuple[FeatureSet, dict[str, Any]]:
    """Features of a corpus, and what the manifest says of it: content and split."""
    if role == "source":
        _require_unheard_target(recipe, corpus_root)
    corpus_recipe: CorpusRecipe = getattr(recipe.corpora, role)
    corpus = read_corpus(corpus_recipe, corpus_root)
    if len(corpus.emotions) < 2:
        raise ConfigError(f"recipe corpora.{role}", f"{corpus.name} has one emotion, {corpus.emotions[0]}")
    split = split_speakers(corpus, corpus_recipe.validation_speakers, corpus_recipe.test_speakers)
    features = corpus_features(corpus, split, recipe.features, cache, track)
    if speeds := recipe_speeds(recipe):
        recordings = corpus_recordings(corpus, speeds, recipe.features, cache, track)
        features = replace(features, recordings=recordings)
    return features, {"sha256": corpus_sha256(corpus), "speakers": split.as_document()}


def recipe_speeds(recipe: Recipe) -> tuple[float, ...]:
    """Every speed at which some fit of a recipe hears recordings, in ascending order."""
    stages = (recipe.source_model, recipe.transfer, recipe.training, recipe.pruning, recipe.qat)
    fits = [stage.fit for stage in stages if not isinstance(stage, Wav2Vec2Recipe)]
    return tuple(sorted({speed for fit in fits for speed in fit.augmentation.speeds}))


def _make_graph(
    run_dir: RunDir, embeddings: NDArray[np.float32], training: FeatureSet, recipe: Recipe
) -> dict[str, Any]:
    ids = [str(id) for id in training.ids]
    threshold = build_graph(ids, embeddings, recipe.graph, recipe.seed, run_dir.graph)
    neighbours = load_neighbours(run_dir.graph, ids, recipe.graph, y=training.y, speakers=training.speakers)
    return {"similarity_threshold": threshold} | graph_figures(neighbours, training.y).as_document()


def _train_small(run_dir: RunDir, recipe: Recipe, track: Track) -> tuple[Any, dict[str, Any]]:
    target = load_target(run_dir)
    graph = load_graph(run_dir, recipe.graph, target.training)
    method = recipe.transfer.method
    trunk = None if method == "none" else trunk_weights(load_model(run_dir.pretrained_model))
    # From here on all approaches draw the same numbers: the same first weights of the head, the same order of
    # the clips, the same augmentation.
    make_reproducible(recipe.seed)
    model = small_model(len(target.labels), recipe)
    if trunk:
        take_over(model, trunk)
    if method == "frozen_features":
        freeze_trunk(model)
    fitted = Descent(
        model,
        target.training.clips,
        recipe.training.fit,
        what="small model",
        seed=recipe.seed,
        validation=target.choosing(recipe.corpora.target),
        graph=graph,
    ).run(track)
    return model, {"fit": fitted.as_document(), "parameters": model.count_params(), **scores(model, target)}
