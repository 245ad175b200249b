# SPDX-License-Identifier: Apache-2.0
"""Turns a whole study into the document of `study.json`, which the tables and the page are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mcu_ser import __version__
from mcu_ser.metrics import score
from mcu_ser.study.comparisons import compare, difference, limits
from mcu_ser.study.method import method
from mcu_ser.study.statistics import interval, pooled_uars, tally
from mcu_ser.study.verdict import verdict
from mcu_ser.study.whole_grid import require_whole, stages_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mcu_ser.study.cell_result import CellResult, Stage
    from mcu_ser.study.statistics import Tally
    from mcu_ser.study.study import GridCell, Study

FORMAT = 1
# What a stage costs: from, to. The last is what training in int8 gains over quantising without it.
STEPS: tuple[tuple[Stage, Stage], ...] = (
    ("float", "pruned"),
    ("pruned", "int8"),
    ("float", "int8"),
    ("post_training", "int8"),
)


@dataclass(frozen=True, eq=False)
class Summary:
    """A whole study and the document of `study.json`."""

    study: Study
    document: dict[str, Any]


def summarise(study: Study) -> Summary:
    """Compute every figure of the report.

    Raises:
        CheckFailedError: The grid is not whole, or its cells do not belong together.
    """
    cells = require_whole(study)
    stages = stages_of(study, cells)
    rows = _rows(cells)
    tallies = {names: {stage: _tally(study, row, stage) for stage in stages} for names, row in rows.items()}
    results = [_result(study, names, row, tallies[names]) for names, row in rows.items()]
    compared, apart = compare(tallies, stages, [fold.test for fold in study.folds])
    document = {
        "format": FORMAT,
        "mcu_ser": __version__,
        "name": study.name,
        "recipe": study.recipe,
        "corpora": dict(study.corpora),
        "versions": dict(study.versions),
        "labels": list(study.labels),
        "stages": list(stages),
        "folds": _folds(study, cells),
        "method": method(),
        "results": results,
        "comparisons": compared,
        "not_compared": apart,
        "verdict": verdict(results, compared, len(_test_speakers(study))),
        "graphs": _graphs(cells),
        "picture": None if study.picture is None else dict(study.picture),
        "picture_caption": study.picture_caption,
        "cells": [_cell(study, place, cell) for place, cell in cells.items()],
    }
    return Summary(study, document)


# Cells of one (model, approach): seed to its cells, in the order of the folds.
_Row = dict[int, list["CellResult"]]


def _rows(cells: Mapping[GridCell, CellResult]) -> dict[tuple[str, str], _Row]:
    rows: dict[tuple[str, str], _Row] = {}
    for place, cell in cells.items():
        rows.setdefault((place.model, place.approach), {}).setdefault(place.seed, []).append(cell)
    for row in rows.values():
        for of_seed in row.values():
            of_seed.sort(key=lambda cell: cell.fold)
    return rows


def _pooled(row: _Row, name: str) -> Any:
    """An array of the utterances of all folds; equal for every seed, so the first one's."""
    return np.concatenate([getattr(cell, name) for cell in next(iter(row.values()))])


def _decisions(row: _Row, stage: Stage) -> dict[int, Any]:
    return {seed: np.concatenate([cell.decisions[stage] for cell in cells]) for seed, cells in row.items()}


def _tally(study: Study, row: _Row, stage: Stage) -> Tally:
    return tally(_pooled(row, "speakers"), _pooled(row, "y"), _decisions(row, stage), len(study.labels))


def _result(
    study: Study, names: tuple[str, str], row: _Row, tallies: Mapping[Stage, Tally]
) -> dict[str, Any]:
    cells = [cell for of_seed in row.values() for cell in of_seed]
    y = _pooled(row, "y")
    stages: dict[str, Any] = {}
    for stage, counts in tallies.items():
        by_seed = pooled_uars(counts)
        decided = _decisions(row, stage)
        confusion = sum(
            np.array(score(y, each, len(study.labels)).confusion, np.int64) for each in decided.values()
        )
        stages[stage] = {
            "uar": float(by_seed.mean()),
            "interval": limits(interval(counts)),
            "uar_by_seed": [float(uar) for uar in by_seed],
            "confusion": np.asarray(confusion).tolist(),
        }
    return {
        "model": names[0],
        "approach": names[1],
        "seeds": list(row),
        "folds": len(study.folds),
        "utterances": len(y),
        "speakers": len(next(iter(tallies.values())).speakers),
        # Cells differ by a few bytes; what has to fit is the largest.
        **{name: max(getattr(cell, name) for cell in cells) for name in _LARGEST},
        "sparsity": float(np.mean([cell.sparsity for cell in cells])),
        "stages": stages,
        "steps": [
            {"from": before, "to": after} | difference(tallies[after], tallies[before])
            for before, after in STEPS
            if before in tallies and after in tallies
        ],
        "chosen": _chosen(row),
    }


_LARGEST = ("parameters", "tflite_bytes", "weight_bytes", "activation_bytes")


def _chosen(row: _Row) -> list[dict[str, Any]]:
    """What validation chose per fold; it chooses once for all seeds."""
    return [
        {"fold": cell.fold + 1, "values": dict(cell.chosen)}
        for cell in next(iter(row.values()))
        if cell.chosen
    ]


def _folds(study: Study, cells: Mapping[GridCell, CellResult]) -> list[dict[str, Any]]:
    tested = {cell.fold: cell for cell in cells.values()}
    return [
        {
            "fold": number + 1,
            "train": list(fold.train),
            "validation": list(fold.validation),
            "test": list(fold.test),
            "test_ids": tested[number].ids.tolist(),
            "test_speakers": tested[number].speakers.tolist(),
            "test_y": tested[number].y.tolist(),
        }
        for number, fold in enumerate(study.folds)
    ]


def _test_speakers(study: Study) -> Sequence[str]:
    return [speaker for fold in study.folds for speaker in fold.test]


def _graphs(cells: Mapping[GridCell, CellResult]) -> list[dict[str, Any]]:
    """Figures of the graphs per approach and fold, mean over seeds."""
    grouped: dict[tuple[str, str, int], list[Mapping[str, float]]] = {}
    for place, cell in cells.items():
        if cell.graph:
            grouped.setdefault((place.model, place.approach, place.fold), []).append(cell.graph)
    return [
        {
            "model": model,
            "approach": approach,
            "fold": fold + 1,
            "figures": {
                name: float(np.mean([graph[name] for graph in graphs]))
                for name in graphs[0]
                if all(name in graph for graph in graphs)
            },
        }
        for (model, approach, fold), graphs in grouped.items()
    ]


def _cell(study: Study, place: GridCell, cell: CellResult) -> dict[str, Any]:
    stages = {}
    for stage, decided in cell.decisions.items():
        scores = score(cell.y, decided, len(study.labels))
        stages[stage] = {
            "uar": scores.uar,
            "accuracy": scores.accuracy,
            "confusion": [list(counts) for counts in scores.confusion],
            "decisions": decided.tolist(),
        }
    return {
        "model": place.model,
        "approach": place.approach,
        "fold": place.fold + 1,
        "seed": place.seed,
        "key": cell.key,
        "chosen": dict(cell.chosen),
        **{name: getattr(cell, name) for name in _LARGEST},
        "sparsity": cell.sparsity,
        "graph": dict(cell.graph),
        "stages": stages,
    }
