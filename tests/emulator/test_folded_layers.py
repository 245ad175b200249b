# SPDX-License-Identifier: Apache-2.0
"""Firmware that does not compute every channel: verified, profiled, and with a fault in one that it does."""

import json

import pytest

from mcu_ser.cli.main import main
from mcu_ser.programs import ARM_GCC, CMAKE, NINJA, QEMU_ARM
from tests.layered_model import FIRST, MIDDLE, changed_words, layered_model

ABSENT = [program.command for program in (ARM_GCC, CMAKE, NINJA, QEMU_ARM) if program.find() is None]

pytestmark = [
    pytest.mark.emulator,
    pytest.mark.skipif(bool(ABSENT), reason=f"not installed: {', '.join(ABSENT)}"),
]

# Of the channels 0, 3, 5 and 7 that are left, the last has the last words of the first layer's only block.
LAST = 7


@pytest.fixture(scope="module", params=["host", "netduinoplus2"])
def project(request, tmp_path_factory):
    directory = tmp_path_factory.mktemp(request.param)
    model = directory / "model.tflite"
    model.write_bytes(layered_model(dead=(1, 2, 4, 6)))
    project = directory / "project"
    arguments = ["generate", model, "--board", request.param, "--layers", "--out", project]
    assert main(list(map(str, arguments))) == 0
    assert main(["build", str(project)]) == 0
    return project


def report_of(project, out, *options):
    code = main(["verify", str(project), "--random", "3", "--no-litert", "--out", str(out), *options])
    return code, json.loads((out / "report.json").read_text())["layers"]


def test_every_layer_is_compared_by_what_is_left_of_it(project, tmp_path, capsys):
    code, layers = report_of(project, tmp_path / "report", "--profile")
    assert (code, layers["first_wrong"]) == (0, None)
    assert all(layer["identical"] for layer in layers["layers"])
    assert [layer["left_out"] for layer in layers["layers"]] == [4, 4, 0, 0, 0, 0, 0]
    assert [layer["bytes"] for layer in layers["layers"]] == [256, 256, 512, 8, 8, 4, 4]
    assert "1x8x8x4 of 8" in capsys.readouterr().out


def test_a_wrong_channel_is_named_as_in_the_file(project, tmp_path):
    with changed_words(project / "src" / "model" / "aot_weights.c", FIRST, {-3: -0x18000000}):
        assert main(["build", str(project)]) == 0
        code, layers = report_of(project, tmp_path / "report", "--bisect")
    wrong = layers["first_wrong"]
    assert (code, wrong["index"], wrong["channel_indices"]) == (1, FIRST, [LAST])
    assert (wrong["first"][3], wrong["cause"]) == (LAST, "multiplier")
    assert wrong["index"] < MIDDLE
