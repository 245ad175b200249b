# SPDX-License-Identifier: Apache-2.0
"""Turns decisions on test utterances into pooled UARs, intervals over speakers, and a paired test.

Speakers, not utterances, are the independent units: the utterances of one voice err together. UAR is computed
over the pooled test utterances of all folds, once per seed, and then averaged over seeds.

Sources: Field and Welsh, "Bootstrapping clustered data" (J. R. Stat. Soc. B 69, 2007), and Owen, "The
pigeonhole bootstrap" (Ann. Appl. Stat. 1, 2007), for resampling speakers crossed with seeds; Good,
"Permutation, Parametric, and Bootstrap Tests of Hypotheses" (2005), for the paired randomisation test;
Phipson and Smyth, "Permutation p-values should never be zero" (2010), for the sampled one; Holm, "A simple
sequentially rejective multiple test procedure" (Scand. J. Stat. 6, 1979).
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from mcu_ser.intervals import percentile_interval

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

# Draws of an interval. With ten speakers and three seeds, other draws would move its ends by less than 0.001
# UAR (one standard deviation).
DRAWS = 20_000
# Of so many speakers or trainings all 2^16 assignments are counted; of more, a sample.
ENUMERATED_UNITS = 16
SAMPLED_ASSIGNMENTS = 99_999
SEED = 20260101


@dataclass(frozen=True, eq=False)
class Tally:
    """Decisions of one approach at one stage, counted: all that UAR depends on.

    Attributes:
        speakers: Names of the test speakers, n of them, sorted.
        seeds: Seeds, k of them.
        hits: Correct decisions, int64 (k, n, classes).
        support: Utterances, int64 (n, classes); the same for every seed.
    """

    speakers: tuple[str, ...]
    seeds: tuple[int, ...]
    hits: NDArray[np.int64]
    support: NDArray[np.int64]

    def of_seeds(self, seeds: Sequence[int]) -> Tally:
        """The same for some of its seeds, in the order given."""
        if tuple(seeds) == self.seeds:
            return self
        rows = [self.seeds.index(seed) for seed in seeds]
        return Tally(self.speakers, tuple(seeds), self.hits[rows], self.support)


def tally(
    speakers: NDArray[np.str_],
    y: NDArray[np.int64],
    decisions: dict[int, NDArray[np.int64]],
    classes: int,
) -> Tally:
    """Count the decisions of each seed on the same utterances.

    Args:
        speakers: Speaker of each utterance, str (n,).
        y: True class, int64 (n,), in [0, classes).
        decisions: Seed to the decided class, int64 (n,).
        classes: Number of classes.
    """
    names, position = np.unique(speakers, return_inverse=True)
    support = np.zeros((len(names), classes), np.int64)
    np.add.at(support, (position, y), 1)
    hits = np.zeros((len(decisions), len(names), classes), np.int64)
    for row, decided in zip(hits, decisions.values(), strict=True):
        np.add.at(row, (position, y), decided == y)
    return Tally(tuple(str(name) for name in names), tuple(decisions), hits, support)


def pooled_uars(counts: Tally) -> NDArray[np.float64]:
    """UAR of each seed over all its test utterances, float64 (k,), 0..1.

    A class without an utterance has no recall and is left out, as in `mcu_ser.metrics`.
    """
    uars: NDArray[np.float64] = _uars(counts, np.ones((1, len(counts.speakers)), np.int64))[0]
    return uars


@dataclass(frozen=True, eq=False)
class Resampling:
    """How often each speaker and each seed is drawn, per draw.

    Attributes:
        speakers: int64 (draws, n); rows sum to n.
        seeds: int64 (draws, k); rows sum to k.
    """

    speakers: NDArray[np.int64]
    seeds: NDArray[np.int64]

    @classmethod
    @functools.lru_cache(maxsize=8)
    def drawn(cls, speakers: int, seeds: int, draws: int) -> Resampling:
        """With replacement, from a fixed seed: speakers with all they said, and apart from them seeds."""
        random = np.random.default_rng(SEED)
        return cls(
            random.multinomial(speakers, np.full(speakers, 1 / speakers), size=draws),
            random.multinomial(seeds, np.full(seeds, 1 / seeds), size=draws),
        )


def interval(counts: Tally, minus: Tally | None = None) -> tuple[float, float] | None:
    """95 % percentile interval of the mean over seeds of the pooled UAR, or of its difference to `minus`.

    Both of a difference are drawn together: the same speakers and seeds at each draw. None for a single
    speaker, from whom nothing can be said about others.

    Raises:
        ValueError: The two are not of the same utterances and seeds.
    """
    if len(counts.speakers) < 2:
        return None
    means = _drawn_means(counts)
    if minus is not None:
        _require_pair(counts, minus)
        means = means - _drawn_means(minus)
    return percentile_interval(means)


@dataclass(frozen=True)
class PairedTest:
    """What the paired randomisation test says.

    Attributes:
        difference: Mean over seeds of the pooled UAR, first minus second.
        p: Two-sided p-value.
        smallest_p: The smallest that so many speakers allow, 2 / 2^n.
        assignments: How many assignments of labels were compared.
        exact: True if those are all there are; else they are a sample.
        by_speaker: What each speaker contributes to the difference; these add up to it.
    """

    difference: float
    p: float
    smallest_p: float
    assignments: int
    exact: bool
    by_speaker: dict[str, float]


def paired_test(first: Tally, second: Tally) -> PairedTest:
    """Would swapping the two approaches' decisions, speaker by speaker, give so large a difference as often?

    Under the null hypothesis that the approaches do not differ, the decisions of a whole speaker (all
    utterances, all seeds) may be swapped between them. The share of the 2^n ways of swapping whose absolute
    difference is at least the one observed is the p-value. Swapping leaves the utterances per class alone, so
    the difference of UAR is a sum over speakers, and swapping turns the sign of a speaker's term. The terms
    are integers over a common denominator: equal is equal, and no rounding decides.

    Raises:
        ValueError: The two are not of the same utterances and seeds.
    """
    _require_pair(first, second)
    terms, denominator = _speaker_terms(first, second)
    p, assignments, exact = _randomised(terms)
    return PairedTest(
        difference=sum(int(term) for term in terms) / denominator,
        p=p,
        smallest_p=smallest_p(len(terms)),
        assignments=assignments,
        exact=exact,
        by_speaker={name: int(term) / denominator for name, term in zip(first.speakers, terms, strict=True)},
    )


def smallest_p(units: int) -> float:
    """The smallest two-sided p-value of a randomisation test of so many units."""
    return 0.5 ** (units - 1)


def training_p(first: Tally, second: Tally, folds: Sequence[Collection[str]]) -> float:
    """The p-value of the same test if trainings are swapped in place of speakers, each with all it decided.

    Speakers whom the same models heard agree by the luck of these models, which the test over speakers takes
    for a difference. A training is a fold and a seed.

    Args:
        first: Decisions of one approach.
        second: Those of the other.
        folds: Test speakers of each; every speaker is in one of them.

    Raises:
        ValueError: The two are not of the same utterances and seeds.
    """
    _require_pair(first, second)
    terms = []
    for seed in first.seeds:
        of_seed, _ = _speaker_terms(first.of_seeds([seed]), second.of_seeds([seed]))
        by_speaker = dict(zip(first.speakers, (int(term) for term in of_seed), strict=True))
        terms += [sum(by_speaker[speaker] for speaker in fold) for fold in folds]
    return _randomised(_whole_numbers(terms))[0]


def _randomised(terms: NDArray[Any]) -> tuple[float, int, bool]:
    """Share of sign changes whose sum is as far from zero; how many were looked at; whether those are all."""
    exact = len(terms) <= ENUMERATED_UNITS
    sums = _all_signs(terms) if exact else _sampled_signs(terms)
    observed = abs(sum(int(term) for term in terms))
    as_extreme = int(np.count_nonzero(np.abs(sums) >= observed))
    # A sample does not hold the assignment that was observed, which is one of those that count.
    extra = 0 if exact else 1
    return (as_extreme + extra) / (len(sums) + extra), len(sums), exact


def training_share(first: Tally, second: Tally) -> float | None:
    """Share of a difference's variance that is chance in training, 0..1; the rest is who the speakers are.

    Each seed gives each speaker a term of the difference, which is made of one of the speaker, one of the
    seed (trainings of all folds have one source model in common) and one of both. The two-way analysis of
    variance tells them apart (Searle, Casella and McCulloch, "Variance Components", 1992, chapter 4); a
    negative estimate counts as zero. More seeds make the last two smaller, more speakers the first and the
    last. Rough with few of either.

    Returns:
        None with one seed or one speaker, or if all terms are equal.

    Raises:
        ValueError: The two are not of the same utterances and seeds.
    """
    _require_pair(first, second)
    k, n, _ = first.hits.shape
    if k < 2 or n < 2:
        return None
    terms = [_speaker_terms(first.of_seeds([seed]), second.of_seeds([seed]))[0] for seed in first.seeds]
    by_seed = np.array(terms, dtype=object)
    of_speakers, of_seeds, whole = by_seed.sum(axis=0), by_seed.sum(axis=1), by_seed.sum()
    # Deviations in whole numbers, k n times too large: equal ones differ by nothing.
    rest = k * n * by_seed - n * of_speakers - k * of_seeds[:, None] + whole
    rest_square = Fraction(int((rest**2).sum()), (k - 1) * (n - 1))
    speaker_square = Fraction(k * int(((n * of_speakers - whole) ** 2).sum()), n - 1)
    seed_square = Fraction(n * int(((k * of_seeds - whole) ** 2).sum()), k - 1)
    # Of the mean of all terms, k n times its variance.
    of_training = max(seed_square, rest_square)
    of_who_they_are = max(Fraction(0), speaker_square - rest_square)
    total = of_training + of_who_they_are
    return float(of_training / total) if total else None


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values after Holm's correction for their number, in the order given."""
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def _require_pair(first: Tally, second: Tally) -> None:
    if (first.speakers, first.seeds) != (second.speakers, second.seeds):
        raise ValueError("a pair needs the same speakers and seeds")
    if not np.array_equal(first.support, second.support):
        raise ValueError("a pair needs the same utterances")


