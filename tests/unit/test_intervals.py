# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from mcu_ser.intervals import uar_interval, wilson_interval


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    [
        # Newcombe, "Two-sided confidence intervals for the single proportion" (Stat. Med. 17, 1998), table I,
        # method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_as_published(hits, count, low, high):
    assert wilson_interval(hits, count) == pytest.approx((low, high), abs=5e-5)


def test_wilson_of_all_and_of_nothing():
    assert wilson_interval(7, 7)[1] == 1.0
    assert wilson_interval(0, 7)[0] == 0.0
    assert wilson_interval(0, 0) is None


def test_the_interval_of_uar_is_that_of_redrawn_samples():
    truth = np.repeat([0, 1, 2], [40, 25, 10])
    hit = np.random.default_rng(2).random(75) < 0.7
    said = np.where(hit, truth, (truth + 1) % 3)
    confusion = np.zeros((3, 3), np.int64)
    np.add.at(confusion, (truth, said), 1)
    random = np.random.default_rng(9)
    drawn = []
    for _ in range(4000):
        rows = random.integers(0, 75, 75)
        recalls = [hit[rows][truth[rows] == c].mean() for c in range(3) if (truth[rows] == c).any()]
        drawn.append(np.mean(recalls))
    # Two samplings of one distribution: their quantiles differ by a few thousandths.
    assert uar_interval(confusion.tolist()) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.012)


def test_the_interval_of_uar_does_not_change_from_call_to_call():
    assert uar_interval([[5, 2], [1, 9]]) == uar_interval([[5, 2], [1, 9]])


def test_what_is_always_right_has_no_spread():
    assert uar_interval([[5, 0, 0], [0, 9, 0], [0, 0, 0]]) == (1.0, 1.0)
