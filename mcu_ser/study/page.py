# SPDX-License-Identifier: Apache-2.0
"""Renders study.html: one file that works offline, in light and dark, on a phone and with a screen reader.

Python words every number; the templates only print.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mcu_ser import __version__
from mcu_ser.study import page_tables
from mcu_ser.study.charts import SHAPES, dot_chart, kinds, size_chart, symbol
from mcu_ser.study.comparisons import REFERENCE
from mcu_ser.study.graph_charts import homophily_chart, picture
from mcu_ser.study.names import STAGE_NAMES, approach_name

if TYPE_CHECKING:
    from jinja2 import Template

    from mcu_ser.study.summary import Summary

TEMPLATE = "page.html.j2"


def render_page(summary: Summary) -> str:
    """The page as HTML text."""
    context = {
        "version": __version__,
        "title": f"Study {summary.study.name}",
        "verdicts": summary.document["verdict"],
        "facts": _facts(summary),
        "labels": summary.document["labels"],
        "method": summary.document["method"],
        **_results(summary.document),
        **_graphs(summary.document),
        "folds": page_tables.folds_table(summary.document),
        "chosen": page_tables.chosen_table(summary.document),
        **_provenance(summary),
    }
    return _template().render(context)


def _results(document: dict[str, Any]) -> dict[str, Any]:
    results = document["results"]
    steps = page_tables.steps_table(document)
    seeds = sorted({seed for result in results for seed in result["seeds"]})
    return {
        "stage_names": [STAGE_NAMES[stage] for stage in document["stages"]],
        "table": page_tables.results_table(document),
        "steps": steps,
        "dots": dot_chart(results, "int8"),
        "by_seed": page_tables.seeds_table(document),
        "seeds": seeds,
        # Columns that the heading of a model reaches over.
        "spans": {
            "results": len(document["stages"]) + 7,
            "steps": len(steps["headings"]) + 1,
            "seeds": len(seeds) + 2,
        },
        "matrices": page_tables.confusion_tables(document, _matrices_of(document)),
        "sizes": size_chart(results, "int8"),
        "legend": [
            {"name": approach_name(approach), "kind": kind, "path": symbol(kind, 8, 8, 5.5)}
            for approach, kind in kinds(result["approach"] for result in results).items()
        ],
        "comparisons": page_tables.comparison_groups(document),
        "not_compared": [
            {
                "model": pair["model"],
                "pair": f"{approach_name(pair['first'])} against {approach_name(pair['second'])}",
                "stage": STAGE_NAMES[pair["stage"]],
            }
            for pair in document["not_compared"]
        ],
    }


def _graphs(document: dict[str, Any]) -> dict[str, Any]:
    data = document["picture"]
    return {
        "homophily": homophily_chart(document["graphs"]),
        "graphs": page_tables.graphs_table(document),
        "picture": None if data is None else picture(data, document["labels"]),
        "picture_caption": document["picture_caption"],
        "picture_legend": [
            {"name": label, "kind": kind % SHAPES, "path": symbol(kind, 8, 8, 5.5)}
            for kind, label in enumerate(document["labels"])
        ],
    }


def _provenance(summary: Summary) -> dict[str, Any]:
    study = summary.study
    return {
        "command": study.command,
        "hardware": study.hardware,
        "duration": page_tables.duration(study.seconds),
        "processor_time": page_tables.duration(
            sum(cell.processor_seconds for cell in study.cells) + study.choosing_seconds
        ),
        "cells": len(study.cells),
        "versions": sorted(study.versions.items()),
        "corpora": sorted(study.corpora.items()),
        "recipe": study.recipe,
    }


@functools.cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(TEMPLATE)


def _facts(summary: Summary) -> list[tuple[str, str]]:
    """What the reader should know before any figure."""
    results, document = summary.document["results"], summary.document
    utterances, speakers = results[0]["utterances"], results[0]["speakers"]
    seeds = sorted({len(result["seeds"]) for result in results})
    return [
        ("tested on", f"{utterances} utterances of {speakers} speakers, each once"),
        ("folds", str(len(document["folds"]))),
        ("seeds", " or ".join(map(str, seeds)) + " per approach"),
        ("classes", f"{len(document['labels'])} (by chance: UAR {1 / len(document['labels']):.3f})"),
        ("cells", f"{len(document['cells'])} of {len(document['cells'])} trained and tested"),
    ]


def _matrices_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Per model the best approach, and speech only where it is another."""
    chosen = []
    for verdict in document["verdict"]:
        for approach in dict.fromkeys((verdict["approach"], REFERENCE)):
            chosen += [
                result
                for result in document["results"]
                if (result["model"], result["approach"]) == (verdict["model"], approach)
            ]
    return chosen
