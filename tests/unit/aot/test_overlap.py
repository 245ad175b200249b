# SPDX-License-Identifier: Apache-2.0
"""Overlaps are safe and no wider than they must be: against walks that read and write byte by byte."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.aot.arena import Plan, live_bytes, lower_bound, plan_arena, verify_plan
from mcu_ser.aot.compile import compile_model
from mcu_ser.aot.ir import Padding, Tensor, WindowOptions
from mcu_ser.aot.lifetimes import Buffer
from mcu_ser.aot.overlap import (
    Overlap,
    after_copy,
    find_overlaps,
    of_bands,
    of_copied_bands,
    of_row_pairs,
    of_window_pairs,
    of_windows,
)
from mcu_ser.aot.window import place_window
from mcu_ser.errors import ModelError
from tests.tflite_builder import TfliteBuilder


def is_safe(steps, distance):
    """Whether no step reads what one before it has written, with the output so far before the input.

    Steps are pairs of the bytes of the input that are read, then the bytes of the output that are written.
    """
    spoilt = set()
    for reads, writes in steps:
        if spoilt & set(reads):
            return False
        spoilt |= {byte - distance for byte in writes}
    return True


def check(steps, overlap, output_bytes):
    """Any distance that is allowed is safe; the one before the least is not, if it overlaps at all."""
    steps = list(steps)
    for distance in (overlap.behind, overlap.behind + 1, overlap.behind + 5, output_bytes):
        if overlap.allows(distance):
            assert is_safe(steps, distance)
    if overlap.exactly is not None:
        assert is_safe(steps, overlap.exactly)
    if 0 < overlap.behind < output_bytes:
        assert not is_safe(steps, overlap.behind - 1)


@given(st.integers(1, 9), st.integers(1, 6), st.integers(1, 6))
def test_pairs_of_rows(rows, depth, channels):
    def steps():
        for row in range(0, rows, 2):
            end = min(row + 2, rows)
            yield range(row * depth, end * depth), range(row * channels, end * channels)

    check(steps(), of_row_pairs(rows, depth, channels), rows * channels)


def image(height, width, channels, index=0):
    return Tensor(index, "t", (1, height, width, channels), "INT8", None)


@st.composite
def convolutions(draw):
    height, width, channels, depth = (draw(st.integers(1, most)) for most in (7, 7, 3, 5))
    padding = draw(st.sampled_from(list(Padding)))
    size = draw(st.integers(1, height)), draw(st.integers(1, width))
    stride = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    window = place_window(size, (height, width), WindowOptions(padding, stride, (1, 1), None))
    return image(height, width, channels), image(*window.output, depth), window


def bytes_under(source, window, row, column):
    _, height, width, channels = source.shape
    for y, x in itertools.product(range(window.size[0]), range(window.size[1])):
        at_y = row * window.stride[0] - window.pad[0] + y
        at_x = column * window.stride[1] - window.pad[1] + x
        if 0 <= at_y < height and 0 <= at_x < width:
            start = (at_y * width + at_x) * channels
            yield from range(start, start + channels)


@given(convolutions())
def test_pairs_of_windows(convolution):
    source, output, window = convolution
    _, rows, columns, depth = output.shape
    pixels = list(itertools.product(range(rows), range(columns)))

    def steps():
        for first in range(0, len(pixels), 2):
            pair = pixels[first : first + 2]
            reads = {byte for pixel in pair for byte in bytes_under(source, window, *pixel)}
            yield reads, range(first * depth, (first + len(pair)) * depth)

    check(steps(), of_window_pairs(source, output, window), output.elements)


@given(convolutions(), st.integers(1, 4))
def test_windows(convolution, block):
    source, output, window = convolution
    _, rows, columns, depth = output.shape

    def steps():
        for number, pixel in enumerate(itertools.product(range(rows), range(columns))):
            # Each block of channels reads the window again.
            reads = set(bytes_under(source, window, *pixel))
            for first in range(0, depth, block):
                start = number * depth
                yield reads, range(start + first, start + min(first + block, depth))

    overlap = of_windows(source.shape[1:], output.shape[1:], window)
    steps = list(steps())
    for distance in (overlap.behind, overlap.behind + 3, output.elements):
        assert is_safe(steps, distance)
    # At most what the last block writes is given away.
    if block < overlap.behind < output.elements:
        assert not is_safe(steps, overlap.behind - block - 1)


@given(convolutions(), st.integers(1, 7))
def test_bands_of_copied_rows(convolution, band):
    source, output, window = convolution
    _, rows, columns, depth = output.shape
    row_bytes = source.shape[2] * source.shape[3]

    def steps():
        for first in range(0, rows, band):
            end = min(first + band, rows)
            top = first * window.stride[0] - window.pad[0]
            bottom = (end - 1) * window.stride[0] - window.pad[0] + window.size[0]
            reads = range(max(top, 0) * row_bytes, min(max(bottom, 0), source.shape[1]) * row_bytes)
            yield reads, range(first * columns * depth, end * columns * depth)

    overlap = of_copied_bands(source, output, window, band)
    steps = list(steps())
    for distance in (overlap.behind, overlap.behind + 3, output.elements):
        assert is_safe(steps, distance)


@given(
    st.integers(1, 8), st.integers(1, 6), st.sampled_from([4, 8, 12]), st.integers(1, 8), st.integers(0, 1)
)
def test_bands_of_spread_channels(height, width, channels, band, pad_top):
    tensor = image(height, width, channels)

    def lanes(rows, group):
        for pixel in range(rows.start * width, rows.stop * width):
            yield from range(pixel * channels + group, pixel * channels + group + 4)

    def steps():
        for first in range(0, height, band):
            end = min(first + band, height)
            for group in range(0, channels, 4):
                top = max(first - pad_top, 0)
                reads = set(lanes(range(top, min(end - pad_top + 2, height)), group))
                yield reads, set(lanes(range(first, end), group))

    overlap = of_bands(tensor, tensor, pad_top, band)
    check(steps(), overlap, tensor.bytes)
    if overlap.exactly:
        assert not is_safe(list(steps()), overlap.exactly - channels)


def test_a_depthwise_layer_of_another_shape_may_not_overlap():
    assert of_bands(image(4, 4, 4), image(2, 2, 4), 0, 2) is None


def test_a_copied_input_may_lie_anywhere():
    overlap = after_copy(image(2, 3, 4))
    assert all(overlap.allows(distance) for distance in range(-24, 100))
    assert overlap.least_bytes(24, 100) == 100


@pytest.mark.parametrize(
    ("overlap", "least"),
    [
        (Overlap(-8), 100),
        (Overlap(0), 100),
        (Overlap(1), 100),
        (Overlap(38), 100),
        (Overlap(61), 124),
        (Overlap(99), 160),
        (Overlap(100), 160),
        (Overlap(100, exactly=8), 100),
    ],
)
def test_what_two_buffers_cover_at_best(overlap, least):
    assert overlap.least_bytes(60, 100) == least


@st.composite
def chains(draw):
    """Buffers of a network without branches, of which some may overlap what they are computed from."""
    sizes = draw(st.lists(st.integers(1, 300).map(lambda n: 4 * n), min_size=2, max_size=12))
    buffers = [Buffer(i, size, i - 1, i) for i, size in enumerate(sizes)]
    for place in draw(st.sets(st.integers(0, len(sizes) - 1))):
        buffers.append(Buffer(-1 - place, 4 * draw(st.integers(1, 50)), place, place))
    overlaps = {}
    for source, output in itertools.pairwise(range(len(sizes))):
        behind = draw(st.none() | st.integers(-sizes[source], sizes[output]))
        if behind is not None:
            exactly = draw(st.none() | st.integers(0, sizes[output] // 4).map(lambda n: 4 * n))
            overlaps[source, output] = Overlap(behind, exactly)
    return buffers, overlaps


@given(chains())
def test_plans_with_overlaps_are_valid_and_never_larger(chain):
    buffers, overlaps = chain
    plan = plan_arena(buffers, overlaps)
    verify_plan(buffers, plan, overlaps)
    assert plan.lower_bound <= plan.bytes <= plan_arena(buffers).bytes
    assert plan_arena(buffers, overlaps) == plan


PAIR = [Buffer(0, 40, -1, 0), Buffer(1, 40, 0, 1)]


@pytest.mark.parametrize(
    ("offsets", "right"), [((8, 0), True), ((12, 0), True), ((4, 0), False), ((0, 8), False)]
)
def test_a_plan_that_overlaps_too_far_is_found(offsets, right):
    plan = Plan(dict(enumerate(offsets)), 60, 0)
    overlaps = {(0, 1): Overlap(8)}
    if right:
        verify_plan(PAIR, plan, overlaps)
        return
    with pytest.raises(ModelError, match=r"tensors [01] and [01] overlap at layer 0"):
        verify_plan(PAIR, plan, overlaps)


def test_buffers_that_live_on_together_may_not_overlap():
    longer = [Buffer(0, 40, -1, 1), Buffer(1, 40, 0, 1)]
    with pytest.raises(ModelError, match="overlap at layer"):
        verify_plan(longer, Plan({0: 0, 1: 0}, 40, 0), {(0, 1): Overlap(0)})
    overlap = Overlap(0)
    assert find_overlaps(tuple(longer), {0: (0, 1, overlap)}) == {}
    assert find_overlaps(tuple(PAIR), {0: (0, 1, overlap)}) == {(0, 1): overlap}
    assert find_overlaps(tuple(PAIR), {1: (0, 1, overlap)}) == {}


def test_live_bytes_are_less_by_what_overlaps():
    overlaps = {(0, 1): Overlap(8)}
    assert [live_bytes(PAIR, layer, overlaps) for layer in (-1, 0, 1)] == [40, 48, 40]
    assert lower_bound(PAIR, overlaps) == plan_arena(PAIR, overlaps).bytes == 48


def test_a_pointwise_layer_is_computed_in_its_place():
    model = TfliteBuilder()
    x, y = (model.tensor((1, 40, 40, 8), scale=scale, zero_point=-128) for scale in (1.0, 64.0))
    weights = model.tensor((8, 1, 1, 8), scale=1.0, data=[[[[1] * 8]]] * 8)
    model.operator("CONV_2D", [x, weights], [y], StrideH=1, StrideW=1, FusedActivationFunction=1)
    compiled = compile_model(model.build([x], [y]))
    (layer,) = compiled.layers
    assert layer.kernel == "aot_rows_matmul"
    assert compiled.arena_bytes == layer.live_bytes == 40 * 40 * 8 + layer.scratch_bytes
