# SPDX-License-Identifier: Apache-2.0
"""The plugin as a user's own test suite has it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mcu_ser.cli.main import main
from mcu_ser.errors import CheckFailedError, ConfigError, SamplesError
from mcu_ser.generate.project import Project
from mcu_ser.programs import ARM_GCC, CMAKE, HOST_GCC, NINJA, QEMU_ARM
from mcu_ser.pytest import _hint_for_pytest
from mcu_ser.verify.verified_device import VerifiedDevice
from tests.tiny_model import CLASSES, INPUT_SHAPE, tiny_classifier

ROOT = Path(__file__).parents[2]
ABSENT = [p.command for p in (ARM_GCC, CMAKE, HOST_GCC, NINJA, QEMU_ARM) if p.find() is None]

pytestmark = [
    pytest.mark.emulator,
    pytest.mark.skipif(bool(ABSENT), reason=f"not installed: {', '.join(ABSENT)}"),
]

USERS_TESTS = """
import numpy as np

def test_bytes(mcu_ser_device):
    x = np.random.default_rng(1).integers(-128, 128, (3, 6, 5, 2), np.int8)
    assert mcu_ser_device.run(x).shape == (3, 3)
    assert len(mcu_ser_device.ticks) == 3

def test_features_on_the_same_board(mcu_ser_device):
    assert mcu_ser_device.run(np.zeros((2, 60), np.float32)).dtype == np.int8
    assert mcu_ser_device.footprint.flash_bytes < 1_000_000
    print("board", mcu_ser_device.project.board.id, mcu_ser_device.project.root)
"""


def users_pytest(directory, *options):
    (directory / "tiny.tflite").write_bytes(tiny_classifier())
    (directory / "test_users.py").write_text(USERS_TESTS)
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pytest", "-p", "mcu_ser.pytest", "-rA", "--strict-config", *options]
    answer = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    return answer.returncode, answer.stdout + answer.stderr


@pytest.fixture(scope="module", name="host_project")
def project_on_this_computer(tmp_path_factory):
    directory = tmp_path_factory.mktemp("plugin")
    (directory / "tiny.tflite").write_bytes(tiny_classifier())
    out = directory / "project"
    assert main(["generate", str(directory / "tiny.tflite"), "--board", "host", "--out", str(out)]) == 0
    assert main(["build", str(out)]) == 0
    return out


def test_a_users_tests_on_the_emulated_board(tmp_path):
    (tmp_path / "pytest.ini").write_text("[pytest]\nmcu_ser_model = tiny.tflite\n")
    status, said = users_pytest(tmp_path)
    assert status == 0, said
    assert "2 passed" in said
    assert "board netduinoplus2" in said


def test_options_go_before_the_configuration(tmp_path):
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nmcu_ser_model = absent.tflite\nmcu_ser_board = nucleo_f446re\n"
    )
    status, said = users_pytest(tmp_path, "--mcu-ser-model", "tiny.tflite", "--mcu-ser-board", "host")
    assert status == 0, said
    assert "board host" in said


def test_a_project_that_is_built_already(tmp_path, host_project):
    status, said = users_pytest(tmp_path, "--mcu-ser-project", str(host_project))
    assert status == 0, said
    assert f"board host {host_project}" in said


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ((), "no model is configured; try: mcu_ser_model in pytest.ini, or --mcu-ser-model MODEL.tflite"),
        (("--mcu-ser-model", "absent.tflite"), "absent.tflite"),
        (("--mcu-ser-model", "tiny.tflite", "--mcu-ser-board", "nowhere"), "nowhere"),
        (
            ("--mcu-ser-model", "tiny.tflite", "--mcu-ser-board", "stm32f407g_disc1"),
            "try: mcu-ser flash PROJECT, then --mcu-ser-project PROJECT --mcu-ser-port PORT",
        ),
        (
            ("--mcu-ser-model", "tiny.tflite", "--mcu-ser-port", "COM3"),
            "whose firmware nobody has flashed yet",
        ),
    ],
)
def test_a_board_that_cannot_be_had_is_no_skip(tmp_path, options, problem):
    status, said = users_pytest(tmp_path, *options)
    assert status == 1
    assert f"mcu_ser_device: {problem}" in said or problem in said
    assert "2 errors" in said
    assert "Traceback" not in said


def test_a_wrong_output_is_an_error(host_project, tmp_path):
    wrong = tmp_path / "project"
    shutil.copytree(host_project, wrong, ignore=shutil.ignore_patterns("build"))
    weights = wrong / "src" / "model" / "aot_weights.c"
    text = weights.read_text()
    number = re.compile(r"0x[0-9a-f]{8}").search(text, text.rindex("= {"))
    flipped = f"{int(number.group(), 16) ^ 1 << 20:#x}"
    weights.write_text(text[: number.start()] + flipped + text[number.end() :])
    assert main(["build", str(wrong)]) == 0
    # The same as `verify --random 16`, of which this bias changes some.
    x = np.random.default_rng(1).integers(-128, 128, (16, *INPUT_SHAPE[1:]), np.int8)
    with VerifiedDevice(Project.load(wrong)) as device:
        with pytest.raises(CheckFailedError, match=r"of 16 outputs are not the oracle's; first: sample \d+"):
            device.run(x)
        assert len(device.ticks) == 0


def test_a_flashed_projects_port_is_named_by_pytests_option():
    hint = "a USB cable that carries data, or --port PORT"
    assert _hint_for_pytest(hint, "project") == "a USB cable that carries data, or --mcu-ser-port PORT"
    assert _hint_for_pytest(hint, "").endswith("--mcu-ser-project PROJECT --mcu-ser-port PORT")
    for other in (None, "mcu-ser flash project --port COM3"):
        assert _hint_for_pytest(other, "project") == other


def test_a_device_of_a_directory(host_project, tmp_path):
    for path in (host_project, str(host_project)):
        with VerifiedDevice(path) as device:
            assert device.run(np.zeros((1, 60), np.int8)).shape == (1, CLASSES)
    with pytest.raises(ConfigError, match="is not a firmware project"):
        VerifiedDevice(tmp_path)


def test_a_device_says_what_it_takes(host_project):
    device = VerifiedDevice(Project.load(host_project))
    with pytest.raises(ValueError, match="not open"):
        device.run(np.zeros((1, 60), np.int8))
    with device:
        with pytest.raises(SamplesError, match=r"x: x has shape \(3, 7\), the model takes"):
            device.run(np.zeros((3, 7), np.int8))
        assert device.run(np.zeros((1, 60), np.int8)).shape == (1, CLASSES)
