# SPDX-License-Identifier: Apache-2.0
"""A whole study as its report reads it: the grid that was asked for and what every cell of it came to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcu_ser.study.cell_result import CellResult


@dataclass(frozen=True)
class StudyFold:
    """Speakers of one fold; no speaker is in two of its parts."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


@dataclass(frozen=True)
class GridCell:
    """Where a cell stands in the grid."""

    model: str
    approach: str
    fold: int
    seed: int

    def __str__(self) -> str:
        return f"{self.model}, {self.approach}, fold {self.fold + 1}, seed {self.seed}"


@dataclass(frozen=True, eq=False)
class Study:
    """What a report is made of.

    `study.json` and `study.csv` depend on everything but `command`, `hardware` and durations, which differ
    from one run of the same study to the next.

    Args:
        name: Of the recipe.
        recipe: The resolved recipe, TOML.
        labels: Class names of the target corpus; the index is the class in `CellResult.y`.
        folds: In the order that `CellResult.fold` counts.
        grid: Every cell that the recipe asks for, in the order of the recipe: rows, approaches, seeds, folds.
        cells: What they came to, in any order. The report refuses a study that lacks one.
        versions: Package name to version, of what computed the cells.
        corpora: Role ("source", "target") to a line about it: name, utterances, speakers, content hash.
        picture: The target's embeddings in two dimensions, as `mcu_ser.train` makes it: lists `x`, `y`,
            `label` (class indices) and `edges` (pairs of positions). None where no approach has a graph.
        picture_caption: Which fold and seed the picture is of.
        command: The command line.
        hardware: Processor and number of cores.
        seconds: Wall-clock time of the study, all its calls together.
        choosing_seconds: Time that the trainings took of a core which only chose hyper-parameters.
    """

    name: str
    recipe: str
    labels: tuple[str, ...]
    folds: tuple[StudyFold, ...]
    grid: tuple[GridCell, ...]
    cells: tuple[CellResult, ...]
    versions: Mapping[str, str]
    corpora: Mapping[str, str] = field(default_factory=dict)
    picture: Mapping[str, Any] | None = None
    picture_caption: str = ""
    command: str = ""
    hardware: str = ""
    seconds: float = 0.0
    choosing_seconds: float = 0.0
