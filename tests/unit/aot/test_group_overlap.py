# SPDX-License-Identifier: Apache-2.0
"""Overlaps of the sparse kernels are safe and no wider than they must be, against walks byte by byte."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcu_ser.aot.group_overlap import of_row_groups, of_window_groups
from mcu_ser.aot.kernels import KERNELS, sparse
from mcu_ser.aot.tflite_reader import read_model
from tests.random_sparse import SPARSE, whatever_is_sparse
from tests.unit.aot.test_overlap import bytes_under, check, convolutions

SIZES = st.sampled_from([1, 2, 4, 8])


def starts(size, count):
    """First members of the groups as the kernels' loops have them."""
    return [min(first, count - size) for first in range(0, count, size)]


@given(SIZES, st.integers(0, 20), st.integers(1, 6), st.integers(1, 6))
def test_groups_of_rows(size, more, depth, channels):
    rows = size + more

    def steps():
        for row in starts(size, rows):
            end = row + size
            yield range(row * depth, end * depth), range(row * channels, end * channels)

    check(steps(), of_row_groups(size, rows, depth, channels), rows * channels)


@given(SIZES, convolutions())
def test_groups_of_windows(size, convolution):
    source, output, window = convolution
    _, rows, columns, depth = output.shape
    pixels = list(itertools.product(range(rows), range(columns)))
    size = min(size, len(pixels))

    def steps():
        for first in starts(size, len(pixels)):
            group = pixels[first : first + size]
            reads = {byte for pixel in group for byte in bytes_under(source, window, *pixel)}
            yield reads, range(first * depth, (first + len(group)) * depth)

    check(steps(), of_window_groups(size, source, output, window), output.elements)


@pytest.mark.parametrize("kind", sorted(SPARSE))
def test_every_sparse_kernel_says_how_it_may_overlap(kind, monkeypatch):
    monkeypatch.setattr(sparse, "better", whatever_is_sparse)

    @settings(max_examples=20, derandomize=True, database=None, deadline=None)
    @given(SPARSE[kind])
    def draw(layer):
        graph = read_model(layer.file)
        (operator,) = graph.operators
        call = KERNELS[operator.opcode](graph, operator)
        if call.kernel.endswith(("_sparse", "_unstructured")):
            assert call.overlap is not None

    draw()
