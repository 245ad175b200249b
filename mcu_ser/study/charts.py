# SPDX-License-Identifier: Apache-2.0
"""Turns figures of a study into the geometry of the page's charts; the templates print it as SVG.

A chart is 480 units wide, so that its text can be read on a phone. Shape tells what colour tells.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from mcu_ser.study.names import approach_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

WIDTH = 480
MARGIN = 16
# Where the marks of a row of `dot_chart` may be, and how high it is: a line of text above, the marks below.
ROW = 54
SIZE_HEIGHT = 300
SIZE_LEFT = 52
SIZE_BOTTOM = 54
# Sizes further apart than this factor are shown on a logarithmic axis.
LOGARITHMIC_FROM = 3.0
DODGE = 15
SHAPES = 8


@dataclass(frozen=True)
class Mark:
    """A symbol: its place, the number of its shape and colour, and what it says when pointed at."""

    path: str
    kind: int
    title: str


@dataclass(frozen=True)
class Tick:
    """A line of the grid with its number, or a place on an axis with two lines of text."""

    at: str
    text: str
    detail: str = ""


@dataclass(frozen=True)
class Row:
    """One approach: its name and figure, the interval (ends in chart units), seeds and mean."""

    label: str
    figure: str
    text_y: str
    y: str
    low: str | None
    high: str | None
    small: tuple[str, ...]
    mark: Mark


@dataclass(frozen=True)
class DotChart:
    """Rows over one horizontal axis."""

    height: int
    bottom: str
    ticks: tuple[Tick, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class SizePoint:
    """One result in the chart of UAR against size."""

    x: str
    low: str | None
    high: str | None
    mark: Mark


@dataclass(frozen=True)
class SizeChart:
    """UAR upwards, bytes to the right."""

    height: int
    left: str
    right: str
    bottom: str
    y_ticks: tuple[Tick, ...]
    x_ticks: tuple[Tick, ...]
    points: tuple[SizePoint, ...]
    logarithmic: bool


def number(value: float) -> str:
    """A coordinate; a tenth of a unit is finer than a pixel."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def symbol(kind: int, x: float, y: float, size: float) -> str:
    """SVG path of shape `kind` (0..7) of about `2 size` across, at (x, y)."""
    s = size
    shapes = (
        f"m{number(-s)} 0a{number(s)} {number(s)} 0 1 0 {number(2 * s)} 0a{number(s)} {number(s)} 0 1 0 "
        f"{number(-2 * s)} 0z",
        _polygon([(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)], s),
        _polygon([(0, -1.15), (1.1, 0.85), (-1.1, 0.85)], s),
        _polygon([(0, -1.25), (1.25, 0), (0, 1.25), (-1.25, 0)], s),
        _polygon([(0, 1.15), (1.1, -0.85), (-1.1, -0.85)], s),
        _polygon(_plus(), s),
        _polygon([((a - b) * 0.75, (a + b) * 0.75) for a, b in _plus()], s),
        _polygon([(-0.5, -1.3), (0.5, -1.3), (0.5, 1.3), (-0.5, 1.3)], s),
    )
    return f"M{number(x)} {number(y)}{shapes[kind % SHAPES]}"


def kinds(approaches: Iterable[str]) -> dict[str, int]:
    """Shape and colour per approach, in order of appearance."""
    return {approach: index % SHAPES for index, approach in enumerate(dict.fromkeys(approaches))}


def dot_chart(results: Sequence[dict[str, Any]], stage: str) -> DotChart:
    """Per result: mean UAR, its interval and a dot per seed."""
    stages = [result["stages"][stage] for result in results]
    low, high = _range(value for each in stages for value in _values(each))
    across = _scale(low, high, MARGIN, WIDTH - MARGIN)
    shapes = kinds(result["approach"] for result in results)
    several = len({result["model"] for result in results}) > 1
    rows = [
        _row(
            f"{result['model']}, {approach_name(result['approach'])}"
            if several
            else approach_name(result["approach"]),
            each,
            kind=shapes[result["approach"]],
            top=8 + index * ROW,
            across=across,
        )
        for index, (result, each) in enumerate(zip(results, stages, strict=True))
    ]
    bottom = 8 + len(results) * ROW + 4
    ticks = tuple(Tick(number(across(value)), f"{value:.2f}") for value in _steps(low, high))
    return DotChart(bottom + 26, number(bottom), ticks, tuple(rows))


