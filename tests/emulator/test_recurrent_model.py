# SPDX-License-Identifier: Apache-2.0
"""Models with LSTM layers from file to verdict, on the emulated board and natively."""

import json
from importlib.util import find_spec

import numpy as np
import pytest

from mcu_ser.board import load_board
from mcu_ser.cli.main import main
from mcu_ser.convert.oracle import Oracle
from mcu_ser.verify.verified_device import VerifiedDevice
from tests.lstm_model import two_lstms
from tests.stm32_firmware import require_tools

pytestmark = pytest.mark.emulator

COUNT = 50


def built(board, model, directory, *options):
    """A project of the model, generated and built."""
    if board != "host":
        require_tools(load_board(board), emulator=True)
    path = directory / "model.tflite"
    path.write_bytes(model)
    project = directory / "project"
    generate = ["generate", path, "--board", board, "--out", project, *options]
    assert main(list(map(str, generate))) == 0
    assert main(["build", str(project)]) == 0
    return project


def verified(project, report, *options):
    """The report of a run that passes."""
    arguments = ["verify", project, "--no-litert", "--out", report, *options]
    assert main(list(map(str, arguments))) == 0
    return json.loads((report / "report.json").read_text())


@pytest.mark.parametrize("board", ["host", "netduinoplus2"])
@pytest.mark.parametrize("optimize", ["speed", "size"])
def test_the_board_gives_the_bytes_of_the_oracle(board, optimize, tmp_path):
    project = built(board, two_lstms(), tmp_path, "--optimize", optimize)
    assert verified(project, tmp_path / "report", "--random", COUNT)["identical"] == COUNT


def test_no_sample_depends_on_those_before_it(tmp_path):
    project = built("netduinoplus2", two_lstms(), tmp_path)
    samples = np.random.default_rng(3).integers(-128, 128, (8, 6, 10)).astype(np.int8)
    with VerifiedDevice(project) as device:
        forwards, backwards = device.run(samples), device.run(samples[::-1])
    assert forwards.tolist() == backwards[::-1].tolist() == Oracle(two_lstms()).run(samples).tolist()


@pytest.mark.train
@pytest.mark.slow
@pytest.mark.skipif(find_spec("tensorflow") is None, reason="needs the [train] extra")
def test_a_keras_model_over_log_mel_frames_gives_the_bytes_of_the_oracle(tmp_path):
    from tests.keras_lstm import keras_lstm, log_mel_frames

    frames = log_mel_frames()
    project = built("netduinoplus2", keras_lstm("stacked", frames), tmp_path, "--layers")
    np.savez(tmp_path / "frames.npz", x=frames)
    report = verified(project, tmp_path / "spoken", "--samples", tmp_path / "frames.npz")
    assert report["identical"] == len(frames)
    assert verified(project, tmp_path / "report", "--random", COUNT)["identical"] == COUNT
