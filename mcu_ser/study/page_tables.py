# SPDX-License-Identifier: Apache-2.0
"""Words the tables of the page: every number as text, every row with its heading."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcu_ser.study.comparisons import COMPARED_STAGES, doubt
from mcu_ser.study.names import STAGE_NAMES, approach_name
from mcu_ser.study.verdict import p_value, points, points_interval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NONE = "\N{EN DASH}"


def results_table(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One group per model; in it one row per approach."""
    best = {verdict["model"]: verdict["approach"] for verdict in document["verdict"]}
    return [
        {
            "model": model,
            "rows": [
                {
                    "approach": approach_name(result["approach"]),
                    "best": best[model] == result["approach"],
                    "stages": [
                        {"uar": f"{stage['uar']:.3f}", "interval": interval_text(stage["interval"])}
                        for stage in result["stages"].values()
                    ],
                    "parameters": f"{result['parameters']:,}",
                    "tflite": f"{result['tflite_bytes']:,}",
                    "weights": f"{result['weight_bytes']:,}",
                    "activations": f"{result['activation_bytes']:,}",
                    "sparsity": f"{result['sparsity']:.0%}",
                    "seeds": ", ".join(map(str, result["seeds"])),
                }
                for result in results
            ],
        }
        for model, results in _by_model(document["results"])
    ]


def steps_table(document: Mapping[str, Any]) -> dict[str, Any]:
    """What every stage costs, in points of UAR."""
    steps = document["results"][0]["steps"]
    return {
        "headings": [
            "training in int8, against post-training"
            if step["from"] == "post_training"
            else f"{STAGE_NAMES[step['from']]} to {STAGE_NAMES[step['to']]}"
            for step in steps
        ],
        "groups": [
            {
                "model": model,
                "rows": [
                    {
                        "approach": approach_name(result["approach"]),
                        "steps": [
                            {
                                "points": points(step["difference"]),
                                "interval": points_interval(step["interval"]),
                            }
                            for step in result["steps"]
                        ],
                    }
                    for result in results
                ],
            }
            for model, results in _by_model(document["results"])
        ],
    }


def seeds_table(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """UAR of every seed at every stage; empty where an approach was not trained with a seed."""
    seeds = sorted({seed for result in document["results"] for seed in result["seeds"]})
    return [
        {
            "model": model,
            "rows": [
                {
                    "approach": approach_name(result["approach"]),
                    "stage": STAGE_NAMES[name],
                    "uars": [
                        f"{dict(zip(result['seeds'], stage['uar_by_seed'], strict=True))[seed]:.3f}"
                        if seed in result["seeds"]
                        else NONE
                        for seed in seeds
                    ],
                }
                for result in results
                for name, stage in result["stages"].items()
            ],
        }
        for model, results in _by_model(document["results"])
    ]


def confusion_tables(
    document: Mapping[str, Any], results: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Confusion at int8: per cent of the true class, and counts over all seeds."""
    return [
        {
            "caption": f"{result['model']}, {approach_name(result['approach'])}, int8, "
            f"{'seed' if len(result['seeds']) == 1 else 'seeds'} {', '.join(map(str, result['seeds']))}",
            "rows": [
                {
                    "label": label,
                    "cells": [
                        _share_of(count, sum(row)) | {"right": column == index}
                        for column, count in enumerate(row)
                    ],
                }
                for index, (label, row) in enumerate(
                    zip(document["labels"], result["stages"]["int8"]["confusion"], strict=True)
                )
            ],
        }
        for result in results
    ]


def comparison_groups(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Comparisons per stage, each a family of Holm's correction, and in it per model."""
    return [
        {
            "stage": STAGE_NAMES[stage],
            "family": len(family),
            "models": [
                {"model": model, "rows": [_comparison(each) for each in of_model]}
                for model, of_model in _by_model(family)
            ],
        }
        for stage in COMPARED_STAGES
        if (family := [each for each in document["comparisons"] if each["stage"] == stage])
    ]


def _comparison(comparison: Mapping[str, Any]) -> dict[str, str]:
    first, second = approach_name(comparison["first"]), approach_name(comparison["second"])
    return {
        "pair": f"{first} against {second}",
        "points": points(comparison["difference"]),
        "interval": points_interval(comparison["interval"]),
        "training": _share(comparison["training_share"]),
        "p": p_value(comparison["p"]),
        "p_holm": p_value(comparison["p_holm"]),
        "verdict": _verdict(comparison),
    }


def _share(share: float | None) -> str:
    return "not known" if share is None else f"{share:.0%}"


def graphs_table(document: Mapping[str, Any]) -> dict[str, Any]:
    """Every figure of every graph."""
    names = list(dict.fromkeys(name for graph in document["graphs"] for name in graph["figures"]))
    return {
        "headings": [name.replace("_", " ") for name in names],
        "rows": [
            {
                "graph": f"{graph['model']}, {approach_name(graph['approach'])}",
                "fold": graph["fold"],
                "figures": [_figure(graph["figures"].get(name)) for name in names],
            }
            for graph in document["graphs"]
        ],
    }


def folds_table(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Speakers of every fold."""
    return [
        {
            "fold": fold["fold"],
            "train": " ".join(fold["train"]) or NONE,
            "validation": " ".join(fold["validation"]) or NONE,
            "test": " ".join(fold["test"]),
            "utterances": len(fold["test_ids"]),
        }
        for fold in document["folds"]
    ]


def chosen_table(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What validation speakers chose, per approach and fold."""
    return [
        {
            "approach": f"{result['model']}, {approach_name(result['approach'])}",
            "fold": choice["fold"],
            "chosen": ", ".join(
                f"{name.replace('_', ' ')} {value}" for name, value in sorted(choice["values"].items())
            ),
        }
        for result in document["results"]
        for choice in result["chosen"]
    ]


def interval_text(limits: Sequence[float] | None) -> str:
    """An interval of UAR."""
    return NONE if limits is None else f"{limits[0]:.3f} to {limits[1]:.3f}"


def duration(seconds: float) -> str:
    """Hours, minutes and seconds, no more than two of them."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole % 3600 // 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"


def _by_model(results: Sequence[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    models = dict.fromkeys(result["model"] for result in results)
    return [(model, [result for result in results if result["model"] == model]) for model in models]


def _share_of(count: int, row: int) -> dict[str, Any]:
    share = count / row if row else 0.0
    return {"share": f"{share:.2f}", "percent": f"{100 * share:.0f}" if row else NONE, "count": str(count)}


def _verdict(comparison: Mapping[str, Any]) -> str:
    if not comparison["significant"]:
        return "no difference shown"
    word = "better" if comparison["difference"] > 0 else "worse"
    return word if comparison["supported"] else f"perhaps {word}, but {doubt(comparison)}"


def _figure(value: float | None) -> str:
    if value is None:
        return NONE
    return f"{value:,.0f}" if value == round(value) and abs(value) > 1 else f"{value:.3f}"
