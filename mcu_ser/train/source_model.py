# SPDX-License-Identifier: Apache-2.0
"""Turns the source corpus into a source model, and the target's training clips into its embeddings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from mcu_ser.artifacts import canonical_json, write_text
from mcu_ser.code_digest import TRAINING_CODE, code_digest
from mcu_ser.corpus.content import audio_content
from mcu_ser.corpus.read import read_corpus
from mcu_ser.features.clip import SAMPLE_RATE_HZ, pcm16, trimmed
from mcu_ser.features.normalization import Normalization
from mcu_ser.programs import package_versions, require_packages
from mcu_ser.recipe import SourceCnnRecipe, Wav2Vec2Recipe
from mcu_ser.train.cache import features_digest, trained_once
from mcu_ser.train.embed import embed, save_embeddings
from mcu_ser.train.evaluate import score
from mcu_ser.train.fit import Descent, make_reproducible
from mcu_ser.train.keras_file import load_model
from mcu_ser.train.models import source_cnn
from mcu_ser.train.nsl_import import versions
from mcu_ser.train.target import divided, scores
from mcu_ser.train.wav2vec2_checkpoint import find_checkpoint

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from mcu_ser.artifacts import RunDir
    from mcu_ser.corpus.utterance import Utterance
    from mcu_ser.features.feature_set import FeatureSet
    from mcu_ser.progress import Track
    from mcu_ser.recipe import CorpusRecipe, FeaturesRecipe, Recipe
    from mcu_ser.train.cache import Cache
    from mcu_ser.train.wav2vec2 import Wav2Vec2
    from mcu_ser.train.wav2vec2_fit import Latents


def check_source_model(recipe: Recipe) -> None:
    """Find what a recipe's source model lacks, before hours of work.

    Raises:
        ConfigError: The checkpoint is incomplete or of another kind.
        ToolMissingError: The [wav2vec2] extra is not installed.
    """
    if isinstance(recipe.source_model, Wav2Vec2Recipe):
        find_checkpoint(recipe.source_model.checkpoint)
        require_packages("wav2vec2")


def keep_embeddings(
    run_dir: RunDir,
    source: FeatureSet,
    training: FeatureSet,
    recipe: Recipe,
    corpus_root: Path | None,
    cache: Cache,
    track: Track,
) -> tuple[NDArray[np.float32], dict[str, Any]]:
    """Put embeddings into the run directory, and with them a source model that is no larger than its corpus.

    A fine-tuned wav2vec 2.0 has hundreds of megabytes and no further use: it is not kept.

    Args:
        run_dir: Where embeddings.npz and source_model.keras go.
        source: The source corpus.
        training: The target's training utterances.
        recipe: Corpora, source model, seed.
        corpus_root: Where recordings are, for a model that hears them.
        cache: Where they may be already.
        track: Progress.

    Returns:
        Embeddings of `training`, float32 (n, dimensions), and the source model's document for metrics.json.
    """
    if isinstance(recipe.source_model, Wav2Vec2Recipe):
        embeddings, document = _wav2vec2(source, training, recipe, corpus_root, cache, track)
    else:
        document = _keep_cnn(run_dir, source, recipe, cache, track)
        # The source model knows features normalised as its own corpus was. It comes from its file whether it
        # was trained now or found, so that the graph cannot differ.
        normalization = Normalization.measured(source.part("train").x)
        embeddings = embed(load_model(run_dir.source_model), normalization.apply(training.x))
    save_embeddings(run_dir.embeddings, training.ids, embeddings)
    return embeddings, document


def _keep_cnn(
    run_dir: RunDir, source: FeatureSet, recipe: Recipe, cache: Cache, track: Track
) -> dict[str, Any]:
    """Put the source model into the run directory; returns its document."""
    inputs = {
        "source": features_digest(source),
        "source_model": recipe.source_model.model_dump(mode="json"),
        "seed": recipe.seed,
    }
    return trained_once(
        cache, "source-model", inputs, lambda: _train_cnn(source, recipe, track), run_dir.source_model
    )


def _train_cnn(features: FeatureSet, recipe: Recipe, track: Track) -> tuple[Any, dict[str, Any]]:
    make_reproducible(recipe.seed)
    corpus = divided(features)
    assert isinstance(recipe.source_model, SourceCnnRecipe)
    model = source_cnn.build(corpus.shape, len(corpus.labels), width=recipe.source_model.width)
    fitted = Descent(
        model,
        corpus.training.clips,
        recipe.source_model.fit,
        what="source model",
        seed=recipe.seed,
        validation=corpus.validation.clips if corpus.validation else None,
    ).run(track)
    return model, {"fit": fitted.as_document(), "parameters": model.count_params(), **scores(model, corpus)}


def _wav2vec2(
    source: FeatureSet,
    training: FeatureSet,
    recipe: Recipe,
    corpus_root: Path | None,
    cache: Cache,
    track: Track,
) -> tuple[NDArray[np.float32], dict[str, Any]]:
    """Embeddings by a fine-tuned wav2vec 2.0 and its document, from the cache or by fine-tuning it."""
    assert isinstance(recipe.source_model, Wav2Vec2Recipe)
    heard = {
        "source": _recordings(source, recipe.corpora.source, corpus_root),
        "target": _recordings(training, recipe.corpora.target, corpus_root),
    }
    checkpoint = find_checkpoint(recipe.source_model.checkpoint).digests()
    packages = {**versions(), **package_versions("wav2vec2")}
    inputs = {
        "audio": {role: {id: audio_content(one) for id, one in all.items()} for role, all in heard.items()},
        "classes": {str(id): int(y) for id, y in zip(source.ids, source.y, strict=True)},
        "parts": {str(id): str(part) for id, part in zip(source.ids, source.split, strict=True)},
        "checkpoint": checkpoint,
        "source_model": recipe.source_model.model_dump(mode="json", exclude={"checkpoint"}),
        "trimming": recipe.features.model_dump(mode="json"),
        "seed": recipe.seed,
        "code": code_digest(*TRAINING_CODE),
        "versions": packages,
    }

    def make(directory: Path) -> None:
        embeddings, document = _fine_tune(source, training, heard, recipe, track)
        np.save(directory / "embeddings.npy", embeddings)
        document |= {"checkpoint": checkpoint, "versions": package_versions("wav2vec2")}
        write_text(directory / "document.json", canonical_json(document))

    with cache.entry("wav2vec2", inputs, make) as found:
        embeddings = np.load(found / "embeddings.npy", allow_pickle=False)
        return embeddings, json.loads((found / "document.json").read_text(encoding="utf-8"))


def _recordings(features: FeatureSet, corpus: CorpusRecipe, corpus_root: Path | None) -> dict[str, Utterance]:
    """The utterances of a feature set, by id, in its order."""
    by_id = {one.id: one for one in read_corpus(corpus, corpus_root).utterances}
    return {str(id): by_id[str(id)] for id in features.ids}


def _fine_tune(
    source: FeatureSet,
    training: FeatureSet,
    heard: Mapping[str, Mapping[str, Utterance]],
    recipe: Recipe,
    track: Track,
) -> tuple[NDArray[np.float32], dict[str, Any]]:
    from mcu_ser.train.wav2vec2 import Wav2Vec2
    from mcu_ser.train.wav2vec2_fit import FineTuning, classify, embed

    chosen = recipe.source_model
    assert isinstance(chosen, Wav2Vec2Recipe)
    make_reproducible(recipe.seed)
    checkpoint = find_checkpoint(chosen.checkpoint)
    model = Wav2Vec2(checkpoint, len(source.labels), max_seconds=chosen.max_seconds)
    parts = {
        name: _latents(model, source.part(name), heard["source"], recipe.features, track)
        for name in ("train", "validation", "test")
    }
    validation = parts["validation"] if len(parts["validation"].y) else None
    fit = FineTuning(model, parts["train"], validation, chosen, recipe.seed).run(track)
    document: dict[str, Any] = {"fit": fit, "parameters": model.model.count_params()}
    for name in ("validation", "test"):
        if len(parts[name].y):
            decided = score(classify(model, parts[name].x, chosen.batch_size), parts[name].y)
            document[name] = decided.as_document()
    target = _latents(model, training, heard["target"], recipe.features, track)
    return embed(model, target.x, chosen.batch_size), document


def _latents(
    model: Wav2Vec2,
    features: FeatureSet,
    heard: Mapping[str, Utterance],
    spec: FeaturesRecipe,
    track: Track,
) -> Latents:
    """What the frozen encoder makes of the same samples that the log-mel front end hears: trimmed, 16 bit."""
    from mcu_ser.train.wav2vec2_fit import Latents

    latents = []
    with track("wav2vec 2.0 latents", len(features)) as advance:
        for id in features.ids:
            pcm = trimmed(pcm16(heard[str(id)].audio.samples(SAMPLE_RATE_HZ)), spec)
            latents.append(model.latents((pcm / np.float32(32768)).astype(np.float32)))
            advance(1)
    return Latents(latents, features.y)
