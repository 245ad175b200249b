# SPDX-License-Identifier: Apache-2.0
"""A model that answers with the index of a class, from file to verdict: the wire, scores, layers, limits."""

import json

import numpy as np
import pytest

from mcu_ser.board import load_board
from mcu_ser.cli.main import main
from mcu_ser.convert.oracle import Oracle
from mcu_ser.verify.report_sections import decisions
from tests.stm32_firmware import require_tools
from tests.tflite_builder import TfliteBuilder

pytestmark = pytest.mark.emulator

CLASSES = 300


def classifier(rows=1):
    """A dense layer and the place of its largest output, in each row; more classes than int8 could count."""
    model, draws = TfliteBuilder(), np.random.default_rng(7)
    x = model.tensor((1, rows, 16), scale=0.05)
    w = model.tensor((CLASSES, 16), scale=0.01, data=draws.integers(-127, 128, (CLASSES, 16)))
    scores = model.tensor((1, rows, CLASSES), scale=1.0)
    model.operator("FULLY_CONNECTED", [x, w], [scores], KeepNumDims=True)
    place = model.tensor((1, rows), "INT32")
    model.operator("ARG_MAX", [scores, model.tensor((), "INT32", data=[-1])], [place], OutputType=2)
    return model.build([x], [place])


def built(directory, board="netduinoplus2", rows=1):
    if board != "host":
        require_tools(load_board(board), emulator=True)
    model, project = directory / "model.tflite", directory / "project"
    model.write_bytes(classifier(rows))
    assert main(["generate", str(model), "--board", board, "--layers", "--out", str(project)]) == 0
    assert main(["build", str(project)]) == 0
    return project


@pytest.fixture(scope="module", params=["host", "netduinoplus2"])
def project(request, tmp_path_factory):
    return built(tmp_path_factory.mktemp(request.param), request.param)


def test_indices_are_classes(project, tmp_path):
    x = np.random.default_rng(3).integers(-128, 128, (12, 1, 16), dtype=np.int8)
    classes = Oracle(classifier()).run(x)[:, 0]
    assert classes.max() > 127
    truth = classes.copy()
    truth[0] = (truth[0] + 1) % CLASSES
    np.savez(tmp_path / "samples.npz", x=x, y=truth)
    arguments = ["verify", project, "--samples", tmp_path / "samples.npz", "--bisect", "--profile"]
    assert main([*map(str, arguments), "--out", str(tmp_path / "report")]) == 0
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert (report["verdict"], report["identical"]) == ("pass", 12)
    assert report["answers"]["device_classes"] == classes.tolist()
    assert report["device"]["accuracy"] == 11 / 12
    assert all(layer["identical"] for layer in report["layers"]["layers"])
    page = (tmp_path / "report" / "report.html").read_text()
    assert "12 of 12" in page


def test_a_class_that_there_is_not_is_refused(project, tmp_path, capsys):
    np.savez(tmp_path / "samples.npz", x=np.zeros((1, 16), np.int8), y=[CLASSES])
    arguments = ["verify", project, "--samples", tmp_path / "samples.npz", "--out", tmp_path / "report"]
    assert main(list(map(str, arguments))) == 2
    assert f"y holds class {CLASSES}..{CLASSES}" in capsys.readouterr().err


def test_several_indices_are_no_class(tmp_path, capsys):
    project = built(tmp_path, "host", rows=3)
    samples, out = tmp_path / "samples.npz", tmp_path / "report"
    np.savez(samples, x=np.zeros((2, 3, 16), np.int8), y=[0, 1])
    assert main(["verify", str(project), "--samples", str(samples), "--out", str(out)]) == 2
    assert "has classes, and the model gives several indices" in " ".join(capsys.readouterr().err.split())
    np.savez(samples, x=np.zeros((2, 3, 16), np.int8))
    assert main(["verify", str(project), "--samples", str(samples), "--out", str(out)]) == 0


def test_an_index_without_sign_is_a_class_even_of_wrong_bytes():
    outputs = np.array([[3, 1], [-1, 5]], np.int32)
    assert decisions(outputs).tolist() == [3, 2**32 - 1]
    assert decisions(outputs.astype(np.int8)).tolist() == [0, 1]
