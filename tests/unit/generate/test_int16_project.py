# SPDX-License-Identifier: Apache-2.0
"""What a project says of a model of 16-bit activations, and who does not take one."""

import json

import pytest

from mcu_ser.aot.compile import compile_model
from mcu_ser.aot.tflite_reader import read_model
from mcu_ser.board import load_board
from mcu_ser.convert.oracle import Oracle
from mcu_ser.errors import ConfigError, ModelError, SamplesError
from mcu_ser.generate.manifest import MANIFEST_NAME
from mcu_ser.generate.project import Project, generate
from mcu_ser.tflm.requirements import operator_macs
from mcu_ser.verify.samples import quantized_rows, random_samples
from tests import plain_int16, plain_layers, plain_lstm, plain_products
from tests.int16_model import INPUT_SCALE, ds_cnn
from tests.tiny_model import tiny_classifier


@pytest.fixture
def project(tmp_path):
    model = tmp_path / "model.tflite"
    model.write_bytes(ds_cnn())
    return generate(model, load_board("host"), "aot", tmp_path / "project")


def test_the_project_knows_the_type_of_its_ends(project):
    entry = json.loads((project.root / MANIFEST_NAME).read_text())["input"]
    assert (entry["dtype"], entry["bytes"], entry["zero_point"]) == ("INT16", 2 * 24 * 8, 0)
    loaded = Project.load(project.root)
    assert (loaded.input.dtype, loaded.input.elements, loaded.input.scale) == ("INT16", 24 * 8, INPUT_SCALE)
    assert (loaded.output.numpy_type.name, loaded.output.bytes) == ("int16", 10)
    info = (project.root / "src" / "model" / "model_info.h").read_text()
    assert "#define MODEL_INPUT_BYTES 384" in info
    assert "#define MODEL_OUTPUT_BYTES 10" in info


def test_a_project_of_int8_says_nothing_of_types(tmp_path):
    model = tmp_path / "model.tflite"
    model.write_bytes(tiny_classifier())
    project = generate(model, load_board("host"), "aot", tmp_path / "project")
    assert "dtype" not in (project.root / MANIFEST_NAME).read_text()
    assert Project.load(project.root).input.dtype == "INT8"


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("bytes", 24 * 8, r"192 bytes, but an int16 tensor of shape \[1, 24, 8, 1\]"),
        ("dtype", "FLOAT32", r"input\.dtype"),
        ("indices_of", 5, "int16 of indices of 5: indices, and nothing else, are int32"),
        (None, {"dtype": "INT32", "bytes": 4 * 24 * 8}, "int32 of indices of 0"),
        (None, {"dtype": "INT32", "bytes": 4 * 24 * 8, "indices_of": 3}, "the input holds indices"),
    ],
)
def test_a_manifest_of_another_type_is_refused(project, key, value, text):
    path = project.root / MANIFEST_NAME
    document = json.loads(path.read_text())
    document["input"] |= value if key is None else {key: value}
    path.write_text(json.dumps(document))
    with pytest.raises(ConfigError, match=text):
        Project.load(project.root)


def test_the_interpreter_gets_no_kernel_that_takes_its_layers_for_int8(tmp_path):
    model = tmp_path / "model.tflite"
    model.write_bytes(ds_cnn())
    project = generate(model, load_board("netduinoplus2"), "aot", tmp_path / "project")
    header = (project.root / "src" / "tflm" / "op_resolver.h").read_text()
    assert "resolver.AddConv2D()" in header
    assert "_INT8" not in header


def test_engine_tflm_takes_int8_alone(tmp_path):
    model = tmp_path / "model.tflite"
    model.write_bytes(ds_cnn())
    with pytest.raises(ModelError, match="is INT16, not INT8; try: inference_input_type int8"):
        generate(model, load_board("netduinoplus2"), "tflm", tmp_path / "project")


def test_random_samples_are_the_bytes_of_16_bits(project):
    samples = random_samples(3, 1, project.input)
    assert (samples.x.dtype.name, samples.x.shape) == ("int8", (3, 384))
    # Bytes and values are the same samples to the oracle; other bytes are none.
    oracle = Oracle(ds_cnn())
    stored = samples.x.view("<i2")
    assert stored.max() > 127
    assert oracle.run(samples.x).tolist() == oracle.run(stored).tolist()
    assert quantized_rows("x", stored, project.input).tolist() == samples.x.tolist()
    with pytest.raises(SamplesError, match="are int8, model takes int16"):
        oracle.run(samples.x[:, :192])


@pytest.mark.parametrize(
    "file",
    [
        *(file for plain in (plain_products, plain_int16, plain_lstm) for file in plain.VALID.values()),
        plain_layers.VALID["DEPTHWISE_CONV_2D"],
    ],
)
def test_both_engines_count_the_same_multiplications(file):
    graph = read_model(file)
    assert sum(operator_macs(graph, operator) for operator in graph.operators) == compile_model(file).macs
