# SPDX-License-Identifier: Apache-2.0
"""The results of a study for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcu_ser.study.names import STAGE_NAMES, approach_name

if TYPE_CHECKING:
    from rich.table import Table

    from mcu_ser.study.summary import Summary


def results_table(summary: Summary) -> Table:
    """Approaches by stages, one section per model: UAR, mean over seeds, with its interval at int8."""
    from rich import box
    from rich.table import Table

    document = summary.document
    folds = len(document["folds"])
    title = f"UAR, mean over seeds, {folds} fold{'s' if folds > 1 else ''} pooled"
    table = Table(
        title=title,
        title_justify="left",
        box=box.SIMPLE,
        collapse_padding=True,
        pad_edge=False,
        show_edge=False,
    )
    # Narrow enough to stay whole in 100 columns: rows do not wrap, headings may.
    table.add_column("approach", no_wrap=True)
    for heading in (
        *(STAGE_NAMES[stage].replace("post-", "post-\n") for stage in document["stages"]),
        *("95 % interval,\nint8", "weights,\nbytes", "zeros", "seeds"),
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    model = None
    for result in document["results"]:
        if result["model"] != model:
            model = result["model"]
            table.add_section()
            table.add_row(model, style="bold")
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
        f"  {approach_name(result['approach'])}",
        *(f"{stage['uar']:.3f}" for stage in result["stages"].values()),
        "-" if limits is None else f"{limits[0]:.3f} to {limits[1]:.3f}",
        str(result["weight_bytes"]),
        f"{result['sparsity']:.0%}",
        str(len(result["seeds"])),
    ]
