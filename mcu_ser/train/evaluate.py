# SPDX-License-Identifier: Apache-2.0
"""Turns class probabilities and labels of a whole set into the figures of speech-emotion recognition."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mcu_ser import metrics

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Scores(metrics.Scores):
    """Figures of one model on one whole set: those of the decisions, and the probabilities' loss.

    Attributes:
        loss: Mean cross-entropy in nats.
    """

    loss: float

    def as_document(self) -> dict[str, Any]:
        """For metrics.json."""
        return asdict(self)


def score(probabilities: NDArray[np.float32], y: NDArray[np.int64]) -> Scores:
    """Figures over a whole set, never averaged over batches.

    Args:
        probabilities: float32 (n, classes), n >= 1; the largest decides, the first of equal ones.
        y: True class index, int64 (n,).
    """
    decisions = metrics.score(y, probabilities.argmax(axis=1), classes=probabilities.shape[1])
    likelihoods = probabilities[np.arange(len(y)), y].astype(np.float64)
    return Scores(**vars(decisions), loss=float(-np.log(likelihoods.clip(min=1e-7)).mean()))
