# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from mcu_ser.aot.compile import compile_model
from mcu_ser.aot.kernel_build import Build
from mcu_ser.board import load_board
from mcu_ser.generate.project import generate
from mcu_ser.verify.predicted_cost import predicted_instructions, sparse_layers
from tests.layered_model import OPERATORS, layered_model
from tests.tflite_builder import TfliteBuilder


@pytest.fixture(scope="module")
def model_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.tflite"
    path.write_bytes(layered_model())
    return path


def project_of(model_path, directory, board, engine="aot"):
    return generate(model_path, load_board(board), engine, directory / board)


def test_every_layer_has_what_the_cost_model_says_and_its_trace(model_path, tmp_path):
    predicted = predicted_instructions(project_of(model_path, tmp_path, "netduinoplus2"))
    layers = compile_model(model_path.read_bytes()).layers
    assert set(predicted) == set(range(len(OPERATORS)))
    traces = {predicted[layer.index] - layer.predicted_instructions for layer in layers}
    assert len(traces) == 1
    assert 0 < traces.pop() < 100


def test_a_layer_that_was_not_measured_is_left_out(model_path, tmp_path, monkeypatch):
    monkeypatch.setattr("mcu_ser.aot.cost.COSTS", {Build.SPEED: {}})
    project = project_of(model_path, tmp_path, "netduinoplus2")
    # What is left needs no kernel.
    assert [OPERATORS[index] for index in predicted_instructions(project)] == ["RESHAPE"]


@pytest.mark.parametrize(("board", "engine"), [("host", "aot"), ("netduinoplus2", "tflm")])
def test_nothing_is_predicted_of_what_was_not_measured(model_path, tmp_path, board, engine):
    assert predicted_instructions(project_of(model_path, tmp_path, board, engine)) == {}


@pytest.fixture(scope="module")
def pruned_path(tmp_path_factory):
    """Two layers: of one, three blocks of four are zero; of the other, one block of sixteen."""
    model = TfliteBuilder()
    weights = np.full((16, 64), 3)
    most, few = weights.copy(), weights.copy()
    most[:, 16:] = 0
    few[:1, :4] = 0
    x = model.tensor((1, 64), scale=1.0)
    y = model.tensor((1, 16), scale=64.0, zero_point=-128, name="most")
    z = model.tensor((1, 16), scale=4096.0, zero_point=-128, name="few")
    model.operator("FULLY_CONNECTED", [x, model.tensor(most.shape, scale=1.0, data=most)], [y])
    w = model.tensor((16, 16), scale=1.0, data=few[:, :16])
    model.operator("FULLY_CONNECTED", [y, w], [z])
    path = tmp_path_factory.mktemp("pruned") / "model.tflite"
    path.write_bytes(model.build([x], [z]))
    return path


def test_layers_that_may_leave_out_zeros_are_told_with_what_that_takes(pruned_path, tmp_path):
    project = project_of(pruned_path, tmp_path, "netduinoplus2")
    first, second = sparse_layers(project)
    layers = compile_model(pruned_path.read_bytes()).layers
    assert (first["name"], first["weights"], first["zeros"], first["chosen"]) == ("most", 1024, 768, "sparse")
    assert first["sparse"] == {
        "kernel": layers[0].kernel,
        "bytes": layers[0].weight_bytes,
        "predicted_instructions": layers[0].predicted_instructions,
    }
    assert first["dense"]["bytes"] > first["sparse"]["bytes"]
    assert first["dense"]["predicted_instructions"] > first["sparse"]["predicted_instructions"]
    # What would lose is told too.
    assert (second["name"], second["weights"], second["zeros"], second["chosen"]) == ("few", 256, 4, "dense")
    assert second["dense"]["bytes"] == layers[1].weight_bytes < second["sparse"]["bytes"]


def test_without_dsp_instructions_no_sparse_layer_has_predictions(pruned_path, tmp_path):
    told = sparse_layers(project_of(pruned_path, tmp_path, "host"))
    assert len(told) == 2
    assert {layer[form]["predicted_instructions"] for layer in told for form in ("dense", "sparse")} == {None}


def test_another_engine_leaves_out_no_zeros(pruned_path, tmp_path):
    assert sparse_layers(project_of(pruned_path, tmp_path, "netduinoplus2", "tflm")) == []


def test_a_model_without_zeros_has_no_sparse_layers(model_path, tmp_path):
    assert sparse_layers(project_of(model_path, tmp_path, "netduinoplus2")) == []


def test_firmware_that_tells_of_its_layers_has_its_pads(tmp_path):
    model = TfliteBuilder()
    scale = {"scale": 1.0, "zero_point": 3}
    x, image = model.tensor((1, 4, 4, 4), **scale), model.tensor((1, 6, 6, 4), **scale)
    counts = model.tensor((4, 2), "INT32", data=[(0, 0), (1, 1), (1, 1), (0, 0)])
    weights = model.tensor((4, 3, 3, 4), scale=1.0, data=np.ones((4, 3, 3, 4)))
    y = model.tensor((1, 4, 4, 4), scale=64.0)
    model.operator("PAD", [x, counts], [image])
    model.operator("CONV_2D", [image, weights, -1], [y], Padding=1, StrideH=1, StrideW=1)
    path, board = tmp_path / "model.tflite", load_board("netduinoplus2")
    path.write_bytes(model.build([x], [y]))
    assert set(predicted_instructions(generate(path, board, "aot", tmp_path / "plain"))) == {1}
    traced = generate(path, board, "aot", tmp_path / "traced", layers=True)
    assert set(predicted_instructions(traced)) == {0, 1}
    assert traced.manifest.layers
