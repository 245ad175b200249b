# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.aot.arena import Plan, live_bytes, lower_bound, plan_arena, verify_plan
from mcu_ser.aot.lifetimes import Buffer, find_buffers
from mcu_ser.aot.passes import find_aliases
from mcu_ser.aot.tflite_reader import read_model
from mcu_ser.errors import ModelError
from tests.tflite_builder import TfliteBuilder

BUFFERS = st.lists(
    st.tuples(st.integers(1, 5000), st.integers(-1, 30), st.integers(0, 12)), min_size=1, max_size=40
).map(lambda rows: [Buffer(i, size, first, first + span) for i, (size, first, span) in enumerate(rows)])


def _chain(sizes):
    """Buffers of a network without branches: each is read by the next layer alone."""
    return [Buffer(i, size, i - 1, i) for i, size in enumerate(sizes)]


@given(BUFFERS)
def test_plans_are_valid_and_not_below_the_bound(buffers):
    plan = plan_arena(buffers)
    verify_plan(buffers, plan)
    assert plan.lower_bound <= plan.bytes <= sum(-(-b.bytes // 4) * 4 for b in buffers)


@given(st.lists(st.integers(1, 100_000), min_size=1, max_size=40))
def test_a_network_without_branches_needs_no_more_than_its_worst_pair(sizes):
    plan = plan_arena(_chain(sizes))
    assert plan.bytes == plan.lower_bound


@given(BUFFERS)
def test_every_pair_that_lives_together_is_apart(buffers):
    plan = plan_arena(buffers)
    for a in buffers:
        for b in buffers:
            if a.tensor < b.tensor and a.first <= b.last and b.first <= a.last:
                start_a, start_b = plan.offsets[a.tensor], plan.offsets[b.tensor]
                assert start_a + a.bytes <= start_b or start_b + b.bytes <= start_a


def test_most_random_networks_meet_their_lower_bound():
    import random

    rng = random.Random(3)
    above = []
    for _ in range(40):
        buffers = []
        for index in range(30):
            span = rng.choice([1, 1, 1, 2, 3, 5])
            buffers.append(Buffer(index, rng.choice([64, 100, 1000, 8000, 3136]), index - 1, index + span))
        plan = plan_arena(buffers)
        above.append(plan.bytes / plan.lower_bound - 1)
    assert max(above) <= 0.05
    assert sum(above) / len(above) <= 0.01


def test_the_same_buffers_give_the_same_plan():
    buffers = [Buffer(i, 37 * i % 101 + 1, i % 7, i % 7 + i % 5) for i in range(40)]
    assert plan_arena(buffers) == plan_arena(list(buffers))


def test_no_buffers_need_no_arena():
    assert plan_arena([]) == Plan({}, 0, 0)


def test_live_bytes_are_those_of_the_layer():
    buffers = [Buffer(0, 5, -1, 1), Buffer(1, 8, 0, 2), Buffer(2, 1, 2, 3)]
    assert [live_bytes(buffers, layer) for layer in (-1, 0, 1, 2, 3)] == [8, 16, 16, 12, 4]
    assert lower_bound(buffers) == 16


GOOD = [Buffer(0, 10, 0, 1), Buffer(1, 8, 1, 2), Buffer(2, 8, 2, 3)]


@pytest.mark.parametrize(
    ("offsets", "size", "problem"),
    [
        ({0: 0, 1: 8, 2: 0}, 32, "tensors 0 and 1 overlap at layer 1"),
        ({0: 0, 1: 12, 2: 12}, 32, "tensors 1 and 2 overlap at layer 2"),
        ({0: 4, 1: 0, 2: 8}, 32, "tensors 1 and 0 overlap at layer 1"),
        ({0: 0, 1: 12, 2: 28}, 32, "tensor 2 is at 28 .. 36, outside of 32 B"),
        ({0: -4, 1: 12, 2: 0}, 32, "tensor 0 is at -4 .. 6, outside of 32 B"),
        ({0: 0, 1: 14, 2: 0}, 32, "tensor 1 is at 14, which is not aligned"),
        ({0: 0, 1: 12}, 32, "tensor 2 has no place"),
    ],
)
def test_a_wrong_plan_is_found(offsets, size, problem):
    with pytest.raises(ModelError) as caught:
        verify_plan(GOOD, Plan(offsets, size, 0))
    assert str(caught.value) == f"arena plan: {problem}; try: report this model as a defect of mcu-ser"


def test_a_right_plan_is_accepted():
    verify_plan(GOOD, Plan({0: 0, 1: 12, 2: 0}, 20, 20))


def test_equal_lifetimes_that_overlap_are_found():
    twins = [Buffer(0, 4, 3, 5), Buffer(1, 4, 3, 5)]
    with pytest.raises(ModelError, match="overlap at layer 3"):
        verify_plan(twins, Plan({0: 0, 1: 0}, 4, 8))


def test_lifetimes_span_from_first_write_to_last_read():
    model = TfliteBuilder()
    x, a, b, flat, y = (model.tensor((1, 6), scale=1.0) for _ in range(5))
    model.operator("RELU", [x], [a])
    model.operator("RELU", [a], [b])
    model.operator("RESHAPE", [b], [flat])
    model.operator("ADD", [flat, a], [y])
    graph = read_model(model.build([x], [y]))
    aliases = find_aliases(graph)
    assert aliases == {flat: b}
    assert find_buffers(graph, aliases) == (
        Buffer(x, 6, -1, 0),
        Buffer(a, 6, 0, 3),
        Buffer(b, 6, 1, 3),
        Buffer(y, 6, 3, 4),
    )


def test_an_alias_of_an_alias_lies_where_the_first_one_lies():
    model = TfliteBuilder()
    x, a, b, c = (model.tensor((1, 6), scale=1.0) for _ in range(4))
    model.operator("RESHAPE", [x], [a])
    model.operator("RESHAPE", [a], [b])
    model.operator("RELU", [b], [c])
    graph = read_model(model.build([x], [c]))
    aliases = find_aliases(graph)
    assert aliases == {a: x, b: x}
    assert find_buffers(graph, aliases) == (Buffer(x, 6, -1, 2), Buffer(c, 6, 2, 3))


def test_results_that_nobody_reads_still_have_a_place():
    model = TfliteBuilder()
    x, unused, y = (model.tensor((1, 6), scale=1.0) for _ in range(3))
    model.operator("RELU", [x], [unused])
    model.operator("RELU6", [x], [y])
    graph = read_model(model.build([x], [y]))
    assert find_buffers(graph, {}) == (Buffer(x, 6, -1, 1), Buffer(unused, 6, 0, 0), Buffer(y, 6, 1, 2))
