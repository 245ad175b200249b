# SPDX-License-Identifier: Apache-2.0
"""Limits of `verify`, on instructions that an emulated board has counted."""

import json

import pytest

from mcu_ser.cli.main import main
from mcu_ser.programs import ARM_GCC, CMAKE, NINJA, QEMU_ARM
from tests.tiny_model import tiny_classifier

ABSENT = [program.command for program in (ARM_GCC, CMAKE, NINJA, QEMU_ARM) if program.find() is None]

pytestmark = [
    pytest.mark.emulator,
    pytest.mark.skipif(bool(ABSENT), reason=f"not installed: {', '.join(ABSENT)}"),
]


@pytest.fixture(scope="module", name="projects")
def one_project_per_board(tmp_path_factory):
    directory = tmp_path_factory.mktemp("limits")
    (directory / "tiny.tflite").write_bytes(tiny_classifier())
    for board in ("netduinoplus2", "host"):
        project = str(directory / board)
        model = str(directory / "tiny.tflite")
        assert main(["generate", model, "--board", board, "--out", project]) == 0
        assert main(["build", project]) == 0
    return directory


def verify(project, out, *options):
    return main(
        ["verify", str(project), "--random", "4", "--no-litert", "--out", str(out), *map(str, options)]
    )


def test_one_instruction_over_the_limit_fails_the_check(projects, tmp_path, capsys):
    project, out = projects / "netduinoplus2", tmp_path / "report"
    assert verify(project, out) == 0
    report = json.loads((out / "report.json").read_text())
    most = report["instructions"]["max"]
    assert verify(project, out, "--max-instructions", most) == 0
    assert verify(project, out, "--max-instructions", most - 1) == 1
    said = capsys.readouterr().out
    assert f"over a limit: {most} instructions in one inference, limit {most - 1}" in said
    assert said.rstrip().splitlines()[-1].startswith("next: mcu-ser inspect ")
    assert verify(project, out, "--max-flash", report["flash_bytes"] - 1) == 1
    assert verify(project, out, "--max-flash", report["flash_bytes"], "--max-ram", report["ram_bytes"]) == 0


def test_instructions_that_nobody_counts_cannot_be_limited(projects, tmp_path, capsys):
    out = tmp_path / "report"
    assert verify(projects / "host", out, "--max-instructions", 10**9) == 2
    assert "host counts no instructions; try: an emulated STM32 board" in capsys.readouterr().err
    assert not (out / "report.json").exists()


def test_the_page_of_a_real_run_says_where_it_comes_from(projects, tmp_path):
    out = tmp_path / "report"
    assert verify(projects / "netduinoplus2", out) == 0
    page = (out / "report.html").read_text()
    assert "<dt>ran on</dt><dd>qemu, machine netduinoplus2</dd>" in page
    assert "mcu-ser verify" in page
    assert "GCC" in page
    origin = json.loads((out / "report.json").read_text())["provenance"]
    assert set(origin["hashes"]) == {"board.yaml", "firmware.elf", "model.tflite", "project.json"}
