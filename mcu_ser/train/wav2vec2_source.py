# SPDX-License-Identifier: Apache-2.0
"""Turns the source corpus into a fine-tuned wav2vec 2.0 and utterances into its embeddings, once per cache.

Fine-tuning hears nothing of the target corpus, so all folds of a study share it; and folds have most speakers
in common, so embeddings are kept speaker by speaker, as features are.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from mcu_ser.artifacts import canonical_json, write_text
from mcu_ser.code_digest import TRAINING_CODE, code_digest
from mcu_ser.corpus.content import audio_content
from mcu_ser.corpus.read import read_corpus
from mcu_ser.features.clip import SAMPLE_RATE_HZ, pcm16, trimmed
from mcu_ser.programs import package_versions
from mcu_ser.recipe import Wav2Vec2Recipe
from mcu_ser.train.evaluate import score
from mcu_ser.train.fit import make_reproducible
from mcu_ser.train.nsl_import import versions
from mcu_ser.train.wav2vec2_checkpoint import find_checkpoint

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from mcu_ser.corpus.utterance import Utterance
    from mcu_ser.features.feature_set import FeatureSet
    from mcu_ser.progress import Track
    from mcu_ser.recipe import CorpusRecipe, FeaturesRecipe, Recipe
    from mcu_ser.train.cache import Cache
    from mcu_ser.train.wav2vec2 import Wav2Vec2

    Recordings = Mapping[str, Utterance]
    """By id, in the order of a feature set."""

_WEIGHTS, _DOCUMENT, _EMBEDDINGS = "weights.npz", "document.json", "embeddings.npy"


def wav2vec2_embeddings(
    source: FeatureSet,
    training: FeatureSet,
    recipe: Recipe,
    corpus_root: Path | None,
    cache: Cache,
    track: Track,
) -> tuple[NDArray[np.float32], dict[str, Any]]:
    """Embeddings of the target's training utterances and the document of the fine-tuned model.

    Args:
        source: The source corpus; its ids say which recordings, its split what they are for.
        training: The target's training utterances.
        recipe: Its source model is a wav2vec 2.0.
        corpus_root: Where recordings are.
        cache: Where models and embeddings may be already. A model has hundreds of megabytes.
        track: Progress.

    Returns:
        float32 (n, classifier_proj_size) in the order of `training`; a document for metrics.json.
    """
    heard = _recordings(source, recipe.corpora.source, corpus_root)
    inputs = _inputs(source, heard, recipe)
    with cache.entry(
        "wav2vec2",
        inputs,
        lambda place: _keep_fine_tuned(place, source, heard, recipe, track),
        alone=True,
    ) as found:
        tuned = _FineTuned(found, len(source.labels), recipe, inputs)
        rows: dict[str, NDArray[np.float32]] = {}
        spoken = _recordings(training, recipe.corpora.target, corpus_root)
        with track("wav2vec 2.0 embeddings", len(training)) as advance:
            for speaker in sorted({one.speaker for one in spoken.values()}):
                own = {id: one for id, one in spoken.items() if one.speaker == speaker}
                rows |= _embedded(tuned, own, cache)
                advance(len(own))
        document = json.loads((found / _DOCUMENT).read_text(encoding="utf-8"))
    return np.stack([rows[str(id)] for id in training.ids]), document


@dataclass(frozen=True)
class _FineTuned:
    """A model in the cache, read when it is first used.

    It comes from its file whether it was trained now or found, so that the graph cannot differ.
    """

    place: Path
    classes: int
    recipe: Recipe
    inputs: Mapping[str, Any]

    @cached_property
    def model(self) -> Wav2Vec2:
        model = _untrained(self.classes, self.recipe)
        with np.load(self.place / _WEIGHTS, allow_pickle=False) as kept:
            for variable, name in zip(model.trained, kept.files, strict=True):
                variable.assign(kept[name])
        return model


def _inputs(source: FeatureSet, heard: Recordings, recipe: Recipe) -> dict[str, Any]:
    """What decides the fine-tuned model, for the cache."""
    chosen = _chosen(recipe)
    return {
        "audio": {id: audio_content(one) for id, one in heard.items()},
        "classes": {str(id): int(y) for id, y in zip(source.ids, source.y, strict=True)},
        "parts": {str(id): str(part) for id, part in zip(source.ids, source.split, strict=True)},
        "checkpoint": find_checkpoint(chosen.checkpoint).digests(),
        "source_model": chosen.model_dump(mode="json", exclude={"checkpoint"}),
        "validation_use": recipe.corpora.source.validation_use,
        "trimming": recipe.features.model_dump(mode="json"),
        "seed": recipe.seed,
        "code": code_digest(*TRAINING_CODE),
        "versions": {**versions(), **package_versions("wav2vec2")},
    }


def _chosen(recipe: Recipe) -> Wav2Vec2Recipe:
    assert isinstance(recipe.source_model, Wav2Vec2Recipe)
    return recipe.source_model


def _recordings(features: FeatureSet, corpus: CorpusRecipe, corpus_root: Path | None) -> Recordings:
    by_id = {one.id: one for one in read_corpus(corpus, corpus_root).utterances}
    return {str(id): by_id[str(id)] for id in features.ids}


def _untrained(classes: int, recipe: Recipe) -> Wav2Vec2:
    from mcu_ser.train.wav2vec2 import Wav2Vec2

    chosen = _chosen(recipe)
    return Wav2Vec2(find_checkpoint(chosen.checkpoint), classes, max_seconds=chosen.max_seconds)


def _keep_fine_tuned(
    place: Path, source: FeatureSet, heard: Recordings, recipe: Recipe, track: Track
) -> None:
    from mcu_ser.train.wav2vec2_fit import FineTuning, Latents, classify

    chosen = _chosen(recipe)
    make_reproducible(recipe.seed)
    model = _untrained(len(source.labels), recipe)
    parts: dict[str, Latents] = {}
    with track("wav2vec 2.0 latents", len(source)) as advance:
        for name in ("train", "validation", "test"):
            part = source.part(name)
            parts[name] = Latents(
                [_latents(model, heard[str(id)], recipe.features) for id in part.ids], part.y
            )
            advance(len(part))
    chooses = recipe.corpora.source.validation_use == "chooses_epoch" and len(parts["validation"].y)
    validation = parts["validation"] if chooses else None
    fit = FineTuning(model, parts["train"], validation, chosen, recipe.seed).run(track)
    document: dict[str, Any] = {"fit": fit, "parameters": model.model.count_params()}
    for name in ("validation", "test"):
        if len(parts[name].y):
            decided = score(classify(model, parts[name].x, chosen.batch_size), parts[name].y)
            document[name] = decided.as_document()
    document |= {
        "checkpoint": find_checkpoint(chosen.checkpoint).digests(),
        "versions": package_versions("wav2vec2"),
    }
    # The frozen encoder is the checkpoint's, whose hash is in the entry's name.
    np.savez(place / _WEIGHTS, *(variable.numpy() for variable in model.trained))
    write_text(place / _DOCUMENT, canonical_json(document))


def _embedded(tuned: _FineTuned, spoken: Recordings, cache: Cache) -> dict[str, NDArray[np.float32]]:
    """Embeddings of a speaker's utterances, by id."""
    from mcu_ser.train.wav2vec2_fit import embed

    recipe = tuned.recipe

    def make(place: Path) -> None:
        latents = [_latents(tuned.model, one, recipe.features) for one in spoken.values()]
        np.save(place / _EMBEDDINGS, embed(tuned.model, latents, _chosen(recipe).batch_size))

    audio = {id: audio_content(one) for id, one in spoken.items()}
    with cache.entry("wav2vec2-embeddings", {"model": dict(tuned.inputs), "audio": audio}, make) as found:
        return dict(zip(spoken, np.load(found / _EMBEDDINGS, allow_pickle=False), strict=True))


def _latents(model: Wav2Vec2, utterance: Utterance, spec: FeaturesRecipe) -> NDArray[np.float32]:
    """What the frozen encoder makes of the same samples that the log-mel front end hears: trimmed, 16 bit."""
    pcm = trimmed(pcm16(utterance.audio.samples(SAMPLE_RATE_HZ)), spec)
    return model.latents((pcm / np.float32(32768)).astype(np.float32))
