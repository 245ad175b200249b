# SPDX-License-Identifier: Apache-2.0
"""A sketch with a front end on an emulated Cortex-M4, behind a stand-in of the Arduino API."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcu_ser.verify.audio_samples import as_streams, front_end_of, random_audio
from mcu_ser.verify.check import RunRequest, check
from tests.arduino_firmware import SketchEmulator, build_sketch, require_arduino_tools
from tests.hearing_model import hearing_model

pytestmark = pytest.mark.emulator


def test_the_sketch_hears_what_the_host_hears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_arduino_tools("qemu-system-arm")
    hearing = hearing_model(tmp_path / "model")
    project = build_sketch(tmp_path, hearing.model, monkeypatch, front_end=hearing.front_end)
    clips = random_audio(12, 4, front_end_of(project))
    for samples in (clips, as_streams(clips, 8, front_end_of(project))):
        with SketchEmulator(project.elf_path) as board:
            report = check(project, samples, tmp_path / "report", RunRequest((board.url,), block_seed=5))
        assert report.passed
        audio = report.document["audio"]
        assert audio["identical"] == audio["clips"] == len(samples.x)
