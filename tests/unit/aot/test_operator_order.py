# SPDX-License-Identifier: Apache-2.0
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.aot.compile import compile_model
from mcu_ser.aot.ir import verify_graph
from mcu_ser.aot.memory_plan_svg import memory_plan_svg
from mcu_ser.aot.operator_order import Schedule, Step, best_order, in_best_order, schedule_of
from mcu_ser.aot.passes import find_aliases
from mcu_ser.aot.tflite_reader import read_model
from tests.branched_model import BRANCHES, branched_model
from tests.tflite_builder import TfliteBuilder


@st.composite
def schedules(draw, most=7):
    """Steps that write a buffer each and read some of those before them, the first of which is given."""
    count = draw(st.integers(1, most))
    sizes = draw(st.lists(st.integers(1, 60).map(lambda n: 4 * n), min_size=count + 1, max_size=count + 1))
    steps = []
    for place in range(count):
        reads = draw(st.lists(st.integers(0, place), min_size=1, max_size=3))
        after = sum({1 << (buffer - 1) for buffer in reads if buffer})
        scratch = draw(st.sampled_from([0, 0, 8, 100]))
        steps.append(Step(after, sum({1 << buffer for buffer in reads}), 1 << place + 1, scratch))
    wanted = sum({1 << draw(st.integers(0, count)) for _ in range(2)})
    return Schedule(tuple(steps), tuple(sizes), 1, wanted)


def _orders(schedule):
    for order in itertools.permutations(range(len(schedule.steps))):
        done = 0
        for place in order:
            if schedule.steps[place].after & ~done:
                break
            done |= 1 << place
        else:
            yield order


@given(schedules())
def test_no_order_needs_less_than_the_one_that_is_found(schedule):
    found = best_order(schedule)
    assert found in set(_orders(schedule))
    assert schedule.peak_bytes(found) == min(map(schedule.peak_bytes, _orders(schedule)))
    assert best_order(schedule) == found


@given(schedules(), st.integers(0, 20))
def test_a_search_that_gives_up_never_finds_a_worse_order(schedule, states):
    found = best_order(schedule, states)
    assert found in set(_orders(schedule))
    assert schedule.peak_bytes(found) <= schedule.peak_bytes(tuple(range(len(found))))


@given(schedules())
def test_a_buffer_is_alive_from_its_step_to_its_last_reader(schedule):
    live = [step.scratch_bytes for step in schedule.steps]
    for buffer, size in enumerate(schedule.sizes):
        users = [place for place, step in enumerate(schedule.steps) if step.reads >> buffer & 1]
        users += [buffer - 1] if buffer else []
        if schedule.wanted >> buffer & 1:
            users.append(len(live) - 1)
        for moment in range(0 if buffer == 0 else buffer - 1, max(users, default=-1) + 1):
            live[moment] += size
    assert schedule.peak_bytes(tuple(range(len(live)))) == max(*live, schedule.sizes[0])


def test_an_order_that_is_as_good_stays():
    wide = Step(0, 1, 2, 0), Step(0, 1, 4, 0), Step(3, 6, 8, 0)
    assert best_order(Schedule(wide, (4, 4, 4, 4), 1, 8)) == (0, 1, 2)


def test_branches_are_computed_one_by_one():
    graph = read_model(branched_model())
    ordered = in_best_order(graph, find_aliases(graph), {})
    verify_graph(ordered)
    places = [operator.index for operator in ordered.operators]
    assert sorted(places) == list(range(len(graph.operators)))
    assert places != sorted(places)
    before, after = (schedule_of(g, find_aliases(g), {}) for g in (graph, ordered))
    order = tuple(range(len(places)))
    assert after.peak_bytes(order) < before.peak_bytes(order) / 2


def test_a_reshape_waits_for_what_it_renumbers():
    model = TfliteBuilder()
    x = model.tensor((1, 64), scale=1.0)
    a, b, flat, c, y = (model.tensor((1, n), scale=1.0) for n in (64, 64, 64, 4, 4))
    model.operator("RELU", [x], [a])
    model.operator("RELU", [x], [b])
    model.operator("RESHAPE", [b], [flat])
    weights = model.tensor((4, 64), scale=1.0, data=[[1] * 64] * 4)
    model.operator("FULLY_CONNECTED", [flat, weights], [c])
    d = model.tensor((1, 4), scale=1.0)
    model.operator("FULLY_CONNECTED", [a, weights], [d])
    model.operator("ADD", [c, d], [y])
    graph = read_model(model.build([x], [y]))
    ordered = in_best_order(graph, find_aliases(graph), {})
    verify_graph(ordered)
    places = [operator.index for operator in ordered.operators]
    assert places.index(1) < places.index(2) < places.index(3)


def test_scratch_counts():
    model = TfliteBuilder()
    x = model.tensor((1, 400), scale=1.0)
    a, y = model.tensor((1, 400), scale=1.0), model.tensor((1, 400), scale=1.0)
    model.operator("RELU", [x], [a])
    model.operator("RELU", [a], [y])
    schedule = schedule_of(read_model(model.build([x], [y])), {}, {1: 10})
    assert schedule.peak_bytes((0, 1)) == 812


def test_the_compiled_model_runs_in_the_order_that_needs_less():
    model = compile_model(branched_model())
    order = [layer.index for layer in model.layers]
    assert order != sorted(order)
    assert [operator.index for operator in model.graph.operators] == order
    calls = model.sources["aot_model.c"].partition("void aot_model_invoke(void)")[2]
    traced = [calls.index(f"AOT_AFTER_LAYER({index},") for index in order]
    assert traced == sorted(traced)
    assert all(layer.live_bytes <= model.plan.lower_bound for layer in model.layers)


def test_the_picture_has_the_layers_in_their_order():
    model = compile_model(branched_model())
    picture = memory_plan_svg(model)
    titles = [picture.index(f"<title>Layer {layer.index}, ") for layer in model.layers]
    assert titles == sorted(titles)
    # The stem's image lives until the last branch has read it.
    last = next(index for index in reversed([la.index for la in model.layers]) if index in BRANCHES)
    assert f"layers 0 to {last}" in picture


@pytest.mark.parametrize("name", ["RELU"])
def test_a_network_without_branches_keeps_its_order(name):
    model = TfliteBuilder()
    tensors = [model.tensor((1, 8), scale=1.0) for _ in range(6)]
    for source, result in itertools.pairwise(tensors):
        model.operator(name, [source], [result])
    graph = read_model(model.build(tensors[:1], tensors[-1:]))
    assert in_best_order(graph, {}, {}) is graph
