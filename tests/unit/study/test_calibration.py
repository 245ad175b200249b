# SPDX-License-Identifier: Apache-2.0
"""What the report says of its intervals and its test holds in simulated studies of the size of EmoDB's.

Ten speakers in five folds, three seeds. A speaker's accuracy differs from the mean by that speaker's own
deviation and by one per fold and seed, the chance in training, which the two speakers of a fold share.
"""

import numpy as np
import pytest

from mcu_ser.study import statistics
from mcu_ser.study.method import INTERVAL, ONE_FOLD, TEST
from mcu_ser.study.statistics import Tally, interval, paired_test

SPEAKERS, FOLDS, SEEDS, UTTERANCES = 10, 5, 3, 53
MEAN = 0.65
STUDIES = 400


@pytest.fixture(autouse=True)
def fewer_draws(monkeypatch):
    monkeypatch.setattr(statistics, "DRAWS", 2000)


def simulated(random, *, speaker, training, base=MEAN, folds=FOLDS, seeds=SEEDS):
    """One approach; `speaker` and `training` are standard deviations, `base` the mean accuracy."""
    of_speaker = random.normal(0, speaker, SPEAKERS)
    of_training = np.repeat(random.normal(0, training, (seeds, folds)), SPEAKERS // folds, axis=1)
    chance = np.clip(base + of_speaker + of_training, 0.02, 0.98)
    hits = random.binomial(UTTERANCES, chance)[:, :, None]
    names = tuple(f"s{number}" for number in range(SPEAKERS))
    return Tally(names, tuple(range(seeds)), hits, np.full((SPEAKERS, 1), UTTERANCES))


@pytest.mark.parametrize(("speaker", "training"), [(0.05, 0.03), (0.0, 0.03), (0.05, 0.05)])
def test_intervals_hold_the_truth(speaker, training):
    random = np.random.default_rng(1)
    held = held_by_speakers_alone = 0
    for _ in range(STUDIES):
        counts = simulated(random, speaker=speaker, training=training)
        low, high = interval(counts)
        held += low <= MEAN <= high
        all_seeds = Tally(
            counts.speakers, (0,), counts.hits.sum(axis=0, keepdims=True), SEEDS * counts.support
        )
        low, high = interval(all_seeds)
        held_by_speakers_alone += low <= MEAN <= high
    # Two standard deviations of a count of 400 around what the report says.
    assert 0.95 - 0.02 <= held / STUDIES <= 0.99 + 0.01
    assert 0.85 - 0.035 <= held_by_speakers_alone / STUDIES <= 0.90 + 0.03
    assert (
        "held the truth in 95 to 99 of 100 cases; drawing speakers alone would hold it in 85 to 90"
        in INTERVAL
    )


@pytest.mark.parametrize(
    ("training", "alarms_at_most"), [(0.0, 0.06), (0.02, 0.06), (0.03, 0.06), (0.04, 0.09)]
)
def test_false_alarms(training, alarms_at_most):
    random = np.random.default_rng(2)
    studies, alarms = 1500, 0
    for _ in range(studies):
        base = MEAN + random.normal(0, 0.06, SPEAKERS)
        first, second = (simulated(random, speaker=0.02, training=training, base=base) for _ in range(2))
        alarms += paired_test(first, second).p <= 0.05
    assert 0.02 <= alarms / studies <= alarms_at_most + 2 * np.sqrt(0.06 * 0.94 / studies)
    assert "4 to 6 of 100 had p ≤ 0.05" in TEST


def false_alarms(folds, seeds, training, studies):
    """Of studies without a difference: the share with p <= 0.05, and that also without 0 in the interval."""
    random = np.random.default_rng(3)
    significant = supported = 0
    for _ in range(studies):
        base = MEAN + random.normal(0, 0.06, SPEAKERS)
        first, second = (
            simulated(random, speaker=0.02, training=training, base=base, folds=folds, seeds=seeds)
            for _ in range(2)
        )
        if paired_test(first, second).p <= 0.05:
            significant += 1
            low, high = interval(first, minus=second)
            supported += not low <= 0 <= high
    return significant / studies, supported / studies


@pytest.mark.parametrize(("training", "by_one"), [(0.02, 0.12), (0.04, 0.29)])
def test_one_fold_with_one_seed_says_too_much(training, by_one):
    studies = 1000
    significant, _ = false_alarms(1, 1, training, studies)
    # Two standard deviations of the count.
    assert abs(significant - by_one) < 2 * np.sqrt(by_one * (1 - by_one) / studies)
    assert "12 to 29 of 100 had p ≤ 0.05 with one seed" in ONE_FOLD


@pytest.mark.parametrize(
    ("seeds", "training", "called"), [(3, 0.02, 0.03), (3, 0.04, 0.09), (10, 0.02, 0.02), (10, 0.04, 0.05)]
)
def test_one_fold_with_more_seeds(seeds, training, called):
    studies = 500
    _, supported = false_alarms(1, seeds, training, studies)
    assert abs(supported - called) < 2 * np.sqrt(called * (1 - called) / studies)
    assert "With three seeds 3 to 9 of 100 would be called so, with ten 2 to 5" in ONE_FOLD
