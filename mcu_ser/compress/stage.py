# SPDX-License-Identifier: Apache-2.0
"""The compress stage: turns the trained model of a run into a pruned one and its int8-aware weights.

Reads recipe.toml and train/ of the run directory; writes compress/ for the convert stage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcu_ser.artifacts import canonical_json, write_text
from mcu_ser.compress.prune import prune
from mcu_ser.compress.qat import quantization_aware, save_weights
from mcu_ser.progress import silent
from mcu_ser.train.evaluate import score
from mcu_ser.train.fit import Descent, make_reproducible, predict
from mcu_ser.train.keras_file import load_model, save_model
from mcu_ser.train.nsl_import import versions
from mcu_ser.train.target import load_graph, load_target

if TYPE_CHECKING:
    from mcu_ser.artifacts import RunDir
    from mcu_ser.progress import Track
    from mcu_ser.recipe import Recipe
    from mcu_ser.train.graph_regularization import GraphRegularization
    from mcu_ser.train.target import Target

STAGE = "compress"


def run(run_dir: RunDir, recipe: Recipe, track: Track = silent) -> dict[str, Any]:
    """Prune, then train quantisation-aware; returns the document of compress/metrics.json.

    Args:
        run_dir: After the train stage.
        recipe: What that stage left in recipe.toml.
        track: Progress.

    Raises:
        ConfigError: The train stage has not been here.
    """
    target = load_target(run_dir)
    graph = load_graph(run_dir, recipe.graph, target.training)
    document = {
        "pruned": _prune(run_dir, recipe, target, graph, track),
        "qat": _train_quantized(run_dir, recipe, target, graph, track),
    }
    write_text(run_dir.metrics(STAGE), canonical_json(document))
    run_dir.record_stage(
        STAGE,
        seed=recipe.seed,
        read=[
            run_dir.recipe,
            run_dir.target_features,
            run_dir.normalization,
            run_dir.graph,
            run_dir.float_model,
        ],
        wrote=[run_dir.pruned_model, run_dir.qat_weights, run_dir.metrics(STAGE)],
        versions=versions(),
    )
    return document


def _prune(
    run_dir: RunDir, recipe: Recipe, target: Target, graph: GraphRegularization | None, track: Track
) -> dict[str, Any]:
    make_reproducible(recipe.seed)
    pruned, fitted = prune(
        load_model(run_dir.require(run_dir.float_model, "train")),
        target.training.clips,
        recipe.pruning,
        seed=recipe.seed,
        validation=target.validation.clips if target.validation else None,
        graph=graph,
        track=track,
    )
    save_model(pruned, run_dir.pruned_model)
    return {"fit": fitted.as_document(), **_scores(pruned, target)}


def _train_quantized(
    run_dir: RunDir, recipe: Recipe, target: Target, graph: GraphRegularization | None, track: Track
) -> dict[str, Any]:
    make_reproducible(recipe.seed)
    # From the file, as the convert stage will: what it quantises is then what was trained here.
    aware = quantization_aware(load_model(run_dir.pruned_model))
    descent = Descent(
        aware,
        target.training.clips,
        recipe.qat.fit,
        what="quantisation-aware training",
        seed=recipe.seed,
        validation=target.validation.clips if target.validation else None,
        graph=graph,
    )
    fitted = descent.run(track)
    save_weights(aware, run_dir.qat_weights)
    return {"fit": fitted.as_document(), **_scores(aware, target)}


def _scores(model: Any, target: Target) -> dict[str, Any]:
    parts = {"validation": target.validation, "test": target.test}
    return {
        name: score(predict(model, part.clips.x), part.clips.y).as_document()
        for name, part in parts.items()
        if part
    }
