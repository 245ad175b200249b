# SPDX-License-Identifier: Apache-2.0
"""Turns a model and training clips into trained weights: one descent, with or without the graph loss.

Serves the source model, the small model, pruning and quantisation-aware training alike. The same model, data,
recipe and seed give the same weights on one machine.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mcu_ser.progress import silent
from mcu_ser.train.augmentation import augment
from mcu_ser.train.evaluate import score
from mcu_ser.train.graph_regularization import graph_loss, with_embedding
from mcu_ser.train.nsl_import import keras, tf

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from mcu_ser.progress import Track
    from mcu_ser.recipe import FitRecipe
    from mcu_ser.train.evaluate import Scores
    from mcu_ser.train.graph_regularization import GraphRegularization

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Clips:
    """Normalised features and classes of n clips: float32 (n, frames, mels), int64 (n,)."""

    x: NDArray[np.float32]
    y: NDArray[np.int64]


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to: mean training losses, and the scores of the validation set if there is one."""

    loss: float
    graph_loss: float
    validation: Scores | None


@dataclass(frozen=True)
class Fitted:
    """A finished descent: every epoch, and the one (counted from 1) whose weights the model now has."""

    epochs: tuple[Epoch, ...]
    chosen_epoch: int

    def as_document(self) -> dict[str, Any]:
        """For metrics.json."""
        return {
            "chosen_epoch": self.chosen_epoch,
            "loss": [epoch.loss for epoch in self.epochs],
            "graph_loss": [epoch.graph_loss for epoch in self.epochs],
            "validation_uar": [epoch.validation.uar for epoch in self.epochs if epoch.validation],
        }


def make_reproducible(seed: int) -> None:
    """Seed every generator TensorFlow draws from, and make its operators give the same bits every time."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def predict(model: Any, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Class probabilities of normalised clips: float32 (n, frames, mels) -> (n, classes)."""
    forward = tf.function(lambda batch: model(batch[..., None], training=False), reduce_retracing=True)
    parts = [forward(tf.constant(x[start : start + 128])).numpy() for start in range(0, len(x), 128)]
    return np.concatenate(parts)


def fit(
    model: Any,
    training: Clips,
    recipe: FitRecipe,
    *,
    what: str,
    seed: int,
    validation: Clips | None = None,
    graph: GraphRegularization | None = None,
    first_choice: int = 1,
    stop_after: int | None = None,
    after_epoch: Callable[[], None] | None = None,
    track: Track = silent,
) -> Fitted:
    """Train `model` in place.

    Args:
        model: A Keras model, (frames, mels, 1) -> class probabilities.
        training: The clips to learn from.
        recipe: Epochs, optimiser, augmentation.
        what: What progress calls the work.
        seed: Of order and augmentation.
        validation: Chooses the epoch of the highest UAR (of equal ones, the lowest loss); without it the last
            epoch stays.
        graph: The graph loss, if there is one; its rows are those of `training`.
        first_choice: First epoch, from 1, that may be chosen.
        stop_after: Last epoch, from 1; the learning rate still falls as if all of the recipe's would follow.
        after_epoch: Called after each epoch, before it is evaluated.
        track: Told of each epoch done.
    """
    batch = min(recipe.batch_size, len(training.y))
    steps_per_epoch = len(training.y) // batch
    step = _training_step(model, training, recipe, graph, steps=recipe.epochs * steps_per_epoch)
    order = np.random.default_rng(seed)
    last = stop_after or recipe.epochs
    epochs: list[Epoch] = []
    best: tuple[tuple[float, float], int, list[Any]] | None = None
    with track(what, last) as advance:
        for number in range(1, last + 1):
            rows = order.permutation(len(training.y))[: steps_per_epoch * batch].reshape(-1, batch)
            losses = [
                step(
                    tf.constant(chosen, tf.int32),
                    tf.constant([seed, number * steps_per_epoch + index], tf.int32),
                )
                for index, chosen in enumerate(rows)
            ]
            if after_epoch:
                after_epoch()
            scores = score(predict(model, validation.x), validation.y) if validation else None
            epochs.append(_epoch(losses, scores))
            _LOG.debug("%s epoch %d: %s", what, number, epochs[-1])
            if scores and number >= first_choice:
                rank = (scores.uar, -scores.loss)
                if best is None or rank > best[0]:
                    best = (rank, number, model.get_weights())
            advance(1)
    if best is None:
        return Fitted(tuple(epochs), last)
    model.set_weights(best[2])
    return Fitted(tuple(epochs), best[1])


