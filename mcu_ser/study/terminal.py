# SPDX-License-Identifier: Apache-2.0
"""The results of a study for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcu_ser.study.names import STAGE_NAMES, approach_name

if TYPE_CHECKING:
    from rich.table import Table

    from mcu_ser.study.summary import Summary


def results_table(summary: Summary) -> Table:
    """Approaches by stages: UAR, mean over seeds, with its interval at int8."""
    from rich.table import Table

    document = summary.document
    table = Table(title=f"UAR, mean over seeds, {len(document['folds'])} folds pooled")
    table.add_column("model")
    table.add_column("approach")
    for stage in document["stages"]:
        table.add_column(STAGE_NAMES[stage], justify="right")
    for heading in ("95 % interval, int8", "weights", "zeros", "seeds"):
        table.add_column(heading, justify="right")
    for result in document["results"]:
        table.add_row(*_cells(result))
    return table


def verdict_lines(summary: Summary) -> list[str]:
    """The verdict, one line per sentence."""
    return [
        line
        for verdict in summary.document["verdict"]
        for line in (verdict["headline"], *(f"  {sentence}" for sentence in verdict["sentences"]))
    ]


def _cells(result: dict[str, Any]) -> list[str]:
    limits = result["stages"]["int8"]["interval"]
    return [
        result["model"],
        approach_name(result["approach"]),
        *(f"{stage['uar']:.3f}" for stage in result["stages"].values()),
        "-" if limits is None else f"{limits[0]:.3f} to {limits[1]:.3f}",
        f"{result['weight_bytes']} B",
        f"{result['sparsity']:.0%}",
        str(len(result["seeds"])),
    ]
