# SPDX-License-Identifier: Apache-2.0
"""`mcu-ser compare` as a user calls it, on real firmware."""

import json
import os
import shutil

import pytest

from mcu_ser.board import load_board
from mcu_ser.cli.main import main
from mcu_ser.device.start import open_emulated
from mcu_ser.generate.project import generate
from mcu_ser.toolchain import cmake_gcc
from mcu_ser.toolchain.build import build
from mcu_ser.toolchain.firmware_parts import Part, find_parts
from tests.stm32_firmware import require_tools
from tests.tiny_model import tiny_classifier

pytestmark = pytest.mark.emulator


def built(directory, board_id="netduinoplus2", options=None, model=None, engine="aot"):
    board = load_board(board_id)
    require_tools(board, emulator=board_id != "host")
    path = directory / "model.tflite"
    path.write_bytes(model or tiny_classifier())
    project = generate(path, board, engine, directory / "project")
    if options is None:
        build(project)
    else:
        cmake_gcc.build(project, options)
    return project


@pytest.fixture(scope="module")
def fast(tmp_path_factory):
    return built(tmp_path_factory.mktemp("fast"))


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return built(tmp_path_factory.mktemp("small"), options={"FIRMWARE_OPTIMIZATION": "-Os"})


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    return built(tmp_path_factory.mktemp("native"), "host")


def compare(a, b, *options):
    return main(["compare", str(a.root), str(b.root), *map(str, options)])


def test_two_builds_of_one_model(fast, small, tmp_path, capsys):
    assert compare(fast, small, "--random", 6, "--out", tmp_path) == 0
    document = json.loads((tmp_path / "compare.json").read_text())
    a, b = document["projects"]
    assert (document["verdict"], document["identical"]) == ("pass", 6)
    assert document["ticks_comparable"]
    for side in (a, b):
        assert sum(side["flash_parts"].values()) == side["flash_bytes"]
        assert sum(side["ram_parts"].values()) == side["ram_bytes"]
        assert side["identical"] == 6
    assert a["flash_parts"]["model"] == b["flash_parts"]["model"]
    assert a["flash_bytes"] > b["flash_bytes"]
    assert 0 < a["instructions"]["median"] != b["instructions"]["median"] > 0
    text = capsys.readouterr().out
    assert "verdict: pass (all 6 outputs of both equal the oracle's byte for byte)" in text
    assert f"wrote {tmp_path / 'compare.json'}" in text


@pytest.mark.skipif(not os.environ.get("TFLM_ROOT"), reason="TFLM_ROOT names no TFLite-Micro library")
def test_two_engines(fast, tmp_path, capsys):
    tflm = built(tmp_path, engine="tflm")
    assert compare(fast, tflm, "--random", 6, "--json") == 0
    a, b = json.loads(capsys.readouterr().out)["projects"]
    assert (a["engine"], b["engine"]) == ("aot", "tflm")
    parts = find_parts(tflm.elf_path)
    assert sum(parts.flash.values()) == b["flash_bytes"]
    assert sum(parts.ram.values()) == b["ram_bytes"]
    assert parts.ram[Part.ARENA] == tflm.arena_bytes
    # The model is in flash as it is, the interpreter beside it, and nothing that is not known.
    assert parts.flash[Part.MODEL] == len(tiny_classifier())
    assert parts.flash[Part.RUNTIME] > 8192 > a["flash_parts"]["runtime"]
    assert parts.flash[Part.KERNELS] > a["flash_parts"]["kernels"]
    assert Part.OTHER not in parts.flash
    assert Part.OTHER not in parts.ram


def test_two_boards_are_compared_but_for_their_durations(fast, native, capsys):
    assert compare(fast, native, "--random", 3, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert [project["board"] for project in document["projects"]] == ["netduinoplus2", "host"]
    assert not document["ticks_comparable"]
    assert document["projects"][1]["flash_parts"] is None


def test_a_wrong_weight_in_one_of_them_fails(native, tmp_path, capsys):
    project = tmp_path / "project"
    shutil.copytree(native.root, project, ignore=shutil.ignore_patterns("build"))
    source = project / "src" / "model" / "aot_weights.c"
    head, brace, numbers = source.read_text().rpartition("= {")
    first, comma, rest = numbers.partition(",")
    # The first word of the last layer: a bias.
    source.write_text(f"{head}{brace}\n  {int(first, 16) ^ 1 << 20:#x}{comma}{rest}")
    assert main(["build", str(project)]) == 0
    assert main(["compare", str(native.root), str(project), "--random", "16", "--out", str(tmp_path)]) == 1
    document = json.loads((tmp_path / "compare.json").read_text())
    assert document["verdict"] == "fail"
    assert document["identical"] < 16
    assert document["projects"][0]["identical"] == 16
    assert document["mismatches"][0]["differing_bytes"] > 0
    assert document["projects"][1]["changed_files"] == ["src/model/aot_weights.c"]
    assert "changed in B since generated: src/model/aot_weights.c" in capsys.readouterr().out


def test_another_model_is_refused(native, tmp_path, capsys):
    other = built(tmp_path, "host", model=tiny_classifier(seed=2))
    (tmp_path / "compare.json").write_text("old")
    assert compare(native, other, "--random", 2, "--out", tmp_path) == 2
    assert f"{other.root}: holds another model than {native.root}" in capsys.readouterr().err
    assert not (tmp_path / "compare.json").exists()


def test_what_is_not_built_is_refused_before_anything_runs(native, tmp_path, capsys):
    project = tmp_path / "project"
    shutil.copytree(native.root, project, ignore=shutil.ignore_patterns("build"))
    assert main(["compare", str(native.root), str(project), "--random", "2"]) == 2
    captured = capsys.readouterr()
    assert f"{project}: is not built; try: mcu-ser build {project}" in captured.err
    assert "host: " not in captured.err


def test_a_board_that_runs_already_is_asked_at_its_port(native, capsys):
    with open_emulated(native) as device:
        assert compare(native, native, "--random", 2, "--port-b", device.url, "--json") == 0
    assert json.loads(capsys.readouterr().out)["projects"][1]["identical"] == 2


def test_a_run_that_does_not_end_leaves_no_report(native, tmp_path, capsys):
    (tmp_path / "compare.json").write_text("old")
    assert compare(native, native, "--random", 2, "--port-b", "/dev/ttyNONE7", "--out", tmp_path) == 4
    assert not (tmp_path / "compare.json").exists()


def test_a_port_that_is_not_there_ends_the_run(native, capsys):
    assert compare(native, native, "--random", 2, "--port-b", "/dev/ttyNONE7") == 4
    assert "/dev/ttyNONE7" in capsys.readouterr().err
