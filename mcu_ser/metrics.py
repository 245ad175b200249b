# SPDX-License-Identifier: Apache-2.0
"""Scores of a classifier over a whole test set: UAR, accuracy and the confusion matrix.

UAR (unweighted average recall) is the mean of the per-class recalls, each class counting the same whatever
its size; it is computed over the whole set, never averaged over batches. Classes that no sample belongs to
have no recall and are left out, as in scikit-learn's `balanced_accuracy_score`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Scores:
    """Scores over one set.

    Attributes:
        uar: Unweighted average recall, 0..1.
        accuracy: Share of samples classified correctly, 0..1.
        recalls: Recall per class, 0..1, None for a class without samples.
        confusion: Counts, row = true class, column = predicted class.
    """

    uar: float
    accuracy: float
    recalls: tuple[float | None, ...]
    confusion: tuple[tuple[int, ...], ...]


def score(truth: npt.ArrayLike, predicted: npt.ArrayLike, classes: int) -> Scores:
    """Compare predicted with true class indices.

    Args:
        truth: True class of each sample, integers in [0, classes), shape (n,), n >= 1.
        predicted: Predicted class of each sample, same shape.
        classes: Number of classes.

    Raises:
        ValueError: Empty or unequal shapes, or an index out of range.
    """
    true_index: npt.NDArray[Any] = np.asarray(truth)
    predicted_index: npt.NDArray[Any] = np.asarray(predicted)
    if true_index.ndim != 1 or true_index.shape != predicted_index.shape or true_index.size == 0:
        raise ValueError(
            f"shapes {true_index.shape} and {predicted_index.shape} are not two equal (n,), n >= 1"
        )
    for index in (true_index, predicted_index):
        if index.min() < 0 or index.max() >= classes:
            raise ValueError(f"class index {index.min()}..{index.max()} outside 0..{classes - 1}")
    confusion = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(confusion, (true_index, predicted_index), 1)
    support = confusion.sum(axis=1)
    recalls = tuple(
        float(confusion[index, index] / support[index]) if support[index] else None
        for index in range(classes)
    )
    present = [recall for recall in recalls if recall is not None]
    return Scores(
        uar=float(np.mean(present)),
        accuracy=float(np.trace(confusion) / support.sum()),
        recalls=recalls,
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
    )
