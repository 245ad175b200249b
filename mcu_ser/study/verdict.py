# SPDX-License-Identifier: Apache-2.0
"""Says in words what a study found, negative results as plainly as positive ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcu_ser.study.comparisons import FURTHER_PAIRS, LEVEL, REFERENCE, doubt
from mcu_ser.study.names import approach_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_HALF = 0.5
MINUS = "\N{MINUS SIGN}"


def verdict(
    results: Sequence[dict[str, Any]], comparisons: Sequence[dict[str, Any]], speakers: int
) -> list[dict[str, Any]]:
    """Per model: the approach that is best on the chip, the headline, and sentences about every comparison.

    Args:
        results: As in `study.json`.
        comparisons: As in `study.json`.
        speakers: Test speakers of all folds.
    """
    return [
        _verdict(
            model,
            [result for result in results if result["model"] == model],
            [each for each in comparisons if each["model"] == model and each["stage"] == "int8"],
            speakers,
        )
        for model in dict.fromkeys(result["model"] for result in results)
    ]


def points(difference: float) -> str:
    """A difference of UAR in points, with its sign."""
    rounded = f"{abs(100 * difference):.1f}"
    if rounded == "0.0":
        return "0.0"
    return f"{'+' if difference > 0 else MINUS}{rounded}"


def points_interval(limits: Sequence[float] | None) -> str:
    """An interval of a difference in points."""
    return "no interval" if limits is None else f"{points(limits[0])} to {points(limits[1])}"


def p_value(p: float) -> str:
    """A p-value with as many digits as it has."""
    return f"{p:.3f}" if p >= 0.001 else f"{p:.0e}".replace("e-0", "e-").replace("e-", f"e{MINUS}")


def _verdict(
    model: str, results: Sequence[dict[str, Any]], comparisons: Sequence[dict[str, Any]], speakers: int
) -> dict[str, Any]:
    best = max(results, key=lambda result: float(result["stages"]["int8"]["uar"]))
    stage = best["stages"]["int8"]
    sentences = [*_about_best(best, results, comparisons), *_about_graph(best, comparisons)]
    sentences += _about_int8(best)
    # Holm multiplies the smallest p of a family by its size.
    smallest = min((min(1.0, each["smallest_p"] * each["family"]) for each in comparisons), default=0.0)
    if smallest > LEVEL:
        sentences.append(
            f"{speakers} test speakers are too few for any difference to be significant: "
            f"the smallest p that they allow is {p_value(smallest)} after Holm."
        )
    return {
        "model": model,
        "approach": best["approach"],
        "uar": stage["uar"],
        "interval": stage["interval"],
        "headline": f"{model}: {approach_name(best['approach'])} is best on the chip (int8), "
        f"UAR {stage['uar']:.3f}{_within(stage['interval'])}.",
        "sentences": sentences,
    }


def _within(limits: Sequence[float] | None) -> str:
    return "" if limits is None else f" (95 % interval {limits[0]:.3f} to {limits[1]:.3f})"


def _find(comparisons: Iterable[dict[str, Any]], first: str, second: str) -> dict[str, Any] | None:
    return next((each for each in comparisons if (each["first"], each["second"]) == (first, second)), None)


def _about_best(
    best: dict[str, Any], results: Sequence[dict[str, Any]], comparisons: Sequence[dict[str, Any]]
) -> list[str]:
    if len(results) == 1:
        return ["It was trained in one way only: there is nothing to compare."]
    if best["approach"] == REFERENCE:
        return ["No other approach does better than speech only."]
    against = _find(comparisons, best["approach"], REFERENCE)
    sentences = [] if against is None else [_sentence(against), *_what_would_narrow(against)]
    if len(results) > 2:
        sentences.append(
            f"It is the best of {len(results)}, picked by these same test speakers: "
            "its figure is a little too good."
        )
    return sentences


def _about_graph(best: dict[str, Any], comparisons: Sequence[dict[str, Any]]) -> list[str]:
    """The question of the paper: is the graph worth it, alone and on top of transfer?"""
    asked = [("nsl", REFERENCE), *FURTHER_PAIRS]
    told = {(best["approach"], REFERENCE)}
    found = [_find(comparisons, *pair) for pair in asked if pair not in told]
    return [_sentence(comparison) for comparison in found if comparison is not None]


def _sentence(comparison: dict[str, Any]) -> str:
    first, second = approach_name(comparison["first"]), approach_name(comparison["second"])
    figures = (
        f"{points(comparison['difference'])} points of UAR ({points_interval(comparison['interval'])}; "
        f"p = {p_value(comparison['p_holm'])} after Holm)"
    )
    if not comparison["significant"]:
        return f"No difference is shown between {first} and {second}: {figures}, not significant."
    sentence = f"{_capital(first)} is {better_or_worse(comparison)} {second}: {figures}, significant"
    return f"{sentence}." if comparison["supported"] else f"{sentence}, but {doubt(comparison)}."


def _what_would_narrow(comparison: dict[str, Any]) -> list[str]:
    """For a difference that is not shown: are there too few seeds or too few speakers?"""
    share = comparison["training_share"]
    if comparison["supported"] or share is None:
        return []
    needed = "more seeds" if share >= _HALF else "more speakers rather than more seeds"
    return [
        f"About {share:.0%} of the variance of that difference is chance in training: "
        f"{needed} would narrow its interval."
    ]


def better_or_worse(comparison: dict[str, Any]) -> str:
    """What a significant difference says of the first approach; weaker where it is not supported."""
    word = "better than" if comparison["difference"] > 0 else "worse than"
    return word if comparison["supported"] else f"perhaps {word}"


def _about_int8(best: dict[str, Any]) -> list[str]:
    sentences = []
    for step in best["steps"]:
        amount = f"{points(step['difference'])} points ({points_interval(step['interval'])})"
        if (step["from"], step["to"]) == ("float", "int8"):
            sentences.append(f"Pruning and int8 together change its UAR by {amount} against float.")
        if (step["from"], step["to"]) == ("post_training", "int8"):
            sentences.append(f"Training in int8 changes it by {amount} against quantising after training.")
    return sentences


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