def _epoch(losses: list[tuple[Any, Any]], scores: Scores | None) -> Epoch:
    means = np.mean([[float(loss), float(graph)] for loss, graph in losses], axis=0)
    return Epoch(float(means[0]), float(means[1]), scores)


def _training_step(
    model: Any, training: Clips, recipe: FitRecipe, graph: GraphRegularization | None, *, steps: int
) -> Any:
    """A compiled (rows, seed) -> (classification loss, graph loss) that also updates the weights."""
    x, y = tf.constant(training.x), tf.constant(training.y)
    class_weights = tf.constant(_class_weights(training.y, model.output_shape[-1], recipe.class_balance))
    optimizer = _optimizer(recipe, steps)
    optimizer.build(model.trainable_variables)
    forward = with_embedding(model, graph.layer) if graph else None
    neighbour_rows = tf.constant(graph.neighbours.rows) if graph else None
    neighbour_weights = tf.constant(graph.neighbours.weights) if graph else None

    def classification_loss(probabilities: Any, rows: Any) -> Any:
        labels = tf.gather(y, rows)
        targets = tf.one_hot(labels, model.output_shape[-1])
        losses = keras.losses.categorical_crossentropy(
            targets, probabilities, label_smoothing=recipe.label_smoothing
        )
        return tf.reduce_mean(losses * tf.gather(class_weights, labels))

    def losses(rows: Any, seed: Any) -> tuple[Any, Any]:
        if forward is None:
            clips = augment(tf.gather(x, rows), recipe.augmentation, seed)
            return classification_loss(model(clips[..., None], training=True), rows), tf.constant(0.0)
        weights = tf.gather(neighbour_weights, rows)
        both = tf.concat([rows, tf.reshape(tf.gather(neighbour_rows, rows), [-1])], axis=0)
        clips = augment(tf.gather(x, both), recipe.augmentation, seed)
        embeddings, probabilities = forward(clips[..., None], training=True)
        batch = rows.shape[0]
        distance = graph_loss(embeddings[:batch], embeddings[batch:], weights)
        return classification_loss(probabilities[:batch], rows), distance

    @tf.function  # type: ignore[untyped-decorator]
    def step(rows: Any, seed: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            loss, distance = losses(rows, seed)
            total = loss + (graph.multiplier * distance if graph else 0.0)
        gradients = tape.gradient(total, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss, distance

    return step


def _class_weights(y: NDArray[np.int64], classes: int, balanced: bool) -> NDArray[np.float32]:
    """Weights whose mean over the clips is 1 and that give every class the same total, or ones."""
    counts = np.bincount(y, minlength=classes)
    if not balanced:
        return np.ones(classes, np.float32)
    present = np.count_nonzero(counts)
    weights: NDArray[np.float32] = (len(y) / (present * counts.clip(min=1))).astype(np.float32)
    return weights


def _optimizer(recipe: FitRecipe, steps: int) -> Any:
    warmup_steps = round(recipe.warmup_fraction * steps)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0 if warmup_steps else recipe.learning_rate,
        decay_steps=max(1, steps - warmup_steps),
        warmup_target=recipe.learning_rate if warmup_steps else None,
        warmup_steps=warmup_steps,
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=recipe.weight_decay)
    # Decay is for kernels; pulling a norm's scale or a bias to zero regularises nothing.
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer
