# SPDX-License-Identifier: Apache-2.0
"""Refuses a study that lacks a cell, or whose cells were not tested alike, on the right speakers.

A table over a part of the grid, or over seeds that happened to finish, would not be what it says it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mcu_ser.errors import CheckFailedError
from mcu_ser.study.cell_result import STAGES
from mcu_ser.study.study import GridCell

if TYPE_CHECKING:
    from mcu_ser.study.cell_result import CellResult, Stage
    from mcu_ser.study.study import Study

# An error names so many cells; the count is whole.
NAMED_CELLS = 5
_AGAIN = "the same mcu-ser study command again: it computes what is missing"


def require_whole(study: Study) -> dict[GridCell, CellResult]:
    """The result of every cell of the grid, in the grid's order.

    Raises:
        CheckFailedError: A cell is missing, is there twice or is not of the grid, or cells of one fold were
            tested on different utterances, or on a speaker who is not one of the fold's test speakers.
        ValueError: The grid has no cells, or an approach in it lacks a fold.
    """
    found: dict[GridCell, CellResult] = {}
    for cell in study.cells:
        place = GridCell(cell.model, cell.approach, cell.fold, cell.seed)
        if place in found:
            raise CheckFailedError(_subject(study), f"has two results of {place}", hint="another --out")
        found[place] = cell
    missing = [place for place in study.grid if place not in found]
    if missing:
        more = f" (and {len(missing) - NAMED_CELLS} more)" if len(missing) > NAMED_CELLS else ""
        named = "; ".join(str(place) for place in missing[:NAMED_CELLS])
        problem = f"lacks {len(missing)} of {len(study.grid)} cells: {named}{more}"
        raise CheckFailedError(_subject(study), problem, hint=_AGAIN)
    strange = sorted(str(place) for place in found.keys() - set(study.grid))
    if strange:
        problem = f"has a result that its recipe does not ask for: {strange[0]}"
        raise CheckFailedError(_subject(study), problem, hint="another --out")
    _require_every_fold(study)
    cells = {place: found[place] for place in study.grid}
    _require_same_tests(study, cells)
    return cells


def stages_of(study: Study, cells: dict[GridCell, CellResult]) -> tuple[Stage, ...]:
    """The stages that the cells went through, in the table's order; `int8`, what runs on the chip, always.

    Raises:
        CheckFailedError: A cell lacks a stage that others have, or int8.
    """
    went = {stage for cell in cells.values() for stage in cell.decisions} | {"int8"}
    present = tuple(stage for stage in STAGES if stage in went)
    for place, cell in cells.items():
        lacking = [stage for stage in present if stage not in cell.decisions]
        if lacking:
            raise CheckFailedError(_subject(study), f"{place} lacks stage {lacking[0]}", hint=_AGAIN)
    return present


def _subject(study: Study) -> str:
    return f"study {study.name}"


def _require_every_fold(study: Study) -> None:
    """A pooled UAR over some of the folds would be of other utterances than its neighbour's."""
    if not study.grid:
        raise ValueError("a grid without cells")
    folds = set(range(len(study.folds)))
    places: dict[tuple[str, str, int], set[int]] = {}
    for place in study.grid:
        places.setdefault((place.model, place.approach, place.seed), set()).add(place.fold)
    for (model, approach, seed), has in places.items():
        if has != folds:
            raise ValueError(f"{model}, {approach}, seed {seed} has folds {sorted(has)} of {sorted(folds)}")


def _require_same_tests(study: Study, cells: dict[GridCell, CellResult]) -> None:
    first_of: dict[int, tuple[GridCell, CellResult]] = {}
    for place, cell in cells.items():
        strangers = set(cell.speakers.tolist()) - set(study.folds[cell.fold].test)
        if strangers:
            problem = f"{place} was tested on speaker {min(strangers)}, whom its fold does not test"
            raise CheckFailedError(_subject(study), problem, hint="another --out")
        first_place, first = first_of.setdefault(cell.fold, (place, cell))
        if not all(
            np.array_equal(getattr(cell, name), getattr(first, name)) for name in ("ids", "speakers", "y")
        ):
            problem = f"{place} and {first_place} were tested on different utterances"
            raise CheckFailedError(_subject(study), problem, hint="another --out")
    seen: set[str] = set()
    for number, fold in enumerate(study.folds, start=1):
        again = seen & set(fold.test)
        if again:
            problem = f"tests speaker {min(again)} in fold {number} and in one before it"
            raise CheckFailedError(_subject(study), problem, hint="folds that test every speaker once")
        seen |= set(fold.test)
