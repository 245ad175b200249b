# SPDX-License-Identifier: Apache-2.0
"""Turns rows of the training set into one weight update: augmentation, both losses, gradients, optimiser."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mcu_ser.train.augmentation import Drawn
from mcu_ser.train.distributed import check_batch, joined
from mcu_ser.train.graph_regularization import graph_loss, with_embedding
from mcu_ser.train.nsl_import import keras, tf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from mcu_ser.recipe import FitRecipe
    from mcu_ser.train.distributed import Workers
    from mcu_ser.train.fit import Clips
    from mcu_ser.train.graph_regularization import GraphRegularization


class TrainingStep:
    """One step of a descent, compiled.

    Args:
        model: The model whose weights are updated.
        training: All clips to learn from.
        recipe: Optimiser, augmentation, class balance.
        steps: How many the learning rate takes to fall to zero.
        graph: The graph loss, if there is one; its rows are those of `training`.
    """

    def __init__(
        self,
        model: Any,
        training: Clips,
        recipe: FitRecipe,
        *,
        steps: int,
        graph: GraphRegularization | None = None,
    ) -> None:
        self._workers = joined()
        self._plain = model
        if self._workers:
            check_batch("the training set", min(recipe.batch_size, len(training.y)), self._workers.place)
            self._workers.check_agreement(_deciding(model, training, recipe, graph))
            model = self._workers.mirrored(model)
        self._model = model
        self._variables = _trainable_variables(model)
        self._recipe = recipe
        self._draw, self._y = Drawn(training, recipe.augmentation), tf.constant(training.y)
        self._classes = model.output_shape[-1]
        self._class_weights = tf.constant(class_weights(training.y, self._classes, recipe.class_balance))
        # A graph that does nothing must do nothing: neighbours in the batch would move its normalisation.
        self._graph = graph if graph and graph.acts else None
        if graph:
            self._multipliers = tf.constant(graph.multipliers(steps))
            self._with_embedding = with_embedding(model, graph.layer)
            self._neighbour_rows = tf.constant(graph.neighbours.rows)
            self._neighbour_weights = tf.constant(graph.neighbours.weights)
        with self._workers.scope() if self._workers else nullcontext():
            self._optimizer = _optimizer(recipe, steps)
            self._optimizer.build(self._variables)
        # Nothing here branches on tensors; converting all of Keras for autograph would only cost time.
        update = self._workers.each(self._update) if self._workers else self._update
        self._compiled = tf.function(update, autograph=False)
        # Outside of a shared step: each worker averages the weights that all of them have.
        self._averages = _averages_of(model) if recipe.weight_averaging else {}
        self._average = tf.function(self._update_averages, autograph=False)

    def __call__(self, rows: NDArray[np.int32], seed: tuple[int, int]) -> tuple[float, float]:
        """Update the weights.

        Args:
            rows: Positions of the batch in the training set, int32 (batch,).
            seed: Of the augmentation.

        Returns:
            The classification loss and the graph loss (0 without a graph).
        """
        loss, distance = self._compiled(tf.constant(rows, tf.int32), tf.constant(seed, tf.int32))
        if self._averages:
            self._average()
        return float(loss), float(distance)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """While the block lasts, the model has the moving averages for weights, if the recipe averages."""
        if not self._averages:
            yield
            return
        last = self._plain.get_weights()
        averages = dict(enumerate(last)) | {place: one.numpy() for place, one in self._averages.items()}
        self._plain.set_weights(list(averages.values()))
        yield
        self._plain.set_weights(last)

    def _update_averages(self) -> None:
        steps = tf.cast(self._optimizer.iterations, tf.float32)
        # The first weights are forgotten faster than the decay alone would let them be.
        decay = tf.minimum(self._recipe.weight_averaging, steps / (steps + 10.0))
        for place, average in self._averages.items():
            average.assign(decay * average + (1.0 - decay) * self._model.weights[place])

    def finish_epoch(self) -> None:
        """Bring the weights to the model: workers train a copy of it."""
        if self._workers:
            self._plain.set_weights(self._model.get_weights())

    def _update(self, rows: Any, seed: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            if self._workers:
                loss, distance = self._own_losses(self._workers, rows, seed)
                total = loss + self._multiplier() * distance if self._graph else loss
            elif self._graph:
                loss, distance = self._losses_with_graph(rows, seed)
                total = loss + self._multiplier() * distance
            else:
                clips = self._draw(rows, seed)
                total = loss = self._classification_loss(self._model(clips[..., None], training=True), rows)
                distance = tf.constant(0.0)
        gradients = tape.gradient(total, self._variables)
        self._optimizer.apply_gradients(zip(gradients, self._variables, strict=True))
        if self._workers:
            loss, distance = self._workers.total([loss, distance])
        return loss, distance

    def _own_losses(self, workers: Workers, rows: Any, seed: Any) -> tuple[Any, Any]:
        """This worker's terms of both losses of the whole batch."""
        batch = rows.shape[0]
        own = workers.own(batch)
        chosen, places = rows, own
        if self._graph:
            edges = self._edges(rows)
            mine = tf.where((edges.clip >= own[0]) & (edges.clip <= own[-1]))[:, 0]
            chosen = tf.concat([rows, edges.neighbour], axis=0)
            places = tf.concat([own, batch + tf.cast(mine, tf.int32)], axis=0)
        clips = self._draw(chosen, seed)
        share = tf.gather(clips, places)[..., None]
        with workers.slice(places, tf.shape(chosen)[0], seed):
            if not self._graph:
                probabilities = self._model(share, training=True)
                distance = tf.constant(0.0)
            else:
                embeddings, probabilities = self._with_embedding(share, training=True)
                ends = tf.gather(embeddings[: len(own)], tf.gather(edges.clip, mine) - own[0])
                distance = graph_loss(ends, embeddings[len(own) :], tf.gather(edges.weight, mine))
                # A mean over edges: this worker's edges among those of the batch.
                counts = [tf.cast(tf.size(one), tf.float32) for one in (mine, edges.clip)]
                distance *= counts[0] / tf.maximum(counts[1], 1.0)
        loss = self._classification_loss(probabilities[: len(own)], tf.gather(rows, own))
        return loss / workers.place.count, distance

    def _multiplier(self) -> Any:
        last = self._multipliers.shape[0] - 1
        return self._multipliers[tf.minimum(tf.cast(self._optimizer.iterations, tf.int32), last)]

    def _losses_with_graph(self, rows: Any, seed: Any) -> tuple[Any, Any]:
        batch = rows.shape[0]
        edges = self._edges(rows)
        clips = self._draw(tf.concat([rows, edges.neighbour], axis=0), seed)
        embeddings, probabilities = self._with_embedding(clips[..., None], training=True)
        distance = graph_loss(tf.gather(embeddings[:batch], edges.clip), embeddings[batch:], edges.weight)
        return self._classification_loss(probabilities[:batch], rows), distance

    def _edges(self, rows: Any) -> _Edges:
        """The edges of a batch; absent neighbours are no work, and no part of what normalises it."""
        weights = tf.gather(self._neighbour_weights, rows)
        present = tf.where(weights > 0)
        neighbours = tf.gather_nd(tf.gather(self._neighbour_rows, rows), present)
        return _Edges(tf.cast(present[:, 0], tf.int32), neighbours, tf.gather_nd(weights, present))

    def _classification_loss(self, probabilities: Any, rows: Any) -> Any:
        labels = tf.gather(self._y, rows)
        losses = keras.losses.categorical_crossentropy(
            tf.one_hot(labels, self._classes), probabilities, label_smoothing=self._recipe.label_smoothing
        )
        return tf.reduce_mean(losses * tf.gather(self._class_weights, labels))


