# SPDX-License-Identifier: Apache-2.0
"""A model of 16-bit activations from file to verdict: samples, the wire, scores and layers."""

import json
import re

import numpy as np
import pytest

from mcu_ser.board import load_board
from mcu_ser.cli.main import main
from mcu_ser.convert.oracle import Oracle
from mcu_ser.convert.quantization import quantize
from mcu_ser.verify.verified_device import VerifiedDevice
from tests.int16_model import INPUT_SCALE, ds_cnn
from tests.stm32_firmware import require_tools

pytestmark = pytest.mark.emulator

SHAPE = (1, 24, 8, 1)
MIDDLE = 3


@pytest.fixture(scope="module", params=["host", "netduinoplus2"])
def project(request, tmp_path_factory):
    if request.param != "host":
        require_tools(load_board(request.param), emulator=True)
    directory = tmp_path_factory.mktemp(request.param)
    model = directory / "model.tflite"
    model.write_bytes(ds_cnn())
    project = directory / "project"
    arguments = ["generate", model, "--board", request.param, "--layers", "--out", project]
    assert main(list(map(str, arguments))) == 0
    assert main(["build", str(project)]) == 0
    return project


@pytest.fixture(scope="module")
def samples():
    """Features of which the model's answers are known, and differ."""
    x = np.random.default_rng(5).normal(0, 1.5, (12, *SHAPE[1:])).astype(np.float32)
    outputs = Oracle(ds_cnn()).run(quantize(x, INPUT_SCALE, 0, np.dtype(np.int16)))
    assert outputs.dtype == np.int16
    return x, outputs


def verify(project, out, *options):
    code = main(["verify", str(project), "--no-litert", "--out", str(out), *map(str, options)])
    return code, json.loads((out / "report.json").read_text())


def test_features_are_quantised_to_16_bits_and_classes_come_of_16_bits(project, samples, tmp_path):
    x, outputs = samples
    classes = outputs.argmax(axis=1)
    # Its bytes as int8 would say something else.
    assert (outputs.view(np.int8).argmax(axis=1) != classes).any()
    truth = classes.copy()
    truth[0] = (truth[0] + 1) % 5
    np.savez(tmp_path / "samples.npz", x=x, y=truth, labels=[f"class {i}" for i in range(5)])
    code, report = verify(project, tmp_path / "report", "--samples", tmp_path / "samples.npz")
    assert (code, report["verdict"], report["identical"]) == (0, "pass", 12)
    assert report["answers"]["device_classes"] == classes.tolist()
    assert report["device"]["accuracy"] == 11 / 12


def test_samples_may_be_stored_values(project, samples, tmp_path):
    stored = quantize(samples[0], INPUT_SCALE, 0, np.dtype(np.int16))
    np.savez(tmp_path / "samples.npz", x=stored)
    code, report = verify(project, tmp_path / "report", "--samples", tmp_path / "samples.npz")
    assert (code, report["verdict"]) == (0, "pass")
    with VerifiedDevice(project) as device:
        outputs = device.run(stored)
    assert outputs.dtype == np.int16
    assert outputs.tolist() == samples[1].tolist()


def test_samples_of_8_bits_are_refused(project, tmp_path, capsys):
    np.savez(tmp_path / "samples.npz", x=np.zeros((1, *SHAPE[1:]), np.int8))
    arguments = ["verify", project, "--samples", tmp_path / "samples.npz", "--out", tmp_path / "report"]
    assert main(list(map(str, arguments))) == 2
    said = capsys.readouterr().err
    assert "x has dtype int8, the model takes int16 tensors or float features" in " ".join(said.split())


def test_every_layer_is_compared(project, tmp_path):
    code, report = verify(project, tmp_path / "report", "--random", "2", "--bisect", "--profile")
    assert (code, report["verdict"]) == (0, "pass")
    layers = report["layers"]["layers"]
    assert len(layers) == 10
    assert all(layer["identical"] for layer in layers)


def test_the_first_wrong_layer_is_found(project, tmp_path):
    weights = project / "src" / "model" / "aot_weights.c"
    right = weights.read_text()
    # One weight of the first output channel.
    start = rf"(layer_{MIDDLE:02d}_conv_2d_weights\[\d+\][^{{]*{{\s*0x)([0-9a-f]{{8}})"
    wrong = re.sub(start, lambda found: f"{found[1]}{int(found[2], 16) ^ 0x40:08x}", right)
    assert wrong != right
    try:
        weights.write_text(wrong)
        assert main(["build", str(project)]) == 0
        code, report = verify(project, tmp_path / "report", "--random", "2", "--bisect")
    finally:
        weights.write_text(right)
        assert main(["build", str(project)]) == 0
    assert (code, report["verdict"]) == (1, "fail")
    found = report["layers"]["first_wrong"]
    assert (found["index"], found["operator"]) == (MIDDLE, "CONV_2D")
    assert found["channel_indices"] == [0]
    assert report["mismatches"][0]["differing_bytes"] > 0
