# SPDX-License-Identifier: Apache-2.0
"""Layers that do not run in the order of the file: their bytes, and the server's records of them."""

import numpy as np
import pytest

from mcu_ser.aot.compile import compile_model
from mcu_ser.aot.tflite_reader import read_model
from mcu_ser.board import load_board
from mcu_ser.convert.oracle import layer_outputs
from mcu_ser.device.host_process import HostProcess
from mcu_ser.device.link import Link
from mcu_ser.generate.project import generate
from mcu_ser.programs import CMAKE, NINJA
from mcu_ser.toolchain.build import build
from mcu_ser.verify.client import Client
from mcu_ser.verify.layers import model_layers, trace
from mcu_ser.verify.samples import random_samples
from tests.branched_model import branched_model
from tests.native_models import NativeModels

MODEL = branched_model()
GRAPH = read_model(MODEL, "branched")


def test_every_layer_gives_the_bytes_of_the_oracle(tmp_path):
    compiled = compile_model(MODEL)
    assert [layer.index for layer in compiled.layers] != list(range(len(compiled.layers)))
    program = NativeModels([compiled], tmp_path, layers=True)
    rng = np.random.default_rng(0)
    outputs = [operator.outputs[0] for operator in GRAPH.operators]
    for _ in range(8):
        sample = rng.integers(-128, 128, compiled.input.shape, np.int8)
        layers, output = program.run_layers(0, sample)
        expected = [t.ravel().tolist() for t in layer_outputs(MODEL, "m", sample, outputs)]
        assert [layers[index].tolist() for index in range(len(outputs))] == expected
        assert output.tolist() == expected[-1]


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    absent = [program.command for program in (CMAKE, NINJA) if program.find() is None]
    if absent:
        pytest.skip(f"not installed: {', '.join(absent)}")
    directory = tmp_path_factory.mktemp("branched")
    (directory / "model.tflite").write_bytes(MODEL)
    project = generate(
        directory / "model.tflite", load_board("host"), "aot", directory / "project", layers=True
    )
    build(project)
    with HostProcess(project.elf_path) as device, Link(device) as link:
        yield Client(link)


def test_the_server_records_layers_in_the_order_of_the_file(client):
    samples = random_samples(2, 1, GRAPH.tensors[GRAPH.inputs[0]])
    found = trace(client, client.hello(), MODEL, GRAPH, samples, 1)
    assert [entry.layer.index for entry in found.layers] == list(range(len(GRAPH.operators)))
    assert all(entry.identical for entry in found.layers)


def test_any_part_of_the_layers_can_be_asked_for(client):
    client.hello()
    layers = model_layers(GRAPH)
    data = np.arange(layers[0].shape[1] * layers[0].shape[2] * 2, dtype=np.int8)
    _, whole, _ = client.trace(0, data.tobytes(), 0, len(layers) - 1)
    for first in range(len(layers)):
        for last in range(first, len(layers)):
            count, page, _ = client.trace(0, data.tobytes(), first, last)
            seen = [(record.crc, record.bytes) for record in page]
            assert count == len(layers)
            assert seen == [(record.crc, record.bytes) for record in whole[first : last + 1]]


def test_the_tensor_of_each_layer_can_be_read(client):
    client.hello()
    samples = random_samples(2, 1, GRAPH.tensors[GRAPH.inputs[0]])
    layers = model_layers(GRAPH)
    expected = layer_outputs(MODEL, "m", samples.x[0], [layer.tensor for layer in layers])
    for layer, tensor in zip(layers, expected, strict=True):
        client.trace(0, samples.x[0].tobytes(), layer.index, layer.index)
        assert client.tensor(layer.index, layer.bytes) == tensor.tobytes()
