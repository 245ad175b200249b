# SPDX-License-Identifier: Apache-2.0
"""Turns a small model that learnt the source corpus into the start of one that learns the target corpus.

The head is a model's last dense layer, which knows the classes of its corpus; the trunk is all before it, and
what is taken over. Each corpus is normalised by its own training figures, in pretraining and after: per-band
level and spread belong to a corpus's rooms and microphones, not to emotion, so a trunk meets in the target
what it met in the source, and a device folds the target's figures into its front end with or without
transfer.

A frozen trunk computes as in inference: its weights, and the moving averages of its batch normalisation, stay
as the source corpus left them, and nothing is dropped in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcu_ser.errors import ConfigError
from mcu_ser.train.cache import features_digest, trained_once
from mcu_ser.train.fit import Descent, make_reproducible
from mcu_ser.train.models import build_small
from mcu_ser.train.nsl_import import keras
from mcu_ser.train.target import divided, scores

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mcu_ser.artifacts import RunDir
    from mcu_ser.features.feature_set import FeatureSet
    from mcu_ser.progress import Track
    from mcu_ser.recipe import Recipe
    from mcu_ser.train.cache import Cache

    Weights = dict[str, list[NDArray[np.float32]]]


def small_model(classes: int, recipe: Recipe) -> Any:
    """The untrained small model of a recipe for a number of emotions."""
    return build_small((recipe.features.frames, recipe.features.mels), classes, recipe.model)


def keep_pretrained(
    run_dir: RunDir, source: FeatureSet, recipe: Recipe, cache: Cache, track: Track
) -> dict[str, Any]:
    """Put the small model of the source corpus into the run directory; returns its document for metrics.json.

    Args:
        run_dir: Gets `pretrained_model`.
        source: Features of the source corpus.
        recipe: Its model, `transfer.fit` and seed.
        cache: Where it may be already.
        track: Progress.
    """
    return trained_once(
        cache,
        "pretrained",
        pretraining_inputs(source, recipe),
        lambda: _pretrained(source, recipe, track),
        run_dir.pretrained_model,
    )


def pretraining_inputs(source: FeatureSet, recipe: Recipe) -> dict[str, Any]:
    """What decides the pretrained small model, for the cache."""
    return {
        "source": features_digest(source),
        "model": recipe.model.model_dump(mode="json"),
        "fit": recipe.transfer.fit.model_dump(mode="json"),
        "validation_use": recipe.corpora.source.validation_use,
        "seed": recipe.seed,
    }


def _pretrained(source: FeatureSet, recipe: Recipe, track: Track) -> tuple[Any, dict[str, Any]]:
    make_reproducible(recipe.seed)
    corpus = divided(source)
    model = small_model(len(corpus.labels), recipe)
    fitted = Descent(
        model,
        corpus.training.clips,
        recipe.transfer.fit,
        what="small model on the source corpus",
        seed=recipe.seed,
        validation=corpus.choosing(recipe.corpora.source),
    ).run(track)
    return model, {"fit": fitted.as_document(), **scores(model, corpus)}


def head_of(model: Any) -> Any:
    """The last dense layer, or the wrapper of pruning or quantisation around it.

    Raises:
        ConfigError: The model has none.
    """
    for layer in reversed(model.layers):
        if isinstance(_unwrapped(layer), keras.layers.Dense):
            return layer
    raise ConfigError(f"model {model.name}", "has no dense layer that transfer could train anew")


def trunk_weights(model: Any) -> Weights:
    """Copies of the weights of every layer but the head, by the layer's name.

    Args:
        model: An unwrapped small model.
    """
    head = head_of(model)
    return {layer.name: layer.get_weights() for layer in model.layers if layer is not head and layer.weights}


def take_over(model: Any, weights: Weights) -> None:
    """Set the trunk of a model to weights that `trunk_weights` took from another.

    Raises:
        ConfigError: The models are not of one architecture.
    """
    own = trunk_weights(model)
    shapes = {name: [array.shape for array in arrays] for name, arrays in own.items()}
    if shapes != {name: [array.shape for array in arrays] for name, arrays in weights.items()}:
        raise ConfigError(
            f"model {model.name}",
            "is not of the architecture that was pretrained",
            hint="mcu-ser train again",
        )
    for name, arrays in weights.items():
        model.get_layer(name).set_weights(arrays)


def freeze_trunk(model: Any) -> None:
    """Leave nothing to train but the head; wrappers of pruning and quantisation are seen through.

    The ranges of a quantisation-aware model still follow what they see: they say how values are stored, and
    no training without them could measure the target's.
    """
    head = head_of(model)
    for layer in model.layers:
        if layer is head:
            continue
        layer.trainable = False  # for batch normalisation this is inference mode too
        if isinstance(_unwrapped(layer), keras.layers.Dropout):
            _unwrapped(layer).rate = 0.0


def _unwrapped(layer: Any) -> Any:
    return layer.layer if isinstance(layer, keras.layers.Wrapper) else layer