def _uars(counts: Tally, weights: NDArray[np.int64]) -> NDArray[np.float64]:
    """UAR per draw and seed, float64 (draws, k), with speakers weighted by int64 (draws, n)."""
    k, n, classes = counts.hits.shape
    # Products of counts are whole numbers far below 2^53: floats hold them exactly, and multiply much faster.
    drawn = weights.astype(np.float64)
    hits = (drawn @ counts.hits.transpose(1, 0, 2).reshape(n, k * classes)).reshape(-1, k, classes)
    support = (drawn @ counts.support)[:, None, :]
    present = support > 0
    recalls = hits / np.maximum(support, 1)  # no hits where there is no utterance: 0, and not counted
    uars: NDArray[np.float64] = recalls.sum(axis=2) / present.sum(axis=2)
    return uars


@functools.lru_cache(maxsize=128)
def _drawn_means(counts: Tally) -> NDArray[np.float64]:
    """Mean over the drawn seeds of the UAR of the drawn speakers, per draw; equally many draw alike.

    Kept, because every difference needs those of both its sides again.
    """
    drawn = Resampling.drawn(len(counts.speakers), len(counts.seeds), DRAWS)
    means: NDArray[np.float64] = (_uars(counts, drawn.speakers) * drawn.seeds).sum(axis=1)
    return means / len(counts.seeds)