def size_chart(results: Sequence[dict[str, Any]], stage: str) -> SizeChart:
    """UAR against the bytes of the .tflite; approaches of one size stand side by side."""
    low, high = _range(value for result in results for value in _values(result["stages"][stage]))
    bottom = SIZE_HEIGHT - SIZE_BOTTOM
    up = _scale(low, high, bottom, MARGIN)
    across, logarithmic = _size_scale([result["tflite_bytes"] for result in results])
    models = dict.fromkeys(result["model"] for result in results)
    # A model's approaches differ by a few bytes at most: one place for all of them.
    sizes = {
        model: max(int(result["tflite_bytes"]) for result in results if result["model"] == model)
        for model in models
    }
    shapes = kinds(result["approach"] for result in results)
    points = []
    for result in results:
        beside = [other["approach"] for other in results if other["model"] == result["model"]]
        aside = DODGE * (beside.index(result["approach"]) - (len(beside) - 1) / 2)
        x = across(sizes[result["model"]]) + aside
        points.append(_size_point(result, stage, x=x, kind=shapes[result["approach"]], up=up))
    return SizeChart(
        height=SIZE_HEIGHT,
        left=number(SIZE_LEFT),
        right=number(WIDTH - MARGIN),
        bottom=number(bottom),
        y_ticks=tuple(Tick(number(up(value)), f"{value:.2f}") for value in _steps(low, high)),
        x_ticks=tuple(Tick(number(across(size)), model, f"{size:,} B") for model, size in sizes.items()),
        points=tuple(points),
        logarithmic=logarithmic,
    )


def _row(
    label: str, stage: dict[str, Any], *, kind: int, top: float, across: Callable[[float], float]
) -> Row:
    y = top + 27
    limits = stage["interval"]
    figure = f"{stage['uar']:.3f}"
    return Row(
        label=label,
        figure=figure,
        text_y=number(top + 12),
        y=number(y),
        low=None if limits is None else number(across(limits[0])),
        high=None if limits is None else number(across(limits[1])),
        small=tuple(number(across(uar)) for uar in stage["uar_by_seed"]),
        mark=Mark(symbol(kind, across(stage["uar"]), y, 6), kind, f"{label}: {figure}"),
    )


def _size_point(
    result: dict[str, Any], stage: str, *, x: float, kind: int, up: Callable[[float], float]
) -> SizePoint:
    figures = result["stages"][stage]
    limits = figures["interval"]
    title = f"{result['model']}, {approach_name(result['approach'])}: {figures['uar']:.3f}"
    return SizePoint(
        number(x),
        None if limits is None else number(up(limits[0])),
        None if limits is None else number(up(limits[1])),
        Mark(symbol(kind, x, up(figures["uar"]), 6), kind, title),
    )


def _size_scale(sizes: Sequence[int]) -> tuple[Callable[[float], float], bool]:
    """The scale of the sizes, and whether it is logarithmic."""
    inner = SIZE_LEFT + 60, WIDTH - MARGIN - 60
    if max(sizes) == min(sizes):
        return (lambda _: sum(inner) / 2), False
    if max(sizes) <= LOGARITHMIC_FROM * min(sizes):
        return _scale(min(sizes), max(sizes), *inner), False
    scale = _scale(math.log(min(sizes)), math.log(max(sizes)), *inner)
    return (lambda size: scale(math.log(size))), True


def _values(stage: dict[str, Any]) -> list[float]:
    return [stage["uar"], *stage["uar_by_seed"], *(stage["interval"] or ())]


def _range(values: Iterable[float]) -> tuple[float, float]:
    """Whole steps of 0.05 around the values, at least two."""
    known = list(values)
    low = math.floor(min(known) * 20) / 20
    high = math.ceil(max(known) * 20) / 20
    return (low, high) if high - low > 0.09 else (max(0.0, low - 0.05), min(1.0, high + 0.05))


def _steps(low: float, high: float) -> list[float]:
    step = 0.05 if high - low <= 0.31 else 0.1 if high - low <= 0.61 else 0.2
    first = math.ceil(low / step - 1e-9)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    return lambda value: start + (value - low) / (high - low) * (end - start)


def _polygon(corners: Sequence[tuple[float, float]], size: float) -> str:
    """Relative path of a polygon around the current point."""
    points = [(x * size, y * size) for x, y in corners]
    path = f"m{number(points[0][0])} {number(points[0][1])}l"
    steps = [
        f"{number(x - before_x)} {number(y - before_y)}" for (before_x, before_y), (x, y) in pairwise(points)
    ]
    return path + " ".join(steps) + "z"


def _plus() -> list[tuple[float, float]]:
    a, b = 0.4, 1.25
    return [
        (-a, -b),
        (a, -b),
        (a, -a),
        (b, -a),
        (b, a),
        (a, a),
        (a, b),
        (-a, b),
        (-a, a),
        (-b, a),
        (-b, -a),
        (-a, -a),
    ]
