# SPDX-License-Identifier: Apache-2.0
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcu_ser.study.charts import DODGE, SHAPES, WIDTH, dot_chart, kinds, number, size_chart, symbol
from mcu_ser.study.graph_charts import homophily_chart, picture

SHARES = st.floats(0, 1)


@st.composite
def results(draw):
    found = []
    for model in range(draw(st.integers(1, 4))):
        size = draw(st.integers(1_000, 20_000_000))
        for approach in range(draw(st.integers(1, 5))):
            uars = draw(st.lists(SHARES, min_size=1, max_size=4))
            mean = sum(uars) / len(uars)
            limits = draw(st.none() | st.tuples(SHARES, SHARES).map(sorted))
            stage = {"uar": mean, "interval": limits, "uar_by_seed": uars}
            found.append(
                {
                    "model": f"m{model}",
                    "approach": f"a{approach}",
                    "tflite_bytes": size + approach,
                    "stages": {"int8": stage},
                }
            )
    return found


def corners(path):
    """Absolute points of a path of M, m, l and a (whose flags are no places)."""
    x = y = 0.0
    for command, numbers in re.findall(r"([Mmla])([^Mmlaz]*)", path):
        values = [float(value) for value in numbers.split()]
        if command == "a":
            values = values[-2:]
        for dx, dy in zip(values[::2], values[1::2], strict=True):
            x, y = (dx, dy) if command == "M" else (x + dx, y + dy)
            yield x, y


@given(results())
@settings(max_examples=40)
def test_everything_is_inside_the_chart(found):
    chart = dot_chart(found, "int8")
    sizes = size_chart(found, "int8")
    assert len(chart.rows) == len(sizes.points) == len(found)
    for row in chart.rows:
        assert all(0 <= float(x) <= WIDTH for x in (*row.small, row.low or 0, row.high or 0))
        assert all(0 <= x <= WIDTH and 0 <= y <= chart.height for x, y in corners(row.mark.path))
    for point in sizes.points:
        assert all(0 <= x <= WIDTH and 0 <= y <= sizes.height for x, y in corners(point.mark.path))
        assert all(0 <= float(y) <= sizes.height for y in (point.low or 0, point.high or 0))
    assert 2 <= len(chart.ticks) <= 8
    assert all(0 <= float(tick.at) <= WIDTH for tick in (*chart.ticks, *sizes.x_ticks))


@given(results())
@settings(max_examples=40)
def test_more_is_further(found):
    chart = dot_chart(found, "int8")
    pairs = sorted(
        (result["stages"]["int8"]["uar_by_seed"][0], float(row.small[0]))
        for result, row in zip(found, chart.rows, strict=True)
    )
    places = [place for _, place in pairs]
    assert places == sorted(places)


def result(model, approach, size, uar=0.6):
    stage = {"uar": uar, "interval": [uar - 0.1, uar + 0.1], "uar_by_seed": [uar]}
    return {"model": model, "approach": approach, "tflite_bytes": size, "stages": {"int8": stage}}


def test_approaches_of_one_size_stand_side_by_side():
    chart = size_chart([result("m", "a", 5000), result("m", "b", 5004), result("n", "b", 6000)], "int8")
    a, b, alone = (float(point.x) for point in chart.points)
    assert b - a == DODGE
    assert (a + b) / 2 == float(chart.x_ticks[0].at)
    assert alone == float(chart.x_ticks[1].at)
    assert (chart.x_ticks[0].text, chart.x_ticks[0].detail) == ("m", "5,004 B")
    assert not chart.logarithmic
    assert size_chart([result("m", "a", 5000), result("n", "a", 15001)], "int8").logarithmic


def test_an_approach_has_one_shape_in_all_models():
    assert kinds(["speech_only", "nsl", "speech_only", "fine_tuning"]) == {
        "speech_only": 0,
        "nsl": 1,
        "fine_tuning": 2,
    }
    chart = size_chart([result("m", "a", 9), result("m", "b", 9), result("n", "b", 9)], "int8")
    assert [point.mark.kind for point in chart.points] == [0, 1, 1]


def test_shapes_differ():
    assert len({symbol(kind, 0, 0, 5) for kind in range(SHAPES)}) == SHAPES


@pytest.mark.parametrize(("value", "text"), [(1.04, "1"), (-0.04, "0"), (2.25, "2.2"), (-3.17, "-3.2")])
def test_coordinates_are_short(value, text):
    assert number(value) == text


@given(
    st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.integers(0, 2)), min_size=1, max_size=30),
    st.data(),
)
def test_picture_is_inside_and_whole(points, data):
    position = st.integers(0, len(points) - 1)
    edges = data.draw(st.lists(st.lists(position, min_size=2, max_size=2), max_size=20))
    document = {
        "x": [x for x, _, _ in points],
        "y": [y for _, y, _ in points],
        "label": [label for _, _, label in points],
        "edges": edges,
    }
    drawn = picture(document, ["a", "b", "c"])
    assert sum(cloud.path.count("M") for cloud in drawn.clouds) == len(points)
    same = sum(points[first][2] == points[second][2] for first, second in edges)
    assert (drawn.same.count("M"), drawn.different.count("M")) == (same, len(edges) - same)
    for cloud in drawn.clouds:
        assert all(0 <= x <= WIDTH and 0 <= y <= drawn.height for x, y in corners(cloud.path))
    assert drawn.left_out == ""


def test_picture_keeps_proportions_and_up_is_up():
    drawn = picture({"x": [-1, 1, 0], "y": [0, 0, 0.5], "label": [0, 0, 0], "edges": [[0, 1], [0, 2]]}, ["a"])
    assert drawn.same == "M16 296L464 296M16 296L240 184"


def graph(approach, fold, homophily, chance=0.2):
    figures = {"homophily": homophily, "homophily_by_chance": chance}
    return {"model": "m", "approach": approach, "fold": fold, "figures": figures}


def test_homophily_by_approach_and_fold():
    chart = homophily_chart([graph("nsl", 1, 0.5), graph("nsl", 2, 1.0), graph("nsl_fine_tuning", 1, 0.0)])
    assert [(row.label, row.figure, row.by_chance) for row in chart.rows] == [
        ("NSL graph", "0.75", "0.20 by chance"),
        ("NSL graph + fine-tuning", "0.00", "0.20 by chance"),
    ]
    assert [mark.title for mark in chart.rows[0].marks] == [
        "NSL graph, fold 1: 0.50 of the edges",
        "NSL graph, fold 2: 1.00 of the edges",
    ]
    assert homophily_chart([]) is None
    assert homophily_chart([{"model": "m", "approach": "nsl", "fold": 1, "figures": {"edges": 3.0}}]) is None
