# SPDX-License-Identifier: Apache-2.0
"""Fine-tunes a wav2vec 2.0 model on the clips of a corpus, and embeds clips with it.

As in the paper's source model: the feature encoder is frozen, everything behind it learns the emotions. The
same checkpoint, clips, recipe and seed give the same weights on one machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mcu_ser.progress import silent
from mcu_ser.train.evaluate import score
from mcu_ser.train.training_step import class_weights
from mcu_ser.train.wav2vec2 import Wav2Vec2, padded
from mcu_ser.train.wav2vec2_import import keras, tf

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mcu_ser.progress import Track
    from mcu_ser.recipe import Wav2Vec2Recipe
    from mcu_ser.train.evaluate import Scores

# Of the gradient over all weights; a large step early on undoes the pretraining.
_CLIP_NORM = 1.0


@dataclass(frozen=True, eq=False)
class Latents:
    """What the feature encoder made of n clips, and their classes: n of (frames, channels), int64 (n,)."""

    x: Sequence[NDArray[np.float32]]
    y: NDArray[np.int64]


class FineTuning:
    """Fine-tunes a model in place.

    AdamW; the learning rate rises linearly, then falls linearly to zero. With validation clips the epoch of
    the highest UAR stays (of equal ones, of the lowest loss), else the last.

    Args:
        model: Its weights but the feature encoder's are trained.
        training: Clips to learn from.
        validation: Clips that choose the epoch.
        recipe: Epochs, batch, optimiser.
        seed: Of the order of the clips.
    """

    def __init__(
        self,
        model: Wav2Vec2,
        training: Latents,
        validation: Latents | None,
        recipe: Wav2Vec2Recipe,
        seed: int,
    ) -> None:
        self._model, self._training, self._validation = model, training, validation
        self._recipe, self._seed = recipe, seed
        self._batch = min(recipe.batch_size, len(training.y))
        self._steps = len(training.y) // self._batch
        self._frames = max(map(len, training.x))
        classes = model.model.config.num_labels
        self._class_weights = class_weights(training.y, classes, recipe.class_balance)
        schedule = _WarmUpThenDown(recipe.learning_rate, recipe.epochs * self._steps, recipe.warmup_fraction)
        self._optimizer = keras.optimizers.AdamW(
            schedule, weight_decay=recipe.weight_decay, global_clipnorm=_CLIP_NORM
        )
        self._optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        self._optimizer.build(model.trained)
        # Every batch has one shape: one compilation.
        self._compiled = tf.function(self._update, autograph=False)

    def run(self, track: Track = silent) -> dict[str, Any]:
        """Train; returns the losses and validation figures for metrics.json."""
        order = np.random.default_rng(self._seed)
        losses: list[float] = []
        ranks: list[tuple[float, float]] = []
        best: list[NDArray[np.float32]] = []
        with track("wav2vec 2.0", self._recipe.epochs * self._steps) as advance:
            for _ in range(self._recipe.epochs):
                losses.append(self._epoch(order, advance))
                if self._validation:
                    scores = self._validated(self._validation)
                    ranks.append((scores.uar, -scores.loss))
                    if ranks[-1] > max(ranks[:-1], default=(-1.0, 0.0)):
                        best = [variable.numpy() for variable in self._model.trained]
        for variable, value in zip(self._model.trained, best, strict=False):
            variable.assign(value)
        chosen = ranks.index(max(ranks)) + 1 if ranks else self._recipe.epochs
        return {"chosen_epoch": chosen, "loss": losses, "validation_uar": [uar for uar, _ in ranks]}

    def _epoch(self, order: np.random.Generator, advance: Any) -> float:
        rows = order.permutation(len(self._training.y))[: self._steps * self._batch]
        losses = []
        for batch in rows.reshape(self._steps, self._batch):
            inputs = padded([self._training.x[row] for row in batch], self._frames)
            y = self._training.y[batch]
            losses.append(self._compiled(inputs.latents, inputs.mask, y, self._class_weights[y]))
            advance(1)
        return float(np.mean(losses))

    def _update(self, latents: Any, mask: Any, y: Any, weights: Any) -> Any:
        with tf.GradientTape() as tape:
            _, logits = self._model.forward(latents, mask, training=True)
            losses = keras.losses.sparse_categorical_crossentropy(y, logits, from_logits=True)
            loss = tf.reduce_mean(losses * weights)
        gradients = tape.gradient(loss, self._model.trained)
        self._optimizer.apply_gradients(zip(gradients, self._model.trained, strict=True))
        return loss

    def _validated(self, clips: Latents) -> Scores:
        return score(classify(self._model, clips.x, self._batch), clips.y)


def embed(model: Wav2Vec2, x: Sequence[NDArray[np.float32]], batch: int) -> NDArray[np.float32]:
    """Embeddings of clips: the projector's outputs, averaged over time.

    Args:
        model: Fine-tuned.
        x: Latents of n >= 1 clips.
        batch: How many at a time; decides nothing but memory and the last bits of a sum.

    Returns:
        float32 (n, classifier_proj_size).
    """
    return _forward(model, x, batch)[0]


def classify(model: Wav2Vec2, x: Sequence[NDArray[np.float32]], batch: int) -> NDArray[np.float32]:
    """Class probabilities of clips, float32 (n, classes); arguments as `embed`."""
    probabilities: NDArray[np.float32] = tf.nn.softmax(_forward(model, x, batch)[1]).numpy()
    return probabilities


def _forward(
    model: Wav2Vec2, x: Sequence[NDArray[np.float32]], batch: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    compiled = tf.function(
        lambda latents, mask: model.forward(latents, mask, training=False), autograph=False
    )
    frames, batch = max(map(len, x)), min(batch, len(x))
    embeddings, logits = [], []
    for start in range(0, len(x), batch):
        # The last batch is filled up with its first clip: another shape would be compiled again.
        chosen = [x[row if row < len(x) else start] for row in range(start, start + batch)]
        inputs = padded(chosen, frames)
        outputs = compiled(inputs.latents, inputs.mask)
        present = min(batch, len(x) - start)
        embeddings.append(outputs[0].numpy()[:present])
        logits.append(outputs[1].numpy()[:present])
    return np.concatenate(embeddings), np.concatenate(logits)


class _WarmUpThenDown(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]  # Keras has no types
    """Linear from zero to the rate over the first fraction of the steps, then linear to zero."""

    def __init__(self, rate: float, steps: int, warmup_fraction: float) -> None:
        super().__init__()
        self._rate, self._steps, self._warmup = rate, steps, round(warmup_fraction * steps)

    def __call__(self, step: Any) -> Any:
        done = tf.cast(step, tf.float32)
        rising = (done + 1.0) / max(1, self._warmup)
        falling = (self._steps - done) / max(1, self._steps - self._warmup)
        return self._rate * tf.clip_by_value(tf.minimum(rising, falling), 0.0, 1.0)

    def get_config(self) -> dict[str, Any]:
        return {"rate": self._rate, "steps": self._steps, "warmup": self._warmup}
