# SPDX-License-Identifier: Apache-2.0
"""The train stage: turns a recipe and its corpora into a source model, a graph and a trained small model.

Reads corpora; writes recipe.toml and train/ of the run directory for the compress and convert stages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcu_ser.artifacts import canonical_json, write_text
from mcu_ser.corpus.read import read_corpus
from mcu_ser.corpus.splits import PARTS, split_speakers
from mcu_ser.errors import ConfigError
from mcu_ser.features.feature_set import FeatureSet, extract
from mcu_ser.features.normalization import Normalization
from mcu_ser.progress import silent
from mcu_ser.recipe import SourceCnnRecipe, save_recipe
from mcu_ser.train.embed import embed, save_embeddings
from mcu_ser.train.evaluate import score
from mcu_ser.train.fit import Clips, Descent, make_reproducible, predict
from mcu_ser.train.graph_builder import build_graph
from mcu_ser.train.graph_figures import graph_figures
from mcu_ser.train.graph_regularization import with_embedding
from mcu_ser.train.keras_file import save_model
from mcu_ser.train.models import build_small, source_cnn
from mcu_ser.train.neighbours import load_neighbours
from mcu_ser.train.nsl_import import versions
from mcu_ser.train.target import load_graph, load_target

if TYPE_CHECKING:
    from pathlib import Path

    from mcu_ser.artifacts import RunDir
    from mcu_ser.progress import Track
    from mcu_ser.recipe import CorpusRecipe, Recipe

STAGE = "train"


def run(
    run_dir: RunDir, recipe: Recipe, corpus_root: Path | None = None, track: Track = silent
) -> dict[str, Any]:
    """Train; returns the document of train/metrics.json.

    Args:
        run_dir: Where the stage writes.
        recipe: Its resolved form becomes recipe.toml.
        corpus_root: Where recordings are; the synthetic corpus needs none.
        track: Progress.

    Raises:
        ConfigError: The recipe does not fit its corpora.
        CorpusError: A corpus is absent, empty or unreadable.
    """
    source = _features("source", recipe.corpora.source, recipe, corpus_root, track)
    target = _features("target", recipe.corpora.target, recipe, corpus_root, track)
    if not len(target.part("test")):
        raise ConfigError(
            "recipe corpora.target", "names no test_speakers", hint="speakers that only the final test hears"
        )
    # A graph layer that does not exist is found now, not after the source model is trained.
    with_embedding(_small_model(len(target.labels), recipe), recipe.graph.layer)
    save_recipe(recipe, run_dir.recipe)
    source.save(run_dir.source_features)
    target.save(run_dir.target_features)
    training = target.part("train")
    Normalization.measured(training.x).save(run_dir.normalization)

    make_reproducible(recipe.seed)
    source_model, source_document = _train_source(source, recipe, track)
    save_model(source_model, run_dir.source_model)
    graph_document = _make_graph(run_dir, source_model, source, training, recipe)
    make_reproducible(recipe.seed)
    model, target_document = _train_small(run_dir, recipe, track)
    save_model(model, run_dir.float_model)

    document = {"source": source_document, "graph": graph_document, "target": target_document}
    _record(run_dir, recipe, document)
    return document


def _record(run_dir: RunDir, recipe: Recipe, document: dict[str, Any]) -> None:
    write_text(run_dir.metrics(STAGE), canonical_json(document))
    run_dir.record_stage(
        STAGE,
        seed=recipe.seed,
        # Recordings are the user's and stay where they are; the feature files stand for them.
        read=[],
        wrote=[
            run_dir.recipe,
            run_dir.source_features,
            run_dir.target_features,
            run_dir.normalization,
            run_dir.source_model,
            run_dir.embeddings,
            run_dir.graph,
            run_dir.float_model,
            run_dir.metrics(STAGE),
        ],
        versions=versions(),
    )


def _features(
    role: str, corpus_recipe: CorpusRecipe, recipe: Recipe, corpus_root: Path | None, track: Track
) -> FeatureSet:
    corpus = read_corpus(corpus_recipe, corpus_root)
    if len(corpus.emotions) < 2:
        raise ConfigError(f"recipe corpora.{role}", f"{corpus.name} has one emotion, {corpus.emotions[0]}")
    split = split_speakers(corpus, corpus_recipe.validation_speakers, corpus_recipe.test_speakers)
    return extract(corpus, split, recipe.features, track)


def _clips(features: FeatureSet, normalization: Normalization) -> Clips | None:
    return Clips(normalization.apply(features.x), features.y) if len(features) else None


def _scores(model: Any, parts: dict[str, Clips | None]) -> dict[str, Any]:
    return {
        name: score(predict(model, clips.x), clips.y).as_document() for name, clips in parts.items() if clips
    }


def _train_source(features: FeatureSet, recipe: Recipe, track: Track) -> tuple[Any, dict[str, Any]]:
    normalization = Normalization.measured(features.part("train").x)
    clips = {name: _clips(features.part(name), normalization) for name in PARTS}
    training = clips.pop("train")
    assert training is not None  # SpeakerSplit refuses a split without training speakers
    assert isinstance(recipe.source_model, SourceCnnRecipe)
    model = source_cnn.build(
        (recipe.features.frames, recipe.features.mels), len(features.labels), width=recipe.source_model.width
    )
    fitted = Descent(
        model,
        training,
        recipe.source_model.fit,
        what="source model",
        seed=recipe.seed,
        validation=clips["validation"],
    ).run(track)
    document = {"fit": fitted.as_document(), "parameters": model.count_params(), **_scores(model, clips)}
    return model, document


def _make_graph(
    run_dir: RunDir, source_model: Any, source: FeatureSet, training: FeatureSet, recipe: Recipe
) -> dict[str, Any]:
    # The source model knows features normalised as its own corpus was.
    normalization = Normalization.measured(source.part("train").x)
    embeddings = embed(source_model, normalization.apply(training.x))
    save_embeddings(run_dir.embeddings, training.ids, embeddings)
    ids = [str(id) for id in training.ids]
    threshold = build_graph(ids, embeddings, recipe.graph, recipe.seed, run_dir.graph)
    neighbours = load_neighbours(run_dir.graph, ids, recipe.graph, y=training.y, speakers=training.speakers)
    return {"similarity_threshold": threshold} | graph_figures(neighbours, training.y).as_document()


def _train_small(run_dir: RunDir, recipe: Recipe, track: Track) -> tuple[Any, dict[str, Any]]:
    target = load_target(run_dir)
    model = _small_model(len(target.labels), recipe)
    fitted = Descent(
        model,
        target.training.clips,
        recipe.training.fit,
        what="small model",
        seed=recipe.seed,
        validation=target.validation.clips if target.validation else None,
        graph=load_graph(run_dir, recipe.graph, target.training),
    ).run(track)
    document: dict[str, Any] = {"fit": fitted.as_document(), "parameters": model.count_params()}
    if target.validation:
        document |= _scores(model, {"validation": target.validation.clips})
    return model, document | _scores(model, {"test": target.test.clips if target.test else None})


def _small_model(classes: int, recipe: Recipe) -> Any:
    shape = (recipe.features.frames, recipe.features.mels)
    return build_small(shape, classes, recipe.model)
