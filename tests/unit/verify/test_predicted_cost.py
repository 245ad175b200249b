# SPDX-License-Identifier: Apache-2.0
import dataclasses
import re

import pytest

from mcu_ser.aot.compile import compile_model
from mcu_ser.board import load_board
from mcu_ser.generate.project import generate
from mcu_ser.resources import firmware_templates_dir
from mcu_ser.verify import predicted_cost
from mcu_ser.verify.predicted_cost import predicted_instructions
from tests.layered_model import OPERATORS, layered_model


@pytest.fixture(scope="module")
def model_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.tflite"
    path.write_bytes(layered_model())
    return path


def project_of(model_path, directory, board, engine="aot"):
    return generate(model_path, load_board(board), engine, directory / board)


def test_more_work_costs_more(model_path, tmp_path):
    predicted = predicted_instructions(project_of(model_path, tmp_path, "netduinoplus2"))
    layers = compile_model(model_path.read_bytes()).layers
    assert len(layers) == len(OPERATORS)
    for layer in layers:
        if layer.index in predicted:
            assert predicted[layer.index] >= layer.macs // 2
    wider = dataclasses.replace(layers[0], macs=2 * layers[0].macs)
    line = predicted_cost._LINES[layers[0].kernel]
    assert line.of(wider) > line.of(layers[0])


@pytest.mark.parametrize(("board", "engine"), [("host", "aot"), ("netduinoplus2", "tflm")])
def test_nothing_is_predicted_of_what_was_not_measured(model_path, tmp_path, board, engine):
    assert predicted_instructions(project_of(model_path, tmp_path, board, engine)) == {}


def test_the_kernels_are_those_of_the_engine():
    text = "".join(
        path.read_text() for path in (firmware_templates_dir() / "runtime" / "kernels").glob("*.h")
    )
    functions = set(re.findall(r"\b(aot_\w+)\(", text))
    assert set(predicted_cost._LINES) <= functions
