# SPDX-License-Identifier: Apache-2.0
"""Turns a model and training clips into trained weights: one descent, with or without the graph loss.

Serves the source model, the small model, pruning and quantisation-aware training alike. The same model, data,
recipe and seed give the same weights on one machine, with the same number of threads.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mcu_ser.errors import ConfigError
from mcu_ser.progress import silent
from mcu_ser.train.evaluate import score
from mcu_ser.train.nsl_import import keras, tf
from mcu_ser.train.training_step import TrainingStep

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mcu_ser.features.normalization import Normalization
    from mcu_ser.features.recordings import Recordings
    from mcu_ser.progress import Track
    from mcu_ser.recipe import FitRecipe
    from mcu_ser.train.evaluate import Scores
    from mcu_ser.train.graph_regularization import GraphRegularization

_LOG = logging.getLogger(__name__)

_PREDICT_BATCH = 128

Predictor = Callable[["NDArray[np.float32]"], "NDArray[np.float32]"]


@dataclass(frozen=True, eq=False)
class Clips:
    """Normalised features and classes of n clips: float32 (n, frames, mels), int64 (n,).

    With recordings goes the normalisation that `x` was given: clips are cut from them anew for each step.
    """

    x: NDArray[np.float32]
    y: NDArray[np.int64]
    recordings: Recordings | None = None
    normalization: Normalization | None = None


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


def predictor(model: Any) -> Predictor:
    """A compiled `predict` for a model that is evaluated again and again."""
    shape = (None, *model.input_shape[1:-1])
    forward = tf.function(
        lambda batch: model(batch[..., None], training=False),
        # An open batch size: one compilation serves the last, smaller batch too.
        input_signature=[tf.TensorSpec(shape, tf.float32)],
        autograph=False,
    )

    def predicted(x: NDArray[np.float32]) -> NDArray[np.float32]:
        parts = [
            forward(x[start : start + _PREDICT_BATCH]).numpy() for start in range(0, len(x), _PREDICT_BATCH)
        ]
        return np.concatenate(parts)

    return predicted


def predict(model: Any, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Class probabilities of normalised clips: float32 (n, frames, mels), n >= 1 -> (n, classes)."""
    return predictor(model)(x)


@dataclass(frozen=True, eq=False)
class Descent:
    """One gradient descent, described; `run` does it.

    Args:
        model: A Keras model, (frames, mels, 1) -> class probabilities; trained in place.
        training: The clips to learn from.
        recipe: Epochs, optimiser, augmentation.
        what: What progress calls the work.
        seed: Of order and augmentation.
        validation: Chooses the epoch of the highest UAR (of equal ones, the lowest loss); without it the last
            epoch stays.
        graph: The graph loss, if there is one; its rows are those of `training`.
        first_choice: First epoch, from 1, that may be chosen.
        after_epoch: Called after each epoch, before it is evaluated.
    """

    model: Any
    training: Clips
    recipe: FitRecipe
    what: str
    seed: int
    validation: Clips | None = None
    graph: GraphRegularization | None = None
    first_choice: int = 1
    after_epoch: Callable[[], None] | None = None

    def run(self, track: Track = silent) -> Fitted:
        """Train the model and leave it with the weights of the chosen epoch.

        Raises:
            ConfigError: The weights are no longer finite.
        """
        steps = steps_per_epoch(self.training, self.recipe)
        step = TrainingStep(
            self.model, self.training, self.recipe, steps=self.recipe.epochs * steps, graph=self.graph
        )
        evaluate = predictor(self.model)
        order = np.random.default_rng(self.seed)
        last = self.recipe.epochs
        epochs: list[Epoch] = []
        best: tuple[tuple[float, float], int, list[Any]] | None = None
        with track(self.what, last) as advance:
            for number in range(1, last + 1):
                losses = self._epoch(number, step, order)
                with step.averaged():
                    epochs.append(self._evaluated(number, losses, evaluate))
                    scores = epochs[-1].validation
                    if scores and number >= self.first_choice:
                        rank = (scores.uar, -scores.loss)
                        if best is None or rank > best[0]:
                            best = (rank, number, self.model.get_weights())
                    final = self.model.get_weights() if number == last else None
                advance(1)
        if best is None:
            self.model.set_weights(final)
            return Fitted(tuple(epochs), last)
        self.model.set_weights(best[2])
        return Fitted(tuple(epochs), best[1])

    def _epoch(self, number: int, step: TrainingStep, order: np.random.Generator) -> NDArray[np.float64]:
        """Update the weights with every clip once; returns the mean of both losses."""
        steps = steps_per_epoch(self.training, self.recipe)
        # Every batch is whole: a smaller last one would be compiled again and weigh more.
        rows = order.permutation(len(self.training.y)).astype(np.int32)
        batches = rows[: steps * (len(rows) // steps)].reshape(steps, -1)[:, : self.recipe.batch_size]
        losses = [step(batch, (self.seed, number * steps + index)) for index, batch in enumerate(batches)]
        step.finish_epoch()
        if self.after_epoch:
            self.after_epoch()
        mean: NDArray[np.float64] = np.mean(losses, axis=0)
        if not np.isfinite(mean).all() or not all(np.isfinite(one).all() for one in self.model.get_weights()):
            raise ConfigError(
                f"recipe, {self.what}",
                f"diverged in epoch {number} at a learning rate of {self.recipe.learning_rate:g}",
                hint="a lower learning_rate",
            )
        return mean

    def _evaluated(self, number: int, losses: NDArray[np.float64], evaluate: Predictor) -> Epoch:
        scores = score(evaluate(self.validation.x), self.validation.y) if self.validation else None
        loss, distance = losses
        epoch = Epoch(float(loss), float(distance), scores)
        _LOG.debug("%s epoch %d: loss %.4f, graph %.4f, %s", self.what, number, loss, distance, scores)
        return epoch


def steps_per_epoch(training: Clips, recipe: FitRecipe) -> int:
    """Batches of one epoch; what does not fill a batch waits for the next epoch's order."""
    return max(1, len(training.y) // recipe.batch_size)
