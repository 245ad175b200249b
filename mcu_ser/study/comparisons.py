# SPDX-License-Identifier: Apache-2.0
"""Compares approaches in pairs: the difference of their UARs, its interval, and the paired test with Holm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mcu_ser.study.statistics import (
    holm,
    interval,
    paired_test,
    pooled_uars,
    smallest_p,
    training_p,
    training_share,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from mcu_ser.study.cell_result import Stage
    from mcu_ser.study.statistics import Tally

# What runs on the chip first: the verdict rests on it.
COMPARED_STAGES: tuple[Stage, ...] = ("int8", "float")
LEVEL = 0.05
REFERENCE = "speech_only"
# Beside each approach against speech only: the graph against, and on top of, classic transfer.
FURTHER_PAIRS = (("nsl", "fine_tuning"), ("nsl_fine_tuning", "fine_tuning"))

# (model, approach) to stage to decisions.
Tallies = Mapping[tuple[str, str], Mapping["Stage", "Tally"]]


def compare(
    tallies: Tallies, stages: Sequence[Stage], folds: Sequence[Collection[str]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """All comparisons, and the pairs that share no seed.

    The p-values of one stage, over all models, are one family of Holm's correction. A comparison is
    significant by its p-value over speakers, and supported if its interval, which covers seeds too, also
    leaves out zero, and the test over trainings agrees: the terms of speakers cannot tell an approach from
    the luck of the few models that all of them met.

    Args:
        tallies: (model, approach) to stage to decisions.
        stages: Stages that there are.
        folds: Test speakers of each.
    """
    compared: list[dict[str, Any]] = []
    apart: list[dict[str, Any]] = []
    for stage in COMPARED_STAGES:
        if stage not in stages:
            continue
        family: list[dict[str, Any]] = []
        for model, first, second in _pairs(tallies):
            names = {"model": model, "first": first, "second": second, "stage": stage}
            one, other = tallies[model, first][stage], tallies[model, second][stage]
            seeds = [seed for seed in one.seeds if seed in other.seeds]
            if seeds:
                family.append(names | _comparison(one.of_seeds(seeds), other.of_seeds(seeds), folds))
            else:
                apart.append(names)
        adjusted = holm([comparison["p"] for comparison in family])
        for comparison, p_holm in zip(family, adjusted, strict=True):
            significant = p_holm <= LEVEL
            comparison |= {
                "p_holm": p_holm,
                "family": len(family),
                "significant": significant,
                "supported": significant and doubt(comparison) is None,
            }
        compared += family
    return compared, apart


def doubt(comparison: Mapping[str, Any]) -> str | None:
    """What a comparison lacks, beside the p-value over speakers, to be called better or worse; or None."""
    interval, trainings = comparison["interval"], comparison["trainings"]
    if interval is None or interval[0] <= 0 <= interval[1]:
        return "the interval holds zero"
    if comparison["training_p"] <= LEVEL:
        return None
    if smallest_p(trainings) > LEVEL:
        return f"{trainings} training{'s' * (trainings > 1)} of each cannot tell an approach from its luck"
    return (
        f"the {trainings} trainings of each do not agree (p = {comparison['training_p']:.3f} over trainings)"
    )


def difference(one: Tally, other: Tally) -> dict[str, Any]:
    """How much more UAR `one` has than `other`, mean over seeds, with its interval."""
    by_seed = pooled_uars(one) - pooled_uars(other)
    return {"difference": float(by_seed.mean()), "interval": limits(interval(one, minus=other))}


def limits(pair: tuple[float, float] | None) -> list[float] | None:
    """An interval for JSON."""
    return None if pair is None else list(pair)


def _pairs(tallies: Mapping[tuple[str, str], Any]) -> list[tuple[str, str, str]]:
    pairs = []
    for model in dict.fromkeys(model for model, _ in tallies):
        approaches = [approach for its_model, approach in tallies if its_model == model]
        wanted = [(approach, REFERENCE) for approach in approaches if approach != REFERENCE]
        for first, second in (*wanted, *FURTHER_PAIRS):
            if first in approaches and second in approaches:
                pairs.append((model, first, second))
    return pairs


def _comparison(one: Tally, other: Tally, folds: Sequence[Collection[str]]) -> dict[str, Any]:
    test = paired_test(one, other)
    return {
        "difference": test.difference,
        "interval": limits(interval(one, minus=other)),
        "seeds": list(one.seeds),
        "difference_by_seed": [float(each) for each in pooled_uars(one) - pooled_uars(other)],
        "difference_by_speaker": test.by_speaker,
        "trainings": len(folds) * len(one.seeds),
        "training_p": training_p(one, other, folds),
        "training_share": training_share(one, other),
        "p": test.p,
        "smallest_p": test.smallest_p,
        "assignments": test.assignments,
        "exact": test.exact,
    }
