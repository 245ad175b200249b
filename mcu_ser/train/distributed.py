# SPDX-License-Identifier: Apache-2.0
"""Divides the steps of a training among several processes, each with its own TF_CONFIG, and sums their work.

TF_CONFIG is the environment variable that clusters set for TensorFlow: all workers' addresses, and which of
them this process is. All workers run the same stage on the same data and draw the same batches and the same
augmentation; each takes its slice of a batch through the model. Gradients are summed over the workers, means
and variances of batch normalisation are those of the whole batch, and dropout draws for the whole batch, so
that the weights do not depend on how many workers there are, beyond the rounding of sums in another order.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mcu_ser.errors import ConfigError
from mcu_ser.recipe import SourceCnnRecipe
from mcu_ser.train.nsl_import import keras, native_stderr_closed, tf

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from mcu_ser.recipe import Recipe

_SUBJECT = "TF_CONFIG"
_EXAMPLE = (
    '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}, '
    "with each worker's own index"
)


@dataclass(frozen=True)
class Place:
    """This process among the workers: index, from 0, of count. The first one alone writes results."""

    index: int
    count: int

    @property
    def is_chief(self) -> bool:
        """Whether this worker writes the run directory."""
        return self.index == 0


def place_of(environment: Mapping[str, str]) -> Place:
    """What TF_CONFIG says about this process.

    Args:
        environment: Such as `os.environ`.

    Raises:
        ConfigError: It is absent, not JSON, or names no such worker.
    """
    text = environment.get("TF_CONFIG")
    if text is None:
        raise ConfigError(_SUBJECT, "is not set; --workers needs it", hint=_EXAMPLE)
    try:
        document = json.loads(text)
        addresses, task = document["cluster"]["worker"], document["task"]
        index, others = task["index"], sorted(document["cluster"].keys() - {"worker"})
        known = isinstance(addresses, list) and all(isinstance(one, str) for one in addresses)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigError(_SUBJECT, f"describes no cluster of workers ({error!r})", hint=_EXAMPLE) from error
    if others or task.get("type") != "worker":
        problem = (
            f"gives this process the task {task.get('type')} in a cluster of {', '.join(['worker', *others])}"
        )
        raise ConfigError(_SUBJECT, problem, limit="workers alone", hint=_EXAMPLE)
    if not known or type(index) is not int or not 0 <= index < len(addresses):
        raise ConfigError(_SUBJECT, f"has no worker {index!r} in {addresses!r}", hint=_EXAMPLE)
    return Place(index, len(addresses))


class Workers:
    """The workers of a training, joined; one per process, made before TensorFlow does anything else."""

    def __init__(self, place: Place) -> None:
        self.place = place
        with native_stderr_closed():
            self._strategy = tf.distribute.MultiWorkerMirroredStrategy()
        self._seed: Any = None
        self._positions: Any = None
        self._whole = 0

    def mirrored(self, model: Any) -> Any:
        """A copy of a model whose weights all workers keep equal, with layers that see the whole batch."""
        numbers = {layer.name: number for number, layer in enumerate(model.layers)}

        def whole(layer: Any) -> Any:
            if type(layer) is keras.layers.BatchNormalization:
                return _WholeBatchNormalization.from_config(layer.get_config())
            if type(layer) is keras.layers.Dropout:
                copy = _WholeBatchDropout.from_config(layer.get_config())
                copy.workers, copy.number = self, numbers[layer.name]
                return copy
            return layer.__class__.from_config(layer.get_config())

        with self._strategy.scope():
            copy = keras.models.clone_model(model, clone_function=whole)
            copy.set_weights(model.get_weights())
        return copy

    def scope(self) -> Any:
        """Where variables have to be made."""
        return self._strategy.scope()

    def each(self, step: Callable[..., Any]) -> Callable[..., Any]:
        """`step`, run by every worker."""
        return lambda *arguments: self._strategy.run(step, args=arguments)

    def own(self, batch: int) -> NDArray[np.int32]:
        """Positions in a batch that this worker takes, int32 (batch / workers,).

        Raises:
            ConfigError: The workers cannot share the batch equally.
        """
        check_batch("a batch", batch, self.place)
        share = batch // self.place.count
        return np.arange(self.place.index * share, (self.place.index + 1) * share, dtype=np.int32)

    @contextmanager
    def slice(self, positions: Any, whole: int, seed: Any) -> Iterator[None]:
        """Tell dropout, while the block lasts, which part of a step's batch the model gets.

        Args:
            positions: In the batch, int32 (n,).
            whole: Size of the batch, int32 ().
            seed: int32 (2,), another one for each step.
        """
        self._positions, self._whole, self._seed = positions, whole, seed
        try:
            yield
        finally:
            self._positions = self._seed = None

    def kept(self, shape: tuple[int, ...], rate: float, number: int) -> Any:
        """Dropout's mask of this worker's slice, cut from the mask of the whole batch, float32 (n, *shape).

        Args:
            shape: Of one clip's values.
            rate: Fraction that is dropped.
            number: Of the layer.
        """
        seed = tf.random.experimental.stateless_fold_in(self._seed, number)
        draws = tf.random.stateless_uniform((self._whole, *shape), seed)
        return tf.cast(tf.gather(draws, self._positions) >= rate, tf.float32) / (1.0 - rate)

    def total(self, values: list[Any]) -> list[Any]:
        """The sum over the workers of each value; inside a step."""
        totals: list[Any] = summed(values)
        return totals

    def check_agreement(self, parts: Iterable[bytes]) -> None:
        """See that all workers are about to do the same.

        Args:
            parts: All that decides it.

        Raises:
            ConfigError: They are not.
        """
        digest = hashlib.sha256()
        for part in parts:
            digest.update(part)
        own = np.frombuffer(digest.digest(), np.uint8).astype(np.int32)
        rows = np.zeros((self.place.count, len(own)), np.int32)
        rows[self.place.index] = own
        together = tf.function(self.each(lambda: summed([tf.constant(rows)])[0]), autograph=False)().numpy()
        differing = [index for index, row in enumerate(together) if (row != together[0]).any()]
        if differing:
            raise ConfigError(
                "workers",
                f"worker {differing[0]} and worker 0 do not train the same model on the same data",
                hint="the same recipe, corpora, mcu-ser and kind of machine for every worker",
            )

    def wait_for_all(self) -> None:
        """Return when every worker has come here: who leaves early is missed by the others."""
        self.check_agreement([b"done"])


_joined: Workers | None = None


def join(environment: Mapping[str, str] = os.environ) -> Workers:
    """Become one of the workers that TF_CONFIG names, for the rest of this process; waits for all of them.

    Raises:
        ConfigError: TF_CONFIG is absent or wrong, or TensorFlow cannot start its server.
    """
    global _joined  # noqa: PLW0603 - TensorFlow, too, has one cluster per process
    place = place_of(environment)
    try:
        _joined = Workers(place)
    except (tf.errors.OpError, RuntimeError, ValueError) as error:
        raise ConfigError(
            "workers", f"cannot meet ({error})", hint="addresses and ports in TF_CONFIG"
        ) from error
    return _joined


def joined() -> Workers | None:
    """The workers that this process is one of, if any."""
    return _joined


def check_batch(subject: str, batch: int, place: Place) -> None:
    """See that the workers can share a batch equally.

    Raises:
        ConfigError: They cannot.
    """
    if batch % place.count:
        raise ConfigError(
            subject,
            f"{batch} clips cannot be shared equally by {place.count} workers",
            hint=f"a multiple of {place.count}",
        )


def check_recipe(recipe: Recipe, place: Place) -> None:
    """See that the workers can share every batch of a recipe's trainings equally.

    Raises:
        ConfigError: They cannot.
    """
    fits = {"training": recipe.training.fit}
    if recipe.graph.multiplier and isinstance(recipe.source_model, SourceCnnRecipe):
        fits["source_model"] = recipe.source_model.fit
    if recipe.transfer.method != "none":
        fits["transfer"] = recipe.transfer.fit
    for table, fit in fits.items():
        check_batch(f"recipe {table}.fit.batch_size", fit.batch_size, place)


@contextmanager
def losses_of_workers() -> Iterator[None]:
    """Turn what TensorFlow says when another worker is gone into an error.

    Raises:
        ConfigError: A worker went away.
    """
    gone = (
        *(tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError),
        *(tf.errors.DeadlineExceededError, tf.errors.InternalError, tf.errors.FailedPreconditionError),
    )
    try:
        yield
    except gone as error:
        raise ConfigError(
            "workers",
            f"one went away ({error.message.splitlines()[0]})",
            hint="its own message; then all again",
        ) from error


def summed(values: list[Any]) -> list[Any]:
    """The sums over the workers, inside a step."""
    context = tf.distribute.get_replica_context()
    totals: list[Any] = context.all_reduce(tf.distribute.ReduceOp.SUM, values)
    return totals


class _WholeBatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]  # Keras has no types
    """Batch normalisation by the figures of the whole batch, in two passes as in a single process.

    Keras' own synchronised layer takes the variance from sums of squares, which loses digits, and leaves
    out the correction by n / (n - 1) that the layer applies to the moving variance of images.
    """

    def call(self, inputs: Any, training: Any = None) -> Any:
        if not training or not self.trainable:
            return super().call(inputs, training=False)
        axes = list(range(len(inputs.shape) - 1))
        pieces = tf.stack([tf.cast(tf.size(inputs) // inputs.shape[-1], tf.float32)])
        sums, count = summed([tf.reduce_sum(inputs, axes), pieces])
        mean = sums / count
        variance = summed([tf.reduce_sum(tf.square(inputs - mean), axes)])[0] / count
        correction = count / (count - 1.0) if self.fused else 1.0
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance * correction)):
            moving.assign(moving * self.momentum + tf.stop_gradient(value) * (1.0 - self.momentum))
        return tf.nn.batch_normalization(inputs, mean, variance, self.beta, self.gamma, self.epsilon)


class _WholeBatchDropout(keras.layers.Dropout):  # type: ignore[misc]  # Keras has no types
    """Dropout whose mask of a clip does not depend on which worker has the clip."""

    workers: Workers
    number: int

    def call(self, inputs: Any, training: Any = None) -> Any:
        if not training or not self.rate or self.workers._seed is None:
            return inputs
        return inputs * self.workers.kept(tuple(inputs.shape[1:]), self.rate, self.number)
