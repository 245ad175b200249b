# SPDX-License-Identifier: Apache-2.0
"""Turns figures of a report into the geometry of its charts; the template prints it as SVG.

As in `mcu_ser.study.charts` a chart is 480 units wide, so that its text can be read on a phone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcu_ser.study.charts import MARGIN, WIDTH, number

if TYPE_CHECKING:
    from collections.abc import Sequence

# A line of text, and the bar below it.
ROW = 40
BAR = 12
# Highest column of a histogram, what is above it, a line of text, and below it, an axis with two numbers.
COLUMNS_HEIGHT = 140
COLUMNS_TOP = 24
AXIS_HEIGHT = 26
# A bar of next to nothing is still to be seen.
LEAST_WIDTH = 1.5


@dataclass(frozen=True)
class Bar:
    """One quantity: its name, its figure in words, and its share of the chart's width, 0..1.

    Attributes:
        marked: Whether it is over its limit, or wrong; the figure says so too.
        limited: Whether the width stands for a limit, which is then drawn as a frame.
    """

    label: str
    figure: str
    share: float
    marked: bool = False
    limited: bool = False


@dataclass(frozen=True)
class BarRow:
    """A bar with its place."""

    bar: Bar
    text_y: str
    y: str
    width: str


@dataclass(frozen=True)
class BarChart:
    """Bars below each other, each with a line of text above it."""

    name: str
    title: str
    height: int
    left: str
    full: str
    bar_height: str
    rows: tuple[BarRow, ...]


@dataclass(frozen=True)
class Column:
    """A bin of a histogram."""

    x: str
    y: str
    width: str
    height: str
    title: str


@dataclass(frozen=True)
class Histogram:
    """Columns over one axis, with the numbers of its ends, and how many the highest stands for."""

    title: str
    description: str
    height: int
    bottom: str
    columns: tuple[Column, ...]
    left: str
    right: str
    first: str
    last: str
    most: str


def bar_chart(name: str, title: str, bars: Sequence[Bar]) -> BarChart:
    """Bars from zero; `name` tells the chart's ids from those of the page's other charts."""
    full = WIDTH - 8
    rows = tuple(
        BarRow(
            bar,
            text_y=number(index * ROW + 15),
            y=number(index * ROW + 21),
            width=number(max(LEAST_WIDTH, full * min(1.0, bar.share)) if bar.share > 0 else 0),
        )
        for index, bar in enumerate(bars)
    )
    return BarChart(name, title, len(bars) * ROW + 2, "4", number(full), str(BAR), rows)


def histogram_chart(title: str, unit: str, first: int, width: int, counts: Sequence[int]) -> Histogram:
    """Columns of counts; bin i begins at `first + i * width` ticks."""
    step = (WIDTH - 2 * MARGIN) / len(counts)
    most = max(counts)
    columns = []
    for index, count in enumerate(counts):
        low = first + index * width
        high = low + width - 1
        span = f"{low:,}" if width == 1 else f"{low:,} to {high:,}"
        tall = COLUMNS_HEIGHT * count / most
        columns.append(
            Column(
                x=number(MARGIN + index * step + 0.5),
                y=number(COLUMNS_TOP + COLUMNS_HEIGHT - tall),
                width=number(max(0.5, step - 1)),
                height=number(tall),
                title=f"{span} {unit}: {count}",
            )
        )
    described = "; ".join(column.title for column, count in zip(columns, counts, strict=True) if count)
    return Histogram(
        title=title,
        description=described,
        height=COLUMNS_TOP + COLUMNS_HEIGHT + AXIS_HEIGHT,
        bottom=number(COLUMNS_TOP + COLUMNS_HEIGHT),
        columns=tuple(columns),
        left=number(MARGIN),
        right=number(WIDTH - MARGIN),
        first=f"{first:,}",
        last=f"{first + len(counts) * width - 1:,}",
        most=f"highest column: {most} of {sum(counts)}",
    )
