# SPDX-License-Identifier: Apache-2.0
"""The compress stage: turns the trained model of a run into a pruned one and its int8-aware weights.

Reads recipe.toml and train/ of the run directory; writes compress/ for the convert stage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcu_ser.artifacts import canonical_json, write_text
from mcu_ser.compress.prune import prune
from mcu_ser.compress.qat import quantization_aware, save_weights
from mcu_ser.features.feature_set import FeatureSet
from mcu_ser.progress import silent
from mcu_ser.provenance import recipe_tables, require_made_of_one_another
from mcu_ser.recipe import load_recipe, save_recipe
from mcu_ser.train.cache import Cache, trained_once
from mcu_ser.train.fit import Descent, make_reproducible
from mcu_ser.train.keras_file import load_model, save_model
from mcu_ser.train.nsl_import import versions
from mcu_ser.train.target import divided, load_graph, load_target, scores
from mcu_ser.train.transfer import freeze_trunk, pretraining_inputs, take_over, trunk_weights

if TYPE_CHECKING:
    from mcu_ser.artifacts import RunDir
    from mcu_ser.progress import Track
    from mcu_ser.recipe import Recipe
    from mcu_ser.train.graph_regularization import GraphRegularization
    from mcu_ser.train.target import Target

STAGE = "compress"


def run(run_dir: RunDir, recipe: Recipe, track: Track = silent, cache: Cache | None = None) -> dict[str, Any]:
    """Prune, then train quantisation-aware; returns the document of compress/metrics.json.

    With frozen features the trunk must not be moved by the target corpus here either: it is pruned on the
    source corpus, where it was trained; on the target only the head is pruned and trained, and
    quantisation-aware training of the trunk is left with the ranges of its activations.

    Args:
        run_dir: After the train stage.
        recipe: What that stage left in recipe.toml, or that with another [pruning], which recipe.toml gets.
        track: Progress.
        cache: Where the trunk that was pruned on the source corpus is kept for other runs, or found; the run
            directory gets a copy.

    Raises:
        ConfigError: The train stage has not finished, or files or recipe are not of one run.
    """
    require_made_of_one_another(run_dir, recipe, ["train"])
    target = load_target(run_dir)
    graph = load_graph(run_dir, recipe.graph, target.training)
    run_dir.pruned_pretrained_model.unlink(missing_ok=True)  # a former recipe's
    document = _prune_trunk(run_dir, recipe, cache or Cache(), track) if _is_frozen(recipe) else {}
    document["pruned"] = _prune(run_dir, recipe, target, graph, track)
    document["qat"] = _train_quantized(run_dir, recipe, target, graph, track)
    write_text(run_dir.metrics(STAGE), canonical_json(document))
    is_another = load_recipe(run_dir.recipe) != recipe
    if is_another:
        save_recipe(recipe, run_dir.recipe)
    _record(run_dir, recipe, wrote_recipe=is_another)
    return document


def _is_frozen(recipe: Recipe) -> bool:
    return recipe.transfer.method == "frozen_features"


def _record(run_dir: RunDir, recipe: Recipe, *, wrote_recipe: bool) -> None:
    from_source = [run_dir.source_features, run_dir.pretrained_model] if _is_frozen(recipe) else []
    run_dir.record_stage(
        STAGE,
        seed=recipe.seed,
        read=[
            *([] if wrote_recipe else [run_dir.recipe]),
            run_dir.target_features,
            run_dir.normalization,
            *([run_dir.graph] if recipe.graph.multiplier else []),
            *from_source,
            run_dir.float_model,
        ],
        wrote=[
            *([run_dir.recipe] if wrote_recipe else []),
            *([run_dir.pruned_pretrained_model] if _is_frozen(recipe) else []),
            run_dir.pruned_model,
            run_dir.qat_weights,
            run_dir.metrics(STAGE),
        ],
        versions=versions(),
        facts={"recipe": recipe_tables(STAGE, recipe)},
    )


def _prune_trunk(run_dir: RunDir, recipe: Recipe, cache: Cache, track: Track) -> dict[str, Any]:
    """Prune the pretrained model on the corpus that it learnt, for its trunk."""
    source = FeatureSet.load(run_dir.require(run_dir.source_features, "train"))
    pretrained = run_dir.require(run_dir.pretrained_model, "train")
    inputs = pretraining_inputs(source, recipe) | {"pruning": recipe.pruning.model_dump(mode="json")}

    def train() -> tuple[Any, dict[str, Any]]:
        corpus = divided(source)
        model = load_model(pretrained)
        make_reproducible(recipe.seed)
        pruned, fitted = prune(
            model,
            corpus.training.clips,
            recipe.pruning,
            seed=recipe.seed,
            validation=corpus.choosing(recipe.corpora.source),
            track=track,
        )
        return pruned, {"fit": fitted.as_document(), **scores(pruned, corpus)}

    document = trained_once(cache, "pruned-pretrained", inputs, train, run_dir.pruned_pretrained_model)
    return {"pruned_pretrained": document}


def _prune(
    run_dir: RunDir, recipe: Recipe, target: Target, graph: GraphRegularization | None, track: Track
) -> dict[str, Any]:
    model = load_model(run_dir.require(run_dir.float_model, "train"))
    if _is_frozen(recipe):
        take_over(model, trunk_weights(load_model(run_dir.pruned_pretrained_model)))
        freeze_trunk(model)
    make_reproducible(recipe.seed)
    pruned, fitted = prune(
        model,
        target.training.clips,
        recipe.pruning,
        seed=recipe.seed,
        validation=target.choosing(recipe.corpora.target),
        graph=graph,
        head_only=_is_frozen(recipe),
        track=track,
    )
    save_model(pruned, run_dir.pruned_model)
    return {"fit": fitted.as_document(), **scores(pruned, target)}


def _train_quantized(
    run_dir: RunDir, recipe: Recipe, target: Target, graph: GraphRegularization | None, track: Track
) -> dict[str, Any]:
    make_reproducible(recipe.seed)
    # From the file, as the convert stage will: what it quantises is then what was trained here.
    aware = quantization_aware(load_model(run_dir.pruned_model))
    if _is_frozen(recipe):
        freeze_trunk(aware)
    descent = Descent(
        aware,
        target.training.clips,
        recipe.qat.fit,
        what="quantisation-aware training",
        seed=recipe.seed,
        validation=target.choosing(recipe.corpora.target),
        graph=graph,
    )
    fitted = descent.run(track)
    save_weights(aware, run_dir.qat_weights)
    return {"fit": fitted.as_document(), **scores(aware, target)}
