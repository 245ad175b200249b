# SPDX-License-Identifier: Apache-2.0
"""What the report says of its intervals and its tests holds in simulated studies of the size of EmoDB's.

Ten speakers in five folds, three seeds, unless a test says otherwise. A speaker's accuracy differs from the
mean by that speaker's own deviation and by one per fold and seed, the chance in training, which the speakers
of a fold share.
"""

import numpy as np
import pytest

from mcu_ser.study import statistics
from mcu_ser.study.method import INTERVAL, TEST, TRAINING_TEST
from mcu_ser.study.statistics import Tally, interval, paired_test, training_p

SPEAKERS, FOLDS, SEEDS, UTTERANCES = 10, 5, 3, 53
MEAN = 0.65
STUDIES = 400


@pytest.fixture(autouse=True)
def fewer_draws(monkeypatch):
    monkeypatch.setattr(statistics, "DRAWS", 2000)


def simulated(random, *, speaker, training, base=MEAN, speakers=SPEAKERS, folds=FOLDS, seeds=SEEDS):
    """One approach; `speaker` and `training` are standard deviations, `base` the mean accuracy."""
    of_speaker = random.normal(0, speaker, speakers)
    of_training = np.repeat(random.normal(0, training, (seeds, folds)), speakers // folds, axis=1)
    chance = np.clip(base + of_speaker + of_training, 0.02, 0.98)
    hits = random.binomial(UTTERANCES, chance)[:, :, None]
    return Tally(names(speakers), tuple(range(seeds)), hits, np.full((speakers, 1), UTTERANCES))


def names(speakers):
    return tuple(f"s{number:02}" for number in range(speakers))


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


def false_alarms(speakers, folds, seeds, training, studies):
    """Of studies without a difference: shares with p <= 0.05, also without 0 in the interval, and called."""
    random = np.random.default_rng(3)
    of_folds = np.array_split(names(speakers), folds)
    significant = leaves_out_zero = called = 0
    for _ in range(studies):
        base = MEAN + random.normal(0, 0.06, speakers)
        first, second = (
            simulated(
                random,
                speaker=0.02,
                training=training,
                base=base,
                speakers=speakers,
                folds=folds,
                seeds=seeds,
            )
            for _ in range(2)
        )
        if paired_test(first, second).p <= 0.05:
            significant += 1
            low, high = interval(first, minus=second)
            if not low <= 0 <= high:
                leaves_out_zero += 1
                called += training_p(first, second, of_folds) <= 0.05
    return significant / studies, leaves_out_zero / studies, called / studies


@pytest.mark.parametrize(("training", "by_one"), [(0.02, 0.21), (0.04, 0.48)])
def test_speakers_take_the_luck_of_a_training_for_agreement(training, by_one):
    studies = 400
    significant, leaves_out_zero, called = false_alarms(24, 1, 1, training, studies)
    # Two standard deviations of the count.
    assert abs(significant - by_one) < 2 * np.sqrt(by_one * (1 - by_one) / studies)
    assert "21 to 48 of 100 had p ≤ 0.05" in TRAINING_TEST
    assert leaves_out_zero == significant
    assert called == 0


@pytest.mark.parametrize("training", [0.02, 0.04])
@pytest.mark.parametrize(
    ("speakers", "folds", "seeds"),
    [
        (10, 1, 6),
        (10, 1, 10),
        (24, 1, 2),
        (24, 1, 6),
        (24, 1, 10),
        (24, 3, 2),
        (24, 3, 3),
        (10, 5, 2),
        (10, 5, 3),
    ],
)
def test_trainings_that_agree_keep_false_alarms_low(speakers, folds, seeds, training):
    studies = 200
    significant, leaves_out_zero, called = false_alarms(speakers, folds, seeds, training, studies)
    assert called <= leaves_out_zero <= significant
    # Two standard deviations of the count above what the report says.
    assert called <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / studies)
    assert "no more than 5 of 100 studies were called better or worse" in TRAINING_TEST
