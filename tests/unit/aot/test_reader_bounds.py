# SPDX-License-Identifier: Apache-2.0
"""How much a file may claim: what tensors share counts once, what overlaps without end is refused."""

import struct

import numpy as np
import pytest
import tflite

from mcu_ser.aot.tflite_reader import read_model
from tests.tflite_builder import TfliteBuilder
from tests.unit.aot.test_tflite_reader import fails


def test_vectors_that_overlap_without_end_are_an_error():
    model = TfliteBuilder()
    x = model.tensor((1, 1), scale=1.0)
    for _ in range(40):
        model.tensor((1, 1), scale=1.0, name="n" * 1000)
    file = bytearray(model.build([x], [x]))
    first = file.index(b"n" * 1000) - 4
    file[first : first + 4] = struct.pack("<I", len(file) - first)
    names = [i for i in range(0, len(file), 4) if file[i : i + 4] == struct.pack("<I", 1000)]
    for position in names:
        file[position : position + 4] = struct.pack("<I", len(file) - position - 8)
    text = fails(bytes(file), "bytes in all, up to", "bytes of a tensor name", "8 times its length")
    claimed = int(text.split("is damaged: claims ")[1].split()[0])
    assert claimed > 8 * len(file)
    assert f"limit {8 * len(file)} bytes" in text


def _chain(layers, depth=128, *, share=True):
    """Dense layers, all with the weights of the first, or each with a buffer of its own."""
    model = TfliteBuilder()
    values = np.arange(depth * depth) % 255 - 127
    x = model.tensor((1, depth), scale=0.05)
    weights = [model.tensor((depth, depth), scale=0.01, data=values, name="w0")]
    weights += [
        model.tensor((depth, depth), scale=0.01, name=f"w{i}", buffer=weights[0] + 1 if share else None)
        for i in range(1, layers)
    ]
    results = [x, *(model.tensor((1, depth), scale=0.05) for _ in weights)]
    for source, w, target in zip(results, weights, results[1:], strict=False):
        model.operator("FULLY_CONNECTED", [source, w], [target])
    return model.build([x], [results[-1]]), weights


@pytest.mark.parametrize("layers", [10, 40])
def test_a_buffer_that_layers_share_counts_once(layers):
    """TensorFlow's converter shares the buffers of equal constants."""
    file, weights = _chain(layers)
    assert layers * 128 * 128 > 8 * len(file)
    tensors = read_model(file).tensors
    first = tensors[weights[0]].data
    assert all(tensors[w].data is not None and np.shares_memory(first, tensors[w].data) for w in weights)


def test_tensors_that_share_a_buffer_may_see_it_differently():
    model = TfliteBuilder()
    x = model.tensor((1, 1))
    model.tensor((4,), data=[1, 0, 0, 0], name="bytes")
    model.tensor((1,), "INT32", buffer=2, name="word")
    tensors = read_model(model.build([x], [x])).tensors
    assert tensors[1].data.tolist() == [1, 0, 0, 0]
    assert tensors[2].data.tolist() == [1]


def test_a_shared_buffer_must_have_the_size_of_each_tensor():
    model = TfliteBuilder()
    x = model.tensor((1, 1))
    model.tensor((4,), data=[1, 0, 0, 0])
    model.tensor((2,), "INT32", buffer=2, name="words")
    fails(model.build([x], [x]), "tensor 2 (words) needs 8 bytes of data and has 4")


def test_constants_that_overlap_without_end_are_an_error():
    """Of so many buffers each is said to be where the first is."""
    model = TfliteBuilder()
    x = model.tensor((1, 1), scale=1.0)
    first = model.tensor((2000,), data=b"\x7f" * 2000) + 1
    others = [model.tensor((2000,), data=b"abcd") + 1 for _ in range(40)]
    file = bytearray(model.build([x], [x]))
    root = tflite.Model.GetRootAs(bytes(file), 0)
    table = root.Buffers(first)._tab.Pos
    entries = root._tab.Vector(root._tab.Offset(12))
    for index in others:
        struct.pack_into("<I", file, entries + 4 * index, table - (entries + 4 * index))
    fails(bytes(file), "bytes in all, up to 2000 bytes of a constant", "8 times its length")
