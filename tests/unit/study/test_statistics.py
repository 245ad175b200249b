# SPDX-License-Identifier: Apache-2.0
import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from mcu_ser.study import statistics
from mcu_ser.study.statistics import (
    Tally,
    holm,
    interval,
    paired_test,
    pooled_uars,
    tally,
    training_p,
    training_share,
)


@st.composite
def decided(draw, approaches=1):
    """Utterances of some speakers with decisions per approach and seed; every speaker speaks."""
    classes = draw(st.integers(2, 5))
    names = [f"s{number}" for number in range(draw(st.integers(2, 6)))]
    speaker = np.array(names + draw(st.lists(st.sampled_from(names), max_size=25)))
    class_indices = st.lists(st.integers(0, classes - 1), min_size=len(speaker), max_size=len(speaker))
    y = np.array(draw(class_indices))
    k = draw(st.integers(1, 3))
    decisions = [{seed: np.array(draw(class_indices)) for seed in range(k)} for _ in range(approaches)]
    return classes, speaker, y, decisions


def tallies(case):
    classes, speaker, y, decisions = case
    return [tally(speaker, y, each, classes) for each in decisions]


@given(decided())
def test_pooled_uar_equals_scikit_learns(case):
    _, _, y, (decisions,) = case
    (counts,) = tallies(case)
    for uar, decided_classes in zip(pooled_uars(counts), decisions.values(), strict=True):
        present = np.unique(y)
        recall = metrics.recall_score(y, decided_classes, labels=present, average="macro", zero_division=0)
        assert uar == pytest.approx(recall, abs=1e-12)  # same mean, summed in another order


def test_pooled_uar_is_not_a_mean_over_folds():
    # Fold of a: 1 of 1 right. Fold of b: 1 of 3 right. Pooled over one class: 2 of 4.
    speaker, y = np.array(["a", "b", "b", "b"]), np.array([0, 0, 0, 0])
    counts = tally(speaker, y, {1: np.array([0, 0, 1, 1])}, classes=2)
    assert pooled_uars(counts).tolist() == [0.5]


def by_brute_force(case):
    """p-value by swapping decisions and computing both UARs anew, in exact fractions."""
    _, speaker, y, (first, second) = case

    def mean_uar(decisions):
        present = sorted(set(y.tolist()))
        recalls = [
            Fraction(int(((decided == y) & (y == label)).sum()), int((y == label).sum()))
            for decided in decisions.values()
            for label in present
        ]
        return sum(recalls, Fraction(0)) / len(recalls)

    names = sorted(set(speaker.tolist()))
    observed = mean_uar(first) - mean_uar(second)
    extreme = 0
    for swapped in itertools.product([False, True], repeat=len(names)):
        swap = np.isin(speaker, [name for name, yes in zip(names, swapped, strict=True) if yes])
        one = {seed: np.where(swap, second[seed], first[seed]) for seed in first}
        two = {seed: np.where(swap, first[seed], second[seed]) for seed in first}
        extreme += abs(mean_uar(one) - mean_uar(two)) >= abs(observed)
    return float(observed), extreme / 2 ** len(names)


@given(decided(approaches=2))
@settings(max_examples=40)
def test_paired_test_equals_brute_force(case):
    first, second = tallies(case)
    result = paired_test(first, second)
    difference, p = by_brute_force(case)
    assert result.p == p
    assert result.difference == pytest.approx(difference, abs=1e-12)
    assert result.exact
    assert sum(result.by_speaker.values()) == pytest.approx(result.difference, abs=1e-12)


@given(decided(approaches=2))
def test_paired_test_does_not_mind_the_order(case):
    first, second = tallies(case)
    forth, back = paired_test(first, second), paired_test(second, first)
    assert (forth.p, forth.difference) == (back.p, -back.difference)
    assert 0 < forth.p <= 1


