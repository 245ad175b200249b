# SPDX-License-Identifier: Apache-2.0
"""What the report says of its intervals and its test holds in simulated studies of the size of EmoDB's.

Ten speakers in five folds, three seeds. A speaker's accuracy differs from the mean by that speaker's own
deviation and by one per fold and seed, the chance in training, which the two speakers of a fold share.
"""

import numpy as np
import pytest

from mcu_ser.study import statistics
from mcu_ser.study.method import INTERVAL, TEST
from mcu_ser.study.statistics import Tally, interval, paired_test

SPEAKERS, FOLDS, SEEDS, UTTERANCES = 10, 5, 3, 53
MEAN = 0.65
STUDIES = 400


@pytest.fixture(autouse=True)
def fewer_draws(monkeypatch):
    monkeypatch.setattr(statistics, "DRAWS", 2000)


def simulated(random, *, speaker, training, base=MEAN):
    """One approach; `speaker` and `training` are standard deviations, `base` the mean accuracy."""
    of_speaker = random.normal(0, speaker, SPEAKERS)
    of_training = np.repeat(random.normal(0, training, (SEEDS, FOLDS)), SPEAKERS // FOLDS, axis=1)
    chance = np.clip(base + of_speaker + of_training, 0.02, 0.98)
    hits = random.binomial(UTTERANCES, chance)[:, :, None]
    names = tuple(f"s{number}" for number in range(SPEAKERS))
    return Tally(names, tuple(range(SEEDS)), hits, np.full((SPEAKERS, 1), UTTERANCES))


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