def _speaker_terms(first: Tally, second: Tally) -> tuple[NDArray[Any], int]:
    """Integer terms, one per speaker, and the denominator of their sum, which is the difference of UAR."""
    support = first.support.sum(axis=0)
    present = np.flatnonzero(support)
    common = math.lcm(*(int(support[column]) for column in present))
    gained = (first.hits - second.hits).sum(axis=0)
    terms = [sum(int(row[column]) * (common // int(support[column])) for column in present) for row in gained]
    return _whole_numbers(terms), common * len(present) * len(first.seeds)


def _whole_numbers(terms: Sequence[int]) -> NDArray[Any]:
    # Class sizes without a common factor may need more than 64 bits; Python's integers have no limit.
    small = sum(abs(term) for term in terms) < 2**62
    return np.array(terms, dtype=np.int64 if small else object)


def _all_signs(terms: NDArray[Any]) -> NDArray[Any]:
    sums = np.zeros(1, dtype=terms.dtype)
    for term in terms:
        sums = np.concatenate([sums + term, sums - term])
    return sums


def _sampled_signs(terms: NDArray[Any]) -> NDArray[Any]:
    random = np.random.default_rng(SEED)
    signs = random.integers(0, 2, size=(SAMPLED_ASSIGNMENTS, len(terms))) * 2 - 1
    sums: NDArray[Any] = signs.astype(terms.dtype) @ terms
    return sums
