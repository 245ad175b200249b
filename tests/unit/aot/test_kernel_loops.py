# SPDX-License-Identifier: Apache-2.0
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.aot.ir import Activation, Padding, WindowOptions
from mcu_ser.aot.kernels.add import broadcast_loops
from mcu_ser.aot.kernels.mean import mean_loops
from mcu_ser.aot.kernels.pad import pad_loops
from mcu_ser.aot.tflite_reader import read_model
from mcu_ser.aot.weighted import Weighted, weighted
from mcu_ser.aot.window import needs_border, place_window, window_of
from tests.plain_layers import conv, matrix, weights

SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=5).map(tuple)


def _operand(draw, shape):
    """A shape that broadcasts to `shape`."""
    dropped = draw(st.integers(0, len(shape)))
    return tuple(size if draw(st.booleans()) else 1 for size in shape[dropped:])


@given(st.data(), SHAPES)
def test_add_reads_the_elements_that_broadcasting_pairs(data, shape):
    operands = [_operand(data.draw, shape), shape]
    loops = broadcast_loops(shape, *operands)
    for operand, steps in zip(operands, (loops.first_steps, loops.second_steps), strict=True):
        read = [
            sum(i * step for i, step in zip(index, steps, strict=True))
            for index in itertools.product(*map(range, loops.sizes))
        ]
        elements = np.arange(np.prod(operand, dtype=int)).reshape(operand)
        assert read == np.broadcast_to(elements, shape).ravel().tolist()


@pytest.mark.parametrize(
    ("shape", "first", "loops"),
    [
        ((1, 4, 4, 8), (1, 4, 4, 8), 1),
        ((1, 4, 4, 8), (8,), 2),
        ((1, 4, 4, 8), (1, 4, 4, 1), 2),
        ((1, 4, 4, 8), (1, 1, 4, 1), 3),
        ((1, 1, 1), (1,), 0),
    ],
)
def test_add_merges_what_can_be_walked_in_one_stride(shape, first, loops):
    assert len(broadcast_loops(shape, first, shape).sizes) == loops


@given(SHAPES.filter(lambda shape: len(shape) < 5), st.data())
def test_mean_sums_the_elements_that_the_axes_reduce(shape, data):
    axes = frozenset(data.draw(st.sets(st.integers(0, len(shape) - 1))))
    loops = mean_loops(shape, axes)
    assert len(loops.runs) == 5
    values = np.arange(np.prod(shape, dtype=int))
    merged = values.reshape(loops.runs).sum(axis=(1, 3)).ravel()
    assert merged.tolist() == values.reshape(shape).sum(axis=tuple(axes)).ravel().tolist()
    assert loops.reduced == np.prod([shape[axis] for axis in axes], dtype=int)


@given(SHAPES, st.data())
def test_pad_puts_the_border_where_the_paddings_say(shape, data):
    paddings = tuple(data.draw(st.tuples(st.integers(0, 2), st.integers(0, 2))) for _ in shape)
    loops = pad_loops(shape, paddings)
    values = np.arange(1, np.prod(shape, dtype=int) + 1)
    merged = np.pad(
        values.reshape(loops.sizes), tuple(zip(loops.before, loops.after, strict=True)), constant_values=0
    )
    assert merged.ravel().tolist() == np.pad(values.reshape(shape), paddings).ravel().tolist()


def test_pad_of_an_image_needs_two_loops():
    loops = pad_loops((1, 5, 6, 8), ((0, 0), (1, 2), (3, 4), (0, 0)))
    assert (loops.sizes, loops.before, loops.after) == ((5, 48), (1, 24), (2, 32))


WINDOWS = st.tuples(
    st.sampled_from(Padding), *[st.tuples(st.integers(1, high), st.integers(1, high)) for high in (4, 3, 3)]
)


@given(WINDOWS, st.tuples(st.integers(1, 12), st.integers(1, 12)))
def test_windows_cover_the_image_by_the_padding_rule(window, image):
    padding, size, stride, dilation = window
    placed = place_window(size, image, WindowOptions(padding, stride, dilation, Activation.NONE))
    for axis in (0, 1):
        extent = (size[axis] - 1) * dilation[axis] + 1
        last_tap = (placed.output[axis] - 1) * stride[axis] - placed.pad[axis] + extent - 1
        if padding is Padding.SAME:
            assert placed.output[axis] == -(-image[axis] // stride[axis])
            # The border is split evenly; an odd row is below or to the right.
            below = max(last_tap - image[axis] + 1, 0)
            assert below - placed.pad[axis] in {0, 1}
        else:
            assert placed.pad[axis] == 0
            if placed.output[axis] >= 1:
                assert last_tap < image[axis] <= last_tap + stride[axis]


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_a_border_is_needed_where_a_tap_falls_outside(padding, size, stride):
    outputs = (3 + stride - size) // stride if padding else -(-3 // stride)
    file = conv(
        y={"shape": (1, outputs, outputs, 2)},
        constants=[weights((2, size, size, 2))],
        options={"Padding": padding, "StrideH": stride, "StrideW": stride},
    )
    graph = read_model(file)
    window = window_of(graph, graph.operators[0])
    taps = [o * stride - window.pad[0] + t for o in range(outputs) for t in range(size)]
    assert needs_border(graph, graph.operators[0]) == any(not 0 <= tap < 3 for tap in taps)


def _matrix_layer(values, zero_point, bias) -> Weighted:
    graph = read_model(
        matrix(
            x={"shape": (1, len(values)), "zero_point": zero_point},
            y={"shape": (1, 1)},
            constants=[
                weights((1, len(values)), [values]),
                {"shape": (1,), "dtype": "INT32", "scale": 0.5, "data": [bias]},
            ],
        )
    )
    return weighted(graph, graph.operators[0])


@given(
    st.lists(st.integers(-128, 127), min_size=1, max_size=6),
    st.integers(-128, 127),
    st.integers(-1000, 1000),
)
def test_the_range_of_accumulators_is_reached_and_not_passed(values, zero_point, bias):
    layer = _matrix_layer(values, zero_point, bias)
    sums = [
        bias + sum(w * (x - zero_point) for w, x in zip(values, inputs, strict=True))
        for inputs in itertools.product((-128, 127), repeat=len(values))
    ]
    low, high = layer.accumulator_range
    assert (low[0], high[0]) == (min(sums), max(sums))


@given(
    st.lists(st.integers(-128, 127), min_size=1, max_size=6),
    st.integers(-128, 127),
    st.lists(st.integers(-128, 127), min_size=6, max_size=6),
)
def test_folded_biases_give_the_same_sums(values, zero_point, inputs):
    layer = _matrix_layer(values, zero_point, 77)
    pairs = list(zip(values, inputs, strict=False))
    direct = 77 + sum(w * (x - zero_point) for w, x in pairs)
    assert layer.folded_biases[0] + sum(w * x for w, x in pairs) == direct


def test_biases_are_not_folded_where_the_sum_could_leave_int32():
    assert _matrix_layer([127] * 6, 127, -(2**31) + 194_309).folded_biases is None
    assert _matrix_layer([127] * 6, 127, -(2**31) + 194_310).folded_biases is not None
