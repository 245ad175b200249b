# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from mcu_ser.metrics import score


def test_hand_computed_case():
    scores = score([0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 0], classes=2)
    assert scores.recalls == (0.75, 0.5)
    assert scores.uar == 0.625
    assert scores.accuracy == 4 / 6
    assert scores.confusion == ((3, 1), (1, 1))


def test_class_without_samples_has_no_recall():
    scores = score([0, 0], [0, 2], classes=3)
    assert scores.recalls == (0.5, None, None)
    assert scores.uar == 0.5


@given(st.data())
def test_equals_scikit_learn(data):
    classes = data.draw(st.integers(2, 8))  # scikit-learn warns about a single class
    rows = data.draw(
        st.lists(st.tuples(st.integers(0, classes - 1), st.integers(0, classes - 1)), min_size=1, max_size=60)
    )
    truth = np.array([row[0] for row in rows])
    predicted = np.array([row[1] for row in rows])
    scores = score(truth, predicted, classes)
    present = np.unique(truth)
    expected = metrics.recall_score(truth, predicted, labels=present, average="macro", zero_division=0)
    assert scores.uar == pytest.approx(expected, abs=1e-12)  # same mean, summed in another order
    assert scores.accuracy == metrics.accuracy_score(truth, predicted)
    assert np.array_equal(
        scores.confusion, metrics.confusion_matrix(truth, predicted, labels=list(range(classes)))
    )


@pytest.mark.parametrize(
    ("truth", "predicted"), [([], []), ([0], [0, 1]), ([0, 2], [0, 1]), ([0, -1], [0, 1]), ([[0]], [[0]])]
)
def test_unusable_input_is_refused(truth, predicted):
    with pytest.raises(ValueError, match=r"shapes|class index"):
        score(truth, predicted, classes=2)
