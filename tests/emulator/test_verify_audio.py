# SPDX-License-Identifier: Apache-2.0
"""generate --front-end, build and verify --input audio as a user calls them, on real firmware."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from mcu_ser.board import list_boards
from mcu_ser.cli.main import main
from mcu_ser.features.clip_set import ClipSet
from mcu_ser.generate.front_end import front_end_size
from mcu_ser.generate.project import Project, generate
from mcu_ser.programs import CMAKE
from mcu_ser.toolchain.cmake_gcc import build
from tests.hearing_model import SPEC, front_end_of, hearing_model
from tests.speech import emodb_clips, emodb_files, synthetic_clips, worst_clips
from tests.stm32_firmware import require_tools

pytestmark = pytest.mark.emulator

BOARDS = [board for board in list_boards() if board.platform in {"stm32", "mps"}]


@pytest.fixture(scope="module")
def hearing(tmp_path_factory):
    return hearing_model(tmp_path_factory.mktemp("hearing"))


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    """Made-up speech, real speech where there is some, the worst clips, very short and very long ones."""
    noise = np.random.default_rng(1).integers(-20000, 20000, 12000).astype(np.int16)
    real = emodb_clips(SPEC, every=180) if emodb_files() else []
    cut = [pcm[:9000] for pcm in [*synthetic_clips(SPEC)[:4], *worst_clips().values()]]
    short = [noise[:length] for length in (1, 100, 511, 512, 513, 767, 768, 6399, 6400, 6401, 12000)]
    path = tmp_path_factory.mktemp("clips") / "audio.npz"
    ClipSet((*short, *cut, *real), None, None, None).save(path)
    return path


@pytest.fixture(scope="module")
def stm32(hearing, tmp_path_factory) -> Project:
    board = next(board for board in BOARDS if board.id == "netduinoplus2")
    require_tools(board, emulator=True)
    project = hearing.project(board.id, tmp_path_factory.mktemp("stm32") / "project")
    build(project)
    return project


@pytest.fixture(scope="module")
def native(hearing, tmp_path_factory) -> Project:
    """The firmware as a native program with sanitizers."""
    if CMAKE.find() is None:
        pytest.skip("not installed: cmake")
    project = hearing.project("host", tmp_path_factory.mktemp("host") / "project")
    build(project)
    sanitize(project)
    return project


def sanitize(project: Project) -> None:
    for command in (["--preset", "firmware", "-DFIRMWARE_SANITIZE=ON"], ["--build", "--preset", "firmware"]):
        subprocess.run(["cmake", *command], cwd=project.root, check=True, capture_output=True, timeout=300)


def verify(project: Project, out: Path, *options: object) -> tuple[int, dict]:
    status = main(
        [
            "verify",
            str(project.root),
            "--input",
            "audio",
            "--out",
            str(out),
            "--no-litert",
            *map(str, options),
        ]
    )
    return status, json.loads((out / "report.json").read_text())


@pytest.mark.parametrize("options", [(), ("--random-blocks", 5)], ids=["blocks", "random blocks"])
def test_the_stm32_hears_what_the_host_hears(stm32, clips, tmp_path, options) -> None:
    status, report = verify(stm32, tmp_path / "report", "--samples", clips, *options)
    assert status == 0
    assert report["audio"]["identical"] == report["audio"]["clips"] == report["samples"] >= 25
    assert report["identical"] == report["samples"]
    # Of the first clip, one sample long: a frame and the map.
    assert report["audio"]["front_end"]["rows"] == 1
    assert 20_000 < report["audio"]["front_end"]["ticks"] < 60_000
    # What its sizes tell, within what front_end_cost states of its figures and the calls around a frame.
    needs = report["audio"]["front_end_needs"]
    told = needs["instructions_per_frame"] + needs["instructions_per_map"]
    assert report["audio"]["front_end"]["ticks"] == pytest.approx(told, rel=0.05)
    size = front_end_size(front_end_of()).on(stm32.board)
    assert (needs["flash_bytes"], needs["ram_bytes"]) == (size.flash_bytes, size.ram_bytes)


@pytest.mark.parametrize("options", [(), ("--random-blocks", 5)], ids=["blocks", "random blocks"])
def test_the_native_firmware_does_under_sanitizers(native, clips, tmp_path, options) -> None:
    status, report = verify(native, tmp_path / "report", "--samples", clips, *options)
    assert status == 0
    assert report["audio"]["identical"] == report["audio"]["clips"] == report["samples"] >= 25


@pytest.mark.parametrize("board", ["native", "stm32"])
def test_streams_are_heard_as_they_go(board, clips, tmp_path, request) -> None:
    options = ["--samples", clips, "--every", 40 if board == "stm32" else 5, "--random-blocks", 2]
    status, report = verify(request.getfixturevalue(board), tmp_path / "report", *options)
    assert status == 0
    audio = report["audio"]
    assert audio["stream"]
    assert audio["identical"] == audio["clips"] == report["samples"] > 20
    assert audio["front_end"]["rows"] == 1


def test_noise_of_any_length(native, tmp_path) -> None:
    status, report = verify(native, tmp_path / "report", "--random", 40, "--seed", 3)
    assert status == 0
    assert report["samples_origin"] == "40 clips of noise, seed 3"


def test_a_wrong_table_is_found_and_the_place_named(hearing, clips, tmp_path, capsys) -> None:
    """One mel weight less: the features differ, whatever the model makes of them."""
    project = hearing.project("host", tmp_path / "project")
    tables = project.root / "src" / "model" / "front_end_tables.c"
    text = tables.read_text()
    at = text.index("front_end_weights[FRONT_END_WEIGHTS] = {")
    # The last weight of 16384 or more, in a band far up.
    number = list(re.finditer(r"\b(1[7-9]|2\d)\d{3}\b", text[at : text.index("};", at)]))[-1]
    wrong = str(int(number.group()) // 8)
    tables.write_text(text[: at + number.start()] + wrong + text[at + number.end() :])
    build(project)
    status, report = verify(project, tmp_path / "report", "--samples", clips)
    assert status == 1
    audio = report["audio"]
    assert 0 < len(audio["mismatches"]) <= audio["clips"] - audio["identical"]
    assert {entry["band"] for entry in audio["mismatches"]} <= set(range(SPEC.mels))
    first = audio["mismatches"][0]
    reason = (
        f"first: {first['id']}, frame {first['frame']}, band {first['band']}: {first['device']}, expected"
    )
    assert reason in report["reason"]
    assert "src/model/front_end_tables.c" in report["changed_files"]
    assert reason in capsys.readouterr().out
    page = (tmp_path / "report" / "report.html").read_text()
    assert f"frame {first['frame']}, band {first['band']}" in page


def test_a_model_input_still_goes_to_the_same_firmware(stm32, tmp_path) -> None:
    options = ["--random", "3", "--no-litert", "--out", str(tmp_path / "report")]
    assert main(["verify", str(stm32.root), *options]) == 0
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert (report["audio"], report["identical"]) == (None, 3)


@pytest.mark.slow
@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.id)
def test_every_board_builds_with_it_and_takes_no_more_than_was_said(hearing, board, tmp_path) -> None:
    require_tools(board)
    having = build(hearing.project(board.id, tmp_path / "with"))
    lacking = build(generate(hearing.model, board, "aot", tmp_path / "without"))
    assert "warning" not in having.log.read_text()
    size = front_end_size(front_end_of())
    flash = having.footprint.flash_bytes - lacking.footprint.flash_bytes
    ram = having.footprint.ram_bytes - lacking.footprint.ram_bytes
    assert 0.9 * size.flash_bytes < flash <= size.flash_bytes
    assert size.ram_bytes - 32 <= ram <= size.ram_bytes


def test_a_project_can_be_moved(stm32, tmp_path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(stm32.root, moved)
    status, _ = verify(Project.load(moved), tmp_path / "report", "--random", 2)
    assert status == 0