def one_class(hits_first, hits_second, seeds=(1,), utterances=10):
    """Two approaches on speakers of so many utterances of one class each."""
    speakers = tuple(f"s{number:02d}" for number in range(len(hits_first) // len(seeds)))
    support = np.full((len(speakers), 1), utterances, np.int64)

    def of(hits):
        return Tally(speakers, seeds, np.array(hits, np.int64).reshape(len(seeds), -1, 1), support)

    return of(hits_first), of(hits_second)


def test_every_speaker_better_gives_the_smallest_p():
    first, second = one_class([9] * 10, [4] * 10)
    result = paired_test(first, second)
    assert result.p == result.smallest_p == 2 / 1024
    assert result.difference == pytest.approx(0.5, abs=1e-12)
    assert result.assignments == 1024


def test_no_difference_gives_p_one():
    first, second = one_class([5, 6, 7], [5, 6, 7])
    assert (paired_test(first, second).p, paired_test(first, second).difference) == (1, 0)


def test_known_p_value():
    # Terms 1, 1, 1, -1, 5: sum 7. |sum| >= 7 needs 5 with at least three of four on its side: 5 of 16, twice.
    first, second = one_class([5, 5, 5, 4, 9], [4, 4, 4, 5, 4])
    assert paired_test(first, second).p == 10 / 32


def test_sixteen_speakers_are_enumerated_and_seventeen_sampled():
    first, second = one_class([6] * 16, [5] * 16)
    assert paired_test(first, second).assignments == 2**16
    first, second = one_class([6] * 17, [5] * 17)
    result = paired_test(first, second)
    assert not result.exact
    # No sampled assignment reaches the observed one but with probability 2/2^17 each; p is never 0.
    assert 1 / (statistics.SAMPLED_ASSIGNMENTS + 1) <= result.p <= 8 / (statistics.SAMPLED_ASSIGNMENTS + 1)


def test_a_sampled_p_is_never_zero(monkeypatch):
    monkeypatch.setattr(statistics, "SAMPLED_ASSIGNMENTS", 10)
    first, second = one_class([6] * 17, [5] * 17)
    assert paired_test(first, second).p == 1 / 11


def test_sampled_p_is_near_the_exact_one_and_repeats(monkeypatch):
    random = np.random.default_rng(3)
    first, second = one_class(random.integers(3, 10, 12), random.integers(2, 9, 12))
    exact = paired_test(first, second)
    monkeypatch.setattr(statistics, "ENUMERATED_UNITS", 11)
    sampled = paired_test(first, second)
    deviation = math.sqrt(exact.p * (1 - exact.p) / statistics.SAMPLED_ASSIGNMENTS)
    assert abs(sampled.p - exact.p) < 5 * deviation + 1 / statistics.SAMPLED_ASSIGNMENTS
    assert not sampled.exact
    assert paired_test(first, second).p == sampled.p


@pytest.mark.parametrize("sampled", [False, True])
def test_class_sizes_whose_common_multiple_needs_more_than_64_bits(monkeypatch, sampled):
    primes = [2003, 2011, 2017, 2027, 2029, 2039, 2053]
    support = np.array([primes, [0] * 7, [0] * 7], np.int64)
    support[1:, 0] = 1  # class 0: 2005 utterances
    hits = support[None].copy()
    hits[0, 0] -= 3
    first = Tally(("a", "b", "c"), (1,), support[None], support)
    second = Tally(("a", "b", "c"), (1,), hits, support)
    monkeypatch.setattr(statistics, "SAMPLED_ASSIGNMENTS", 999)
    if sampled:
        monkeypatch.setattr(statistics, "ENUMERATED_UNITS", 2)
    result = paired_test(first, second)
    expected = sum(Fraction(3, int(size)) for size in support.sum(axis=0)) / 7
    assert result.difference == pytest.approx(float(expected), rel=1e-12)
    assert result.p == 1  # only a differs, and its sign alone decides: every assignment is as extreme


def test_trainings_are_swapped_as_whole_folds_of_a_seed():
    # Four speakers in two folds, two seeds: of the terms 3, 1, 2 and 2 every sign agrees.
    first, second = one_class([9, 8, 6, 7, 7, 7, 7, 7], [7, 7, 6, 6, 6, 6, 5, 7], seeds=(1, 2))
    assert training_p(first, second, [("s00", "s01"), ("s02", "s03")]) == 2 / 2**4
    # One fold: of the terms 4 and 4 of the two seeds as well.
    assert training_p(first, second, [("s00", "s01", "s02", "s03")]) == 2 / 2**2
    # What one training alone decides is luck: the signs of the other terms do not matter.
    lucky, plain = one_class([9, 9, 5, 5], [5, 5, 5, 5], seeds=(1, 2))
    assert training_p(lucky, plain, [("s00", "s01")]) == 1
    with pytest.raises(ValueError, match="same speakers and seeds"):
        training_p(first, lucky, [("s00", "s01")])


def test_false_alarms_are_as_many_as_promised():
    # Both approaches err alike: p below 0.05 in at most 5 % of studies (400 of them: 5 % + 3 deviations).
    random = np.random.default_rng(5)
    alarms = 0
    for _ in range(400):
        first, second = one_class(random.integers(0, 11, 8), random.integers(0, 11, 8))
        alarms += paired_test(first, second).p <= 0.05
    assert alarms <= 400 * (0.05 + 3 * math.sqrt(0.05 * 0.95 / 400))


def test_a_pair_of_different_utterances_is_refused():
    first, _ = one_class([1, 2], [1, 2])
    _, three = one_class([1, 2, 3], [1, 2, 3])
    with pytest.raises(ValueError, match="same speakers and seeds"):
        paired_test(first, three)
    with pytest.raises(ValueError, match="same speakers and seeds"):
        interval(first, three)
    fewer = Tally(first.speakers, first.seeds, first.hits, first.support - 1)
    with pytest.raises(ValueError, match="same utterances"):
        paired_test(first, fewer)
    with pytest.raises(ValueError, match="same utterances"):
        interval(first, fewer)


def slow_interval(counts):
    """The same interval, one draw after the other."""
    drawn = statistics.Resampling.drawn(len(counts.speakers), len(counts.seeds), statistics.DRAWS)
    means = []
    for speakers, seeds in zip(drawn.speakers, drawn.seeds, strict=True):
        uars = []
        for hits in counts.hits:
            support = (speakers[:, None] * counts.support).sum(axis=0)
            right = (speakers[:, None] * hits).sum(axis=0)
            uars.append(np.mean(right[support > 0] / support[support > 0]))
        means.append((seeds * uars).sum() / seeds.sum())
    return tuple(np.quantile(means, [0.025, 0.975]))


def test_interval_equals_a_plain_loop(monkeypatch):
    monkeypatch.setattr(statistics, "DRAWS", 500)
    random = np.random.default_rng(1)
    support = random.integers(0, 9, (6, 4))
    support[0] = 0
    support[0, 3] = 4  # speakers who do not say every class: a draw may lack one
    support[1:, 3] = 0
    hits = random.integers(0, support + 1, (3, 6, 4))
    counts = Tally(tuple("abcdef"), (1, 2, 3), hits, support)
    assert interval(counts) == pytest.approx(slow_interval(counts), abs=1e-12)


@given(decided())
@settings(max_examples=25)
def test_interval_lies_within_what_single_speakers_allow(case):
    (counts,) = tallies(case)
    low, high = interval(counts)
    assert 0 <= low <= high <= 1
    assert interval(counts) == (low, high)


def test_interval_of_one_seed_is_over_speakers():
    first, _ = one_class([2, 5, 8], [0, 0, 0])
    low, high = interval(first)
    assert (low, high) == pytest.approx((0.2, 0.8), abs=1e-12)


def test_interval_covers_seeds_too():
    # Speakers alike, seeds apart: without drawing seeds the interval would be a point.
    apart, _ = one_class([2, 2, 2, 8, 8, 8], [0] * 6, seeds=(1, 2))
    assert interval(apart) == pytest.approx((0.2, 0.8), abs=1e-12)


def test_one_speaker_has_no_interval():
    first, second = one_class([4], [3])
    assert interval(first) is None
    assert interval(first, second) is None
    assert paired_test(first, second).p == 1


def test_interval_of_a_difference_is_of_pairs():
    # Speakers differ much, the difference between the approaches not at all: only pairs show that.
    first, second = one_class([1, 5, 9, 3], [0, 4, 8, 2])
    assert interval(first, second) == pytest.approx((0.1, 0.1), abs=1e-12)


def test_interval_covers_what_it_says():
    # 20 speakers of known spread: 95 % intervals hold the truth about as often as they say. Few speakers make
    # percentile intervals a little too narrow; 90 % is where this test fails.
    random = np.random.default_rng(11)
    held = 0
    for _ in range(200):
        chances = random.beta(6, 3, 20)
        first, _ = one_class(random.binomial(10, chances), [0] * 20)
        low, high = interval(first)
        held += low <= 6 / 9 <= high
    assert held >= 180


def test_seeds_can_be_chosen():
    counts = tally(
        np.array(["a", "b"]), np.array([0, 1]), {5: np.array([0, 0]), 7: np.array([0, 1])}, classes=2
    )
    assert pooled_uars(counts).tolist() == [0.5, 1.0]
    assert pooled_uars(counts.of_seeds([7])).tolist() == [1.0]


def test_holm_known_case():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02], abs=1e-15)
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_rejects_what_the_procedure_rejects(p_values):
    level = 0.05
    rejected = set()
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if (len(p_values) - rank) * p_values[index] > level:
            break
        rejected.add(index)
    adjusted = holm(p_values)
    assert {index for index, p in enumerate(adjusted) if p <= level} == rejected
    assert all(after >= before for after, before in zip(adjusted, p_values, strict=True))


