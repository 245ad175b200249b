# SPDX-License-Identifier: Apache-2.0
"""Firmware that traces layers: what it has, and that other firmware has nothing of it."""

import re
from pathlib import Path

import pytest

from mcu_ser.board import load_board
from mcu_ser.errors import ModelError
from mcu_ser.generate.project import Project, generate
from tests.tflite_builder import TfliteBuilder

TRACING = {"layer_trace.h", "server_layers.c", "server_layers.h"}
TARGETS = [
    ("host", "aot"),
    ("netduinoplus2", "aot"),
    ("netduinoplus2", "tflm"),
    ("arduino_nano_33_ble", "aot"),
    ("arduino_nano_33_ble", "tflm"),
]


def names(project: Project) -> set[str]:
    return {Path(name).name for name in project.manifest.files}


def text_of(project: Project, name: str) -> str:
    (path,) = project.root.rglob(name)
    return path.read_text()


@pytest.mark.parametrize(("board", "engine"), TARGETS)
def test_firmware_traces_layers_only_when_asked_to(
    tmp_path: Path, model: Path, board: str, engine: str
) -> None:
    plain = generate(model, load_board(board), engine, tmp_path / "plain")
    traced = generate(model, load_board(board), engine, tmp_path / "traced", layers=True)
    own = {"engine_tflm_layers.h"} if engine == "tflm" else set()
    assert names(traced) - names(plain) == TRACING | own
    assert names(plain) - names(traced) == set()
    # The tiny classifier has four operators.
    assert re.findall(r"^#define MODEL_LAYERS (\w+)$", text_of(traced, "model_info.h"), re.MULTILINE) == [
        "4u"
    ]
    assert "MODEL_LAYERS" not in text_of(plain, "model_info.h")
    if engine == "aot":
        include = '#include "layer_trace.h"\n'
        assert text_of(traced, "aot_model.c").replace(include, "") == text_of(plain, "aot_model.c")
        assert include in text_of(traced, "aot_model.c")


def test_the_manifest_remembers_it(tmp_path: Path, model: Path) -> None:
    generate(model, load_board("host"), "aot", tmp_path / "traced", layers=True)
    assert Project.load(tmp_path / "traced").manifest.layers
    generate(model, load_board("host"), "aot", tmp_path / "plain")
    assert not Project.load(tmp_path / "plain").manifest.layers


def test_a_manifest_of_before_is_of_a_project_that_traces_nothing(tmp_path: Path, model: Path) -> None:
    project = generate(model, load_board("host"), "aot", tmp_path / "project")
    path = project.root / "project.json"
    path.write_text(re.sub(r'\n *"layers": false,', "", path.read_text()))
    assert "layers" not in path.read_text()
    assert not Project.load(project.root).manifest.layers


def test_a_model_without_layers_has_none_to_trace(tmp_path: Path) -> None:
    builder = TfliteBuilder()
    x = builder.tensor((1, 4), scale=0.5)
    path = tmp_path / "empty.tflite"
    path.write_bytes(builder.build([x], [x]))
    assert generate(path, load_board("host"), "aot", tmp_path / "plain").manifest.macs == 0
    with pytest.raises(ModelError, match="has no layers to trace; try: generate without --layers"):
        generate(path, load_board("host"), "aot", tmp_path / "traced", layers=True)
    assert not (tmp_path / "traced").exists()
