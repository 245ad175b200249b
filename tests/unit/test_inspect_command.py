# SPDX-License-Identifier: Apache-2.0
import argparse
import json

import numpy as np
import pytest

from mcu_ser.cli import inspect
from mcu_ser.errors import BudgetError, ConfigError, ModelError
from tests.tflite_builder import TfliteBuilder


def _model(elements=4, opcode="FULLY_CONNECTED"):
    model = TfliteBuilder()
    x = model.tensor((1, elements), scale=0.5, zero_point=-3, name="in")
    w = model.tensor((2, elements), scale=1.0, data=np.tile([0, 1], elements))
    y = model.tensor((1, 2), scale=0.25, name="[red]layer/" + "n" * 60 + ";fused")
    model.operator(opcode, [x, w], [y])
    return model.build([x], [y])


def _inspect(tmp_path, *options, file=None):
    path = tmp_path / "m.tflite"
    path.write_bytes(file or _model())
    parser = argparse.ArgumentParser()
    inspect.add_parser(parser.add_subparsers())
    return inspect.run(parser.parse_args(["inspect", str(path), *options]))


def test_layers_and_totals_are_shown(tmp_path, capsys):
    assert _inspect(tmp_path, "--board", "netduinoplus2") == 0
    text = capsys.readouterr().out
    for part in (
        "FULLY_CONNECTED",
        "50.0%",
        "input   1x4 int8, real = 0.5 * (int8 + 3)",
        "output  1x2 int8, real = 0.25 * (int8)",
        "MACs    8",
        "weights 21 B of flash",
        "arena   8 B of RAM, 0.0% above the lower bound of 8 B; most alive at layer 0, FULLY_CONNECTED",
        "netduinoplus2: fits (weights 21 of",
        "--board netduinoplus2 --out PROJECT",
    ):
        assert part in text


def test_json_is_one_document(tmp_path, capsys):
    assert _inspect(tmp_path, "--json", "--board", "all") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["macs"] == 8
    assert document["layers"][0]["operator"] == "FULLY_CONNECTED"
    assert document["layers"][0]["sparsity"] == 0.5
    assert document["input"] == {"name": "in", "shape": [1, 4], "scale": 0.5, "zero_point": -3, "bytes": 4}
    assert {board["board_id"]: board["fits"] for board in document["boards"]}["netduinoplus2"] is True


def test_a_board_that_was_asked_for_must_fit(tmp_path, capsys):
    with pytest.raises(BudgetError, match="netduinoplus2: arena needs"):
        _inspect(tmp_path, "--board", "netduinoplus2", file=_model(200_000))
    text = capsys.readouterr().out
    assert "netduinoplus2: does not fit: " in text
    assert "B of RAM too many" in text


def test_of_all_boards_some_need_not_fit(tmp_path, capsys):
    assert _inspect(tmp_path, "--board", "all", file=_model(200_000)) == 0
    text = capsys.readouterr().out
    assert "netduinoplus2: does not fit: " in text
    assert "host: fits" in text
    assert "--board host" in text


def test_an_unsupported_operator_is_an_error(tmp_path):
    with pytest.raises(ModelError, match="layer 0, TRANSPOSE_CONV"):
        _inspect(tmp_path, file=_model(opcode="TRANSPOSE_CONV"))


def test_a_missing_model_is_an_error(tmp_path):
    parser = argparse.ArgumentParser()
    inspect.add_parser(parser.add_subparsers())
    with pytest.raises(ModelError, match="cannot be read"):
        inspect.run(parser.parse_args(["inspect", str(tmp_path / "absent.tflite")]))


def test_an_unknown_board_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="atlantis"):
        _inspect(tmp_path, "--board", "atlantis")
