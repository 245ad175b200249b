# SPDX-License-Identifier: Apache-2.0
import pytest

from mcu_ser.aot.compile import compile_model
from mcu_ser.board import load_board
from mcu_ser.generate.project import generate
from mcu_ser.verify.predicted_cost import predicted_instructions
from tests.layered_model import OPERATORS, layered_model


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
    monkeypatch.setattr("mcu_ser.aot.cost.KERNEL_COSTS", {})
    project = project_of(model_path, tmp_path, "netduinoplus2")
    # What is left needs no kernel.
    assert [OPERATORS[index] for index in predicted_instructions(project)] == ["RESHAPE"]


@pytest.mark.parametrize(("board", "engine"), [("host", "aot"), ("netduinoplus2", "tflm")])
def test_nothing_is_predicted_of_what_was_not_measured(model_path, tmp_path, board, engine):
    assert predicted_instructions(project_of(model_path, tmp_path, board, engine)) == {}