class _Edges(NamedTuple):
    """Edges of a batch to neighbours outside it, each (edges,)."""

    clip: Any
    """Position in the batch, int32."""
    neighbour: Any
    """Position in the training set, int32."""
    weight: Any
    """float32, above 0."""


def _deciding(
    model: Any, training: Clips, recipe: FitRecipe, graph: GraphRegularization | None
) -> list[bytes]:
    """Everything that has to be the same for all workers, as bytes."""
    parts = [
        model.name.encode(),
        recipe.model_dump_json().encode(),
        training.x.tobytes(),
        training.y.tobytes(),
    ]
    parts += [weights.tobytes() for weights in model.get_weights()]
    if training.recordings:
        parts += [array.tobytes() for array in vars(training.recordings).values()]
    if graph:
        parts += [graph.neighbours.rows.tobytes(), graph.neighbours.weights.tobytes()]
        parts.append(repr((graph.multiplier, graph.schedule, graph.layer)).encode())
    return parts


def _averages_of(model: Any) -> dict[int, Any]:
    """Moving averages, by their place among the model's weights; a quantisation wrapper also counts steps."""
    return {
        place: tf.Variable(weight)
        for place, weight in enumerate(model.weights)
        if tf.as_dtype(weight.dtype).is_floating
    }


def _trainable_variables(model: Any) -> list[Any]:
    # By layer: a wrapper of quantisation lists its kernel as trainable even if the layer is frozen.
    return [weight for layer in model.layers if layer.trainable for weight in layer.trainable_weights]


def class_weights(y: NDArray[np.int64], classes: int, balanced: bool) -> NDArray[np.float32]:
    """A loss weight per class, float32 (classes,): 1, or such that all classes present weigh the same.

    Balanced weights average to 1 over the clips.
    """
    counts = np.bincount(y, minlength=classes)
    if not balanced:
        return np.ones(classes, np.float32)
    weights: NDArray[np.float32] = (len(y) / (np.count_nonzero(counts) * counts.clip(min=1))).astype(
        np.float32
    )
    return weights


def learning_rates(recipe: FitRecipe, steps: int) -> NDArray[np.float32]:
    """The learning rate of each step of a descent, float32 (steps,).

    Args:
        recipe: Warm-up, schedule and epochs.
        steps: Of all epochs together.
    """
    done = np.arange(steps)
    warmup_steps = round(recipe.warmup_fraction * steps)
    if recipe.schedule == "steps":
        factors = recipe.step_factor ** (done * recipe.epochs // (steps * recipe.step_epochs)).astype(float)
    else:
        factors = 0.5 * (1 + np.cos(np.pi * (done - warmup_steps) / max(1, steps - warmup_steps)))
    if warmup_steps:
        factors = np.where(done < warmup_steps, done / warmup_steps, factors)
    rates: NDArray[np.float32] = (recipe.learning_rate * factors).astype(np.float32)
    return rates


class _Table(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]  # Keras has no types
    """A learning rate per step; the last one holds on."""

    def __init__(self, rates: NDArray[np.float32]) -> None:
        self._rates = tf.constant(rates)

    def __call__(self, step: Any) -> Any:
        return self._rates[tf.minimum(tf.cast(step, tf.int32), self._rates.shape[0] - 1)]

    def get_config(self) -> dict[str, Any]:
        return {"rates": self._rates.numpy()}


def _optimizer(recipe: FitRecipe, steps: int) -> Any:
    schedule = _Table(learning_rates(recipe, steps))
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=recipe.weight_decay)
    # Decay is for kernels; pulling a norm's scale or a bias to zero regularises nothing.
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer
