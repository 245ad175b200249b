# SPDX-License-Identifier: Apache-2.0
"""Turns class probabilities and labels of a whole set into the figures of speech-emotion recognition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Scores:
    """Figures of one model on one whole set.

    Args:
        uar: Unweighted average recall: the mean over the classes present of the recall of each; 0..1.
        accuracy: Fraction of clips classified correctly; 0..1.
        loss: Mean cross-entropy in nats.
        confusion: Clips by true class (rows) and predicted class (columns).
    """

    uar: float
    accuracy: float
    loss: float
    confusion: tuple[tuple[int, ...], ...]

    def as_document(self) -> dict[str, Any]:
        """For metrics.json."""
        return {
            "uar": self.uar,
            "accuracy": self.accuracy,
            "loss": self.loss,
            "confusion": [list(row) for row in self.confusion],
        }


def score(probabilities: NDArray[np.float32], y: NDArray[np.int64]) -> Scores:
    """Figures over a whole set, never averaged over batches.

    Args:
        probabilities: float32 (n, classes), n >= 1; the largest decides, the first of equal ones.
        y: True class index, int64 (n,).
    """
    classes = probabilities.shape[1]
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (y, probabilities.argmax(axis=1)), 1)
    present = confusion.sum(axis=1) > 0
    recalls = confusion.diagonal()[present] / confusion.sum(axis=1)[present]
    likelihoods = probabilities[np.arange(len(y)), y].astype(np.float64)
    return Scores(
        uar=float(recalls.mean()),
        accuracy=float(confusion.trace() / confusion.sum()),
        loss=float(-np.log(likelihoods.clip(min=1e-7)).mean()),
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
    )
