# SPDX-License-Identifier: Apache-2.0
"""`mcu-ser listen` on an emulated STM32: a recording is played, maps and outputs are the host's.

Engine tflm needs a library: TFLM_ROOT names a source tree of TFLite-Micro whose Makefile has made one.
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from mcu_ser.board import load_board
from mcu_ser.cli.main import main
from mcu_ser.convert.oracle import Oracle
from mcu_ser.features.listening import Gate, due_maps
from mcu_ser.listen.wav import write_recording
from mcu_ser.tflm.library import TflmLibrary
from mcu_ser.toolchain.cmake_gcc import build
from mcu_ser.verify.protocol import crc32
from tests.hearing_model import SPEC, front_end_of, hearing_model
from tests.speech import synthetic_clips
from tests.stm32_firmware import require_tools

pytestmark = pytest.mark.emulator

BOARD = "netduinoplus2"
PERIOD = 6
_OF_BOARD = "gen/cortex_m_generic_cortex-m4+fp_*/lib/libtensorflow-microlite.a"
LIBRARIES = sorted(Path(os.environ["TFLM_ROOT"]).glob(_OF_BOARD)) if os.environ.get("TFLM_ROOT") else []


@pytest.fixture(scope="module")
def hearing(tmp_path_factory):
    require_tools(load_board(BOARD), emulator=True)
    return hearing_model(tmp_path_factory.mktemp("hearing"))


@pytest.fixture(scope="module")
def project(hearing, tmp_path_factory):
    project = hearing.project(BOARD, tmp_path_factory.mktemp("aot") / "project")
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
    require_same_decisions(project, speech, speed, tmp_path, capsys)


@pytest.mark.skipif(
    not LIBRARIES, reason="TFLM_ROOT names no tree with a TFLite-Micro library for cortex-m4+fp"
)
def test_the_interpreter_decides_while_the_board_listens(hearing, speech, tmp_path, capsys) -> None:
    """Maps go to the interpreter's input while samples still arrive, and the next ones find it in order."""
    project = hearing.project(BOARD, tmp_path / "project", "tflm")
    build(project, TflmLibrary(Path(os.environ["TFLM_ROOT"]), LIBRARIES[0]).cache_variables())
    require_same_decisions(project, speech, "full", tmp_path, capsys)


def require_same_decisions(project, speech, speed, tmp_path, capsys) -> None:
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
