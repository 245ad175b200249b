# SPDX-License-Identifier: Apache-2.0
"""Projects of models with LSTM layers: states end with the inference, with either engine."""

import pytest

from mcu_ser.board import load_board
from mcu_ser.errors import ModelError
from mcu_ser.generate.project import generate
from tests.plain_lstm import lstm
from tests.tiny_model import tiny_classifier

RESET = "#define MODEL_STATES 1\n"


@pytest.fixture
def project_of(tmp_path):
    def made(content, engine, board="netduinoplus2"):
        model = tmp_path / "model.tflite"
        model.write_bytes(content)
        return generate(model, load_board(board), engine, tmp_path / "project").root

    return made


def _text(project, name):
    (path,) = project.rglob(name)
    return path.read_text()


def test_the_interpreter_is_reset_where_a_model_has_states(project_of):
    project = project_of(lstm(), "tflm")
    resolver = _text(project, "op_resolver.h")
    assert RESET in resolver
    assert "resolver.AddUnidirectionalSequenceLSTM()" in resolver
    assert "#ifdef MODEL_STATES\n" in _text(project, "engine_tflm.cpp")


def test_the_interpreter_of_another_model_is_not_reset(project_of):
    assert RESET not in _text(project_of(tiny_classifier(), "tflm"), "op_resolver.h")


def test_the_other_engine_keeps_no_state_outside_of_its_arena(project_of):
    project = project_of(lstm(), "aot")
    assert {path.name for path in project.rglob("*.h")} >= {"lstm.h", "int16_curves.h", "int16_matmul.h"}
    variables = [
        line
        for line in _text(project, "aot_model.c").splitlines()
        if line.startswith("static") and line.endswith(";") and "const" not in line
    ]
    assert len(variables) == 1
    assert variables[0].startswith("static int8_t arena[")


def test_the_arduino_library_is_not_trusted_with_an_lstm(project_of):
    with pytest.raises(ModelError, match=r"UNIDIRECTIONAL_SEQUENCE_LSTM .* is not known to run it"):
        project_of(lstm(), "tflm", "arduino_nano_33_ble")
