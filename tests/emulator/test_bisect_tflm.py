# SPDX-License-Identifier: Apache-2.0
"""verify --bisect and --profile with engine tflm.

TFLM_ROOT names a source tree of TFLite-Micro whose Makefile has made a library for cortex-m4+fp, or several;
each of them is tested.
"""

import json
import os
import re
import struct
from pathlib import Path

import pytest

from mcu_ser.board import load_board
from mcu_ser.cli.main import main
from tests.layered_model import MIDDLE, MIDDLE_SCALE, OPERATORS, layered_model
from tests.stm32_firmware import require_tools

BOARD = "netduinoplus2"
LIBRARIES = "gen/cortex_m_generic_cortex-m4+fp_*/lib/libtensorflow-microlite.a"

ROOT = os.environ.get("TFLM_ROOT")
FOUND = sorted(Path(ROOT).glob(LIBRARIES)) if ROOT else []

pytestmark = [
    pytest.mark.emulator,
    pytest.mark.skipif(
        not FOUND, reason="TFLM_ROOT names no tree with a TFLite-Micro library for cortex-m4+fp"
    ),
]


@pytest.fixture(
    scope="module",
    params=FOUND,
    ids=lambda path: path.parents[1].name.removeprefix("cortex_m_generic_"),
)
def built(request, tmp_path_factory):
    """A project that traces layers, and the function that builds it."""
    require_tools(load_board(BOARD), emulator=True)
    directory = tmp_path_factory.mktemp("tflm")
    model = directory / "model.tflite"
    model.write_bytes(layered_model())
    project = directory / "project"
    generate = ["generate", model, "--board", BOARD, "--engine", "tflm", "--layers", "--out", project]
    assert main(list(map(str, generate))) == 0

    def build():
        arguments = ["build", project, "--tflm-root", ROOT, "--tflm-library", request.param]
        assert main(list(map(str, arguments))) == 0

    return project, build


def verify(project, out):
    options = ["--random", "3", "--no-litert", "--bisect", "--profile", "--out", str(out)]
    status = main(["verify", str(project), *options])
    return status, json.loads((out / "report.json").read_text())


def spoil_model(project):
    """Halves the scale of MIDDLE's weights in the model that the firmware holds."""
    path = project / "src" / "model" / "model_data.cpp"
    text = path.read_text()
    start = text.index("{", text.index("g_model_data[]")) + 1
    end = text.index("};", start)
    model = bytes(int(byte, 16) for byte in re.findall(r"0x([0-9a-f]{2})", text[start:end]))
    assert model == (project / "model.tflite").read_bytes()
    scale = struct.pack("<f", MIDDLE_SCALE)
    assert model.count(scale) == 1
    model = model.replace(scale, struct.pack("<f", MIDDLE_SCALE / 2))
    path.write_text(f"{text[:start]}{', '.join(f'0x{byte:02x}' for byte in model)}{text[end:]}")
    return path, text


def test_the_first_wrong_layer_of_an_interpreted_model_is_found(built, tmp_path):
    project, build = built
    path, text = spoil_model(project)
    try:
        build()
        status, report = verify(project, tmp_path / "report")
    finally:
        path.write_text(text)
    assert (status, report["verdict"]) == (1, "fail")
    wrong = report["layers"]["first_wrong"]
    assert (wrong["index"], wrong["operator"], wrong["cause"]) == (MIDDLE, "CONV_2D", "multiplier")
    assert wrong["wrong_channels"] == 8


def test_in_a_right_interpreter_no_layer_differs_and_each_has_its_time(built, tmp_path):
    project, build = built
    build()
    status, report = verify(project, tmp_path / "report")
    assert (status, report["verdict"]) == (0, "pass")
    layers = report["layers"]
    assert layers["first_wrong"] is None
    assert tuple(layer["operator"] for layer in layers["layers"]) == OPERATORS
    assert all(layer["identical"] and layer["ticks"] > 0 for layer in layers["layers"])
    # The rest is the interpreter's, and the check of whether a layer is wanted.
    between = report["instructions"]["median"] - layers["ticks"]["total"]
    assert 0 < between < 200 * len(OPERATORS)
