# SPDX-License-Identifier: Apache-2.0
"""`mcu-ser listen` on an emulated STM32: a recording is played, maps and outputs are the host's."""

import json

import numpy as np
import pytest

from mcu_ser.board import load_board
from mcu_ser.cli.main import main
from mcu_ser.convert.oracle import Oracle
from mcu_ser.features.listening import Gate, due_maps
from mcu_ser.listen.wav import write_recording
from mcu_ser.toolchain.cmake_gcc import build
from mcu_ser.verify.protocol import crc32
from tests.hearing_model import SPEC, front_end_of, hearing_model
from tests.speech import synthetic_clips
from tests.stm32_firmware import require_tools

pytestmark = pytest.mark.emulator

BOARD = "netduinoplus2"
PERIOD = 6


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    require_tools(load_board(BOARD), emulator=True)
    directory = tmp_path_factory.mktemp("stm32")
    project = hearing_model(directory / "model").project(BOARD, directory / "project")
    build(project)
    return project


@pytest.fixture(scope="module")
def speech():
    """A voice, a pause, and a voice: 1.6 s."""
    one, two = (pcm[:10000] for pcm in synthetic_clips(SPEC)[:2])
    return np.concatenate([one, np.zeros(6000, np.int16), two]).astype(np.int16)


@pytest.mark.parametrize("speed", ["full", "real-time"])
def test_what_an_emulated_board_hears_is_what_the_host_hears(
    project, speech, speed, tmp_path, capsys
) -> None:
    write_recording(tmp_path / "speech.wav", speech.tobytes())
    options = ["--wav", str(tmp_path / "speech.wav"), "--speed", speed, "--period", str(PERIOD), "--json"]
    assert main(["listen", str(project.root), *options, "--gate-hops", "18"]) == 0
    *decisions, last = map(json.loads, capsys.readouterr().out.splitlines())
    expected = list(due_maps(speech, front_end_of(), PERIOD, Gate.of_level(-60.0, 18)))
    assert [one["gate_open"] for one in decisions] == [one.is_open for one in expected]
    assert {one.is_open for one in expected} == {True, False}
    oracle = Oracle(project.model_path.read_bytes())
    for one, other in zip(decisions, expected, strict=True):
        if other.is_open:
            assert one["features_crc32"] == f"{crc32(other.features.tobytes()):08x}"
            assert one["output"] == oracle.run(other.features.reshape(oracle.input_shape)).ravel().tolist()
            assert one["model_ticks"] > 0
    summary = last["summary"]
    assert summary["compared"] == sum(one.is_open for one in expected)
    assert (summary["wrong"], summary["missing"], summary["lost_blocks"]) == (0, 0, 0)
