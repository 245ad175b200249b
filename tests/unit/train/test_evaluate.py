# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.train.evaluate import score


def probabilities(predicted, classes) -> np.ndarray:
    return np.eye(classes, dtype=np.float32)[predicted]


def test_uar_is_the_mean_recall_of_the_classes() -> None:
    # Recalls 3/4, 1/2, 0/1: a majority class must not hide the others.
    y = np.array([0, 0, 0, 0, 1, 1, 2])
    scores = score(probabilities([0, 0, 0, 1, 1, 0, 0], 3), y)
    assert scores.uar == pytest.approx((0.75 + 0.5 + 0.0) / 3)
    assert scores.accuracy == pytest.approx(4 / 7)
    assert scores.confusion == ((3, 1, 0), (1, 1, 0), (1, 0, 0))


def test_a_class_without_clips_does_not_count() -> None:
    assert score(probabilities([0, 0, 1], 5), np.array([0, 0, 1])).uar == 1.0


def test_loss_is_cross_entropy_and_finite_at_zero() -> None:
    scores = score(np.array([[0.25, 0.75], [0.5, 0.5]], np.float32), np.array([1, 0]))
    assert scores.loss == pytest.approx(-(np.log(0.75) + np.log(0.5)) / 2)
    assert np.isfinite(score(np.array([[1.0, 0.0]], np.float32), np.array([1])).loss)


def test_document_holds_plain_numbers() -> None:
    document = score(probabilities([0, 1], 2), np.array([0, 1])).as_document()
    assert json.loads(json.dumps(document)) == {
        "uar": 1.0,
        "accuracy": 1.0,
        "recalls": [1.0, 1.0],
        "loss": 0.0,
        "confusion": [[1, 0], [0, 1]],
    }


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60))
def test_agrees_with_counting_by_hand(pairs) -> None:
    y = np.array([true for true, _ in pairs])
    predicted = [guess for _, guess in pairs]
    recalls = []
    for one in sorted(set(y)):
        guesses = [guess for true, guess in pairs if true == one]
        recalls.append(guesses.count(one) / len(guesses))
    assert score(probabilities(predicted, 5), y).uar == pytest.approx(sum(recalls) / len(recalls))
