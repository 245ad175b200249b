# SPDX-License-Identifier: Apache-2.0
from mcu_ser.aot.scratch_room import scratch_rooms
from mcu_ser.aot.tflite_reader import read_model
from tests.tflite_builder import TfliteBuilder


def test_a_layer_has_what_the_one_with_the_most_tensors_leaves():
    model = TfliteBuilder()
    tensors = [model.tensor((1, count), scale=1.0) for count in (64, 32, 16)]
    for x, y, inputs, outputs in ((*tensors[:2], 64, 32), (*tensors[1:], 32, 16)):
        w = model.tensor((outputs, inputs), scale=1.0, data=[[1] * inputs] * outputs)
        model.operator("FULLY_CONNECTED", [x, w], [y])
    graph = read_model(model.build(tensors[:1], tensors[2:]))
    assert scratch_rooms(graph, {}) == {0: 0, 1: 48}
    assert scratch_rooms(graph, {}, 1.5) == {0: 48, 1: 96}
    assert scratch_rooms(graph, {}, 0.5) == {0: -48, 1: 0}
