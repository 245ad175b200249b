# SPDX-License-Identifier: Apache-2.0
"""Turns the source corpus into a source model, and the target's training clips into its embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcu_ser.features.normalization import Normalization
from mcu_ser.recipe import SourceCnnRecipe, Wav2Vec2Recipe
from mcu_ser.train.cache import features_digest, trained_once
from mcu_ser.train.embed import embed, save_embeddings
from mcu_ser.train.fit import Descent, make_reproducible
from mcu_ser.train.keras_file import load_model
from mcu_ser.train.models import source_cnn
from mcu_ser.train.target import divided, scores
from mcu_ser.train.wav2vec2_source import wav2vec2_embeddings

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from mcu_ser.artifacts import RunDir
    from mcu_ser.features.feature_set import FeatureSet
    from mcu_ser.progress import Track
    from mcu_ser.recipe import Recipe
    from mcu_ser.train.cache import Cache


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

    A fine-tuned wav2vec 2.0 has hundreds of megabytes and no further use: only a cache keeps it.

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
        embeddings, document = wav2vec2_embeddings(source, training, recipe, corpus_root, cache, track)
    else:
        document = _keep_cnn(run_dir, source, recipe, cache, track)
        # The source model knows features normalised as its own corpus was. It comes from its file whether it
        # was trained now or found, so that the graph cannot differ.
        normalization = Normalization.measured(source.part("train").x)
        model, clips = load_model(run_dir.source_model), normalization.apply(training.x)
        embeddings = embed(model, clips, centred=recipe.source_model.centred)
    save_embeddings(run_dir.embeddings, training.ids, embeddings)
    return embeddings, document


def _keep_cnn(
    run_dir: RunDir, source: FeatureSet, recipe: Recipe, cache: Cache, track: Track
) -> dict[str, Any]:
    """Put the source model into the run directory; returns its document."""
    inputs = {
        "source": features_digest(source),
        # What is done with its embeddings does not decide the model.
        "source_model": recipe.source_model.model_dump(mode="json", exclude={"centred"}),
        "validation_use": recipe.corpora.source.validation_use,
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
        validation=corpus.choosing(recipe.corpora.source),
    ).run(track)
    return model, {"fit": fitted.as_document(), "parameters": model.count_params(), **scores(model, corpus)}