def test_share_of_training_by_hand():
    # Terms in hits: seed 1 has 3, 1; seed 2 has 1, 1. Means of speakers 2 and 1: variance 1/2. What is left
    # of each term after its speaker and seed is 1/2 with either sign: squares add up to 1, of two seeds 1/2.
    first, second = one_class([8, 6, 6, 6], [5, 5, 5, 5], seeds=(1, 2))
    assert training_share(first, second) == 1
    # Speakers that differ alike in every seed, and equal seeds: nothing is chance in training.
    first, second = one_class([9, 5, 9, 5], [5, 5, 5, 5], seeds=(1, 2))
    assert training_share(first, second) == 0
    # What all speakers share in a seed is: mean squares are 16 between speakers and 1 between seeds.
    first, second = one_class([9, 5, 8, 4], [5, 5, 5, 5], seeds=(1, 2))
    assert training_share(first, second) == 1 / 17


def test_seeds_that_move_all_speakers_are_chance_in_training():
    # Four times the seeds would halve the interval of this difference, and more speakers would not.
    gains = [first + second for second in (-12, 0, 14) for first in (3, 5, 4, 6, 5, 4)]
    first, second = one_class([50 + gain for gain in gains], [50] * 18, seeds=(1, 2, 3), utterances=100)
    assert training_share(first, second) > 0.99


