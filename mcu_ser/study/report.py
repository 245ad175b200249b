# SPDX-License-Identifier: Apache-2.0
"""Writes the report of a whole study: study.json and study.csv for programs, study.html for people.

study.json and study.csv are the same bytes for the same cells. study_run.json has what is not: the command,
the machine and the time that everything took.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from mcu_ser.artifacts import canonical_json, write_text
from mcu_ser.study.page import render_page
from mcu_ser.study.summary import Summary, summarise

if TYPE_CHECKING:
    from pathlib import Path

    from mcu_ser.study.study import Study

JSON_NAME = "study.json"
CSV_NAME = "study.csv"
PAGE_NAME = "study.html"
RUN_NAME = "study_run.json"

CSV_COLUMNS = (
    *("model", "approach", "fold", "seed", "stage", "utterances", "uar", "accuracy"),
    *("parameters", "tflite_bytes", "weight_bytes", "activation_bytes", "sparsity"),
    *("edges", "homophily", "homophily_by_chance", "chosen", "key"),
)


def write_report(directory: Path, study: Study) -> Summary:
    """Write the report's four files into `directory`; returns what is in them.

    Raises:
        CheckFailedError: The grid is not whole, or its cells do not belong together; nothing is written then.
        ConfigError: A file cannot be written.
    """
    summary = summarise(study)
    files = {
        CSV_NAME: _csv(summary.document),
        RUN_NAME: canonical_json(_run_facts(study)),
        PAGE_NAME: render_page(summary),
        JSON_NAME: canonical_json(summary.document),
    }
    for name, text in files.items():
        write_text(directory / name, text)
    return summary


def _csv(document: dict[str, Any]) -> str:
    """One row per cell and stage."""
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    utterances = {fold["fold"]: len(fold["test_ids"]) for fold in document["folds"]}
    for cell in document["cells"]:
        chosen = " ".join(f"{name}={value}" for name, value in sorted(cell["chosen"].items()))
        of_cell = cell | cell["graph"] | {"utterances": utterances[cell["fold"]], "chosen": chosen}
        for stage in document["stages"]:
            row = of_cell | cell["stages"][stage] | {"stage": stage}
            writer.writerow({name: row.get(name, "") for name in CSV_COLUMNS})
    return text.getvalue()


def _run_facts(study: Study) -> dict[str, Any]:
    cells = sorted(study.cells, key=lambda cell: (cell.model, cell.approach, cell.fold, cell.seed))
    return {
        "command": study.command,
        "hardware": study.hardware,
        "seconds": study.seconds,
        "choosing_processor_seconds": study.choosing_seconds,
        "cells": [
            {
                "model": cell.model,
                "approach": cell.approach,
                "fold": cell.fold + 1,
                "seed": cell.seed,
                "processor_seconds": cell.processor_seconds,
            }
            for cell in cells
        ],
    }
