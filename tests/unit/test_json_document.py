# SPDX-License-Identifier: Apache-2.0
"""With `--json` a program reads one document from stdout, also when something fails after the result."""

import json
from types import SimpleNamespace

import pytest

from mcu_ser.cli.main import main
from mcu_ser.compare.comparison import Comparison
from tests.unit.test_comparison import IDS, side
from tests.unit.test_inspect_command import _model


@pytest.mark.parametrize(
    ("elements", "picture", "code", "problem"),
    [
        (200_000, "plan.svg", 1, "arena needs"),
        (4, "directory", 2, "directory"),
        (4, "m.tflite/plan.svg", 2, "cannot be written (a part of its path is a file)"),
    ],
)
def test_of_a_model_that_does_not_pass_the_error_is_the_document(
    tmp_path, capsys, elements, picture, code, problem
):
    model = tmp_path / "m.tflite"
    model.write_bytes(_model(elements))
    (tmp_path / "directory").mkdir()
    words = ["--board", "netduinoplus2", "--memory-svg", str(tmp_path / picture)]
    assert main(["inspect", str(model), "--json", *words]) == code
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["exit_code"] == code
    assert problem in error["message"]


def test_of_a_comparison_that_cannot_be_kept_the_error_is_the_document(tmp_path, capsys, monkeypatch):
    out = tmp_path / "out"

    def compare(*args, **options):
        out.write_text("in the way by the time that the comparison is written")
        return Comparison(side(), side(name="b"), IDS)

    project = SimpleNamespace(input=None, model_path=tmp_path / "m.tflite")
    monkeypatch.setattr("mcu_ser.generate.project.Project.load", lambda path: project)
    monkeypatch.setattr("mcu_ser.compare.run.require_same_model", lambda a, b: None)
    monkeypatch.setattr("mcu_ser.compare.run.compare", compare)
    monkeypatch.setattr("mcu_ser.verify.samples.random_samples", lambda *args: None)
    words = ["compare", "a", "b", "--random", "3", "--json"]
    assert main([*words, "--out", str(out)]) == 2
    assert "cannot be written" in json.loads(capsys.readouterr().out)["error"]["problem"]
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "pass"