def test_where_speakers_differ_alike_all_is_chance_in_training():
    # Of 3 speakers, 30 utterances: thirtieths would leave a rest between speakers when they are rounded.
    first, second = one_class([9, 7, 8, 7, 9, 8], [5] * 6, seeds=(1, 2))
    assert training_share(first, second) == 1


def test_share_of_training_needs_seeds_and_speakers():
    assert training_share(*one_class([9, 5], [5, 5])) is None
    assert training_share(*one_class([9, 5], [5, 5], seeds=(1, 2))) is None
    assert training_share(*one_class([9, 9, 9, 9], [5, 5, 5, 5], seeds=(1, 2))) is None


@given(decided(approaches=2))
def test_share_of_training_is_a_share(case):
    first, second = tallies(case)
    share = training_share(first, second)
    assert share is None or 0 <= share <= 1
    assert share == training_share(second, first)


@pytest.mark.parametrize(
    ("speakers", "seeds", "both"), [(0.1, 0.0, 0.1), (0.1, 0.02, 0.05), (0.01, 0.05, 0.05), (0.03, 0.01, 0.1)]
)
def test_share_of_training_is_that_of_simulated_studies(speakers, seeds, both):
    # Standard deviations of a speaker, a seed, and a seed on a speaker.
    random = np.random.default_rng(5)
    n, k, utterances = 200, 40, 10_000
    names, support = tuple(f"s{number:03d}" for number in range(n)), np.full((n, 1), utterances, np.int64)
    shares = []
    for _ in range(10):
        gain = random.normal(0, speakers, (1, n)) + random.normal(0, seeds, (k, 1))
        gain = gain + random.normal(0, both, (k, n))
        hits = np.rint(utterances * np.clip(0.5 + gain, 0, 1)).astype(np.int64)[:, :, None]
        level = np.full_like(hits, utterances // 2)
        pair = (Tally(names, tuple(range(k)), each, support) for each in (hits, level))
        shares.append(training_share(*pair))
    of_training = seeds**2 / k + both**2 / (n * k)
    truth = of_training / (of_training + speakers**2 / n)
    assert abs(np.mean(shares) - truth) < 0.06
