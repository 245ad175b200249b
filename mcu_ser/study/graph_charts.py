# SPDX-License-Identifier: Apache-2.0
"""Geometry of the page's charts of graphs: homophily against chance, and the embeddings with their edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcu_ser.study.charts import MARGIN, ROW, SHAPES, WIDTH, Mark, Tick, number, symbol
from mcu_ser.study.names import approach_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HOMOPHILY, CHANCE = "homophily", "homophily_by_chance"
# More would make the page large and the picture grey; the caption says how many of all are drawn.
DRAWN_POINTS = 1500
DRAWN_EDGES = 4000
_POINT = 3.2


@dataclass(frozen=True)
class HomophilyRow:
    """The graphs of one approach, one symbol per fold."""

    label: str
    figure: str
    by_chance: str
    text_y: str
    chance_top: str
    chance_bottom: str
    chance: tuple[str, ...]
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class HomophilyChart:
    """Rows over an axis from 0 to 1."""

    height: int
    bottom: str
    ticks: tuple[Tick, ...]
    rows: tuple[HomophilyRow, ...]


@dataclass(frozen=True)
class Cloud:
    """The points of one class, one path."""

    label: str
    path: str
    kind: int


@dataclass(frozen=True)
class Picture:
    """Embeddings in the plane; edges within a class and between classes, each one path."""

    height: int
    clouds: tuple[Cloud, ...]
    same: str
    different: str
    points: int
    edges: int
    left_out: str
    explained: str | None


def homophily_chart(graphs: Sequence[Mapping[str, Any]]) -> HomophilyChart | None:
    """Per model and approach, its folds; None where no graph has these figures."""
    grouped: dict[str, list[Mapping[str, Any]]] = {}
    several = len({graph["model"] for graph in graphs}) > 1
    for graph in graphs:
        if HOMOPHILY in graph["figures"] and CHANCE in graph["figures"]:
            name = approach_name(graph["approach"])
            label = f"{graph['model']}, {name}" if several else name
            grouped.setdefault(label, []).append(graph)
    if not grouped:
        return None
    rows = []
    for index, (label, group) in enumerate(grouped.items()):
        top = 8 + index * ROW
        y = top + 27
        values = [graph["figures"][HOMOPHILY] for graph in group]
        chances = [graph["figures"][CHANCE] for graph in group]
        marks = tuple(
            Mark(
                symbol(0, _share(value), y, 4.5),
                1,
                f"{label}, fold {graph['fold']}: {value:.2f} of the edges",
            )
            for graph, value in zip(group, values, strict=True)
        )
        by_chance = f"{sum(chances) / len(chances):.2f} by chance"
        rows.append(
            HomophilyRow(
                label,
                f"{sum(values) / len(values):.2f}",
                by_chance,
                number(top + 12),
                number(y - 7),
                number(y + 7),
                tuple(number(_share(chance)) for chance in chances),
                marks,
            )
        )
    bottom = 8 + len(rows) * ROW + 4
    ticks = tuple(Tick(number(_share(fifth / 5)), f"{fifth / 5:.1f}") for fifth in range(6))
    return HomophilyChart(bottom + 26, number(bottom), ticks, tuple(rows))


def picture(data: Mapping[str, Any], labels: Sequence[str]) -> Picture:
    """The embeddings with their edges, fitted into a square.

    Args:
        data: Lists `x`, `y`, `label` and `edges`, and perhaps `explained`, the share of variance.
        labels: Class names.
    """
    places = _fitted(data["x"], data["y"])
    drawn = _thinned(len(places), DRAWN_POINTS)
    edges = [data["edges"][index] for index in _thinned(len(data["edges"]), DRAWN_EDGES)]
    lines: dict[bool, list[str]] = {True: [], False: []}
    for first, second in edges:
        same = data["label"][first] == data["label"][second]
        lines[same].append("M{} {}L{} {}".format(*map(number, (*places[first], *places[second]))))
    clouds = []
    for kind, label in enumerate(labels):
        of_class = (places[index] for index in drawn if data["label"][index] == kind)
        clouds.append(Cloud(label, "".join(symbol(kind, x, y, _POINT) for x, y in of_class), kind % SHAPES))
    explained = data.get("explained")
    return Picture(
        height=WIDTH,
        clouds=tuple(clouds),
        same="".join(lines[True]),
        different="".join(lines[False]),
        points=len(places),
        edges=len(data["edges"]),
        left_out=_left_out(len(drawn), len(places), "utterances")
        + _left_out(len(edges), len(data["edges"]), "edges"),
        explained=None if explained is None else f"{explained:.0%}",
    )


def _left_out(drawn: int, of: int, what: str) -> str:
    return "" if drawn == of else f" {drawn} of the {what} are drawn."


def _share(value: float) -> float:
    return MARGIN + value * (WIDTH - 2 * MARGIN)


def _fitted(xs: Sequence[float], ys: Sequence[float]) -> list[tuple[float, float]]:
    """Chart units, one scale for both directions, y upwards."""
    spans = max(xs, default=0) - min(xs, default=0), max(ys, default=0) - min(ys, default=0)
    scale = (WIDTH - 2 * MARGIN) / (max(spans) or 1)
    middle = tuple((max(each, default=0) + min(each, default=0)) / 2 for each in (xs, ys))
    return [
        (WIDTH / 2 + (x - middle[0]) * scale, WIDTH / 2 - (y - middle[1]) * scale)
        for x, y in zip(xs, ys, strict=True)
    ]


def _thinned(count: int, limit: int) -> list[int]:
    """All positions, or `limit` of them spread evenly."""
    return list(range(count)) if count <= limit else [index * count // limit for index in range(limit)]
