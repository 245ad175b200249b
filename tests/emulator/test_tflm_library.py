# SPDX-License-Identifier: Apache-2.0
"""cmake/FindTFLM.cmake of a generated project, against trees that are not TFLite-Micro, or not all of it."""

import subprocess

import pytest

from mcu_ser.board import load_board
from mcu_ser.cli.main import main
from mcu_ser.generate.project import generate
from tests.stm32_firmware import require_tools
from tests.tiny_model import tiny_classifier

pytestmark = pytest.mark.emulator

BOARD = load_board("netduinoplus2")
HEADER = "tensorflow/lite/micro/micro_interpreter.h"
DOWNLOADS = "tensorflow/lite/micro/tools/make/downloads"
FETCHED = ("flatbuffers/include/flatbuffers/flatbuffers.h", "gemmlowp/fixedpoint/fixedpoint.h")
REFERENCE = "gen/cortex_m_generic_cortex-m4+fp_release_gcc/lib/libtensorflow-microlite.a"
OPTIMISED = "gen/cortex_m_generic_cortex-m4+fp_release_cmsis_nn_gcc/lib/libtensorflow-microlite.a"
OTHER_CORE = "gen/cortex_m_generic_cortex-m7+fp_release_gcc/lib/libtensorflow-microlite.a"
MADE = (HEADER, *(f"{DOWNLOADS}/{name}" for name in FETCHED))


@pytest.fixture(autouse=True)
def tools(monkeypatch):
    require_tools(BOARD)
    monkeypatch.delenv("TFLM_ROOT", raising=False)


@pytest.fixture
def project(tmp_path):
    (tmp_path / "m.tflite").write_bytes(tiny_classifier())
    return generate(tmp_path / "m.tflite", BOARD, "tflm", tmp_path / "project")


def tree(directory, *names):
    for name in names:
        path = directory / "tflm" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    return directory / "tflm"


def build(project, *options):
    return main(["build", str(project.root), *map(str, options)])


def test_no_tree_is_named(project, capsys):
    assert build(project) == 3
    error = capsys.readouterr().err
    assert "--tflm-root and TFLM_ROOT are not set" in error
    assert "TARGET_ARCH=cortex-m4+fp OPTIMIZED_KERNEL_DIR=cmsis_nn BUILD_TYPE=release microlite" in error


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ((), f"has no {HEADER}"),
        ((REFERENCE,), f"has no {HEADER}"),
        ((HEADER, REFERENCE), "has no flatbuffers or no gemmlowp, which its Makefile fetches"),
        (MADE, "has no libtensorflow-microlite.a for cortex-m4+fp"),
        ((*MADE, OTHER_CORE), "has no libtensorflow-microlite.a for cortex-m4+fp"),
    ],
)
def test_what_is_missing_is_named_with_the_command_that_makes_it(project, tmp_path, capsys, names, reason):
    assert build(project, "--tflm-root", tree(tmp_path, *names)) == 3
    error = " ".join(capsys.readouterr().err.split())
    assert "TFLite-Micro: its library is not found: " in error
    assert reason in error
    assert "TARGET_ARCH=cortex-m4+fp OPTIMIZED_KERNEL_DIR=cmsis_nn BUILD_TYPE=release microlite" in error
    assert not project.elf_path.exists()


def test_of_several_libraries_none_is_taken_for_the_user(project, tmp_path, capsys):
    root = tree(tmp_path, *MADE, REFERENCE, OPTIMISED)
    assert build(project, "--tflm-root", root) == 3
    error = " ".join(capsys.readouterr().err.split())
    assert "choose by TFLM_LIBRARY between" in error
    assert error.endswith("try: --tflm-library FILE")
    assert str(root / REFERENCE) in error
    assert str(root / OPTIMISED) in error


def test_a_library_that_does_not_exist(project, tmp_path, capsys):
    root = tree(tmp_path, *MADE, REFERENCE)
    assert build(project, "--tflm-root", root, "--tflm-library", tmp_path / "none.a") == 3
    assert "none.a does not exist" in " ".join(capsys.readouterr().err.split())


def configure(project, root, *options):
    command = ["cmake", "--preset", "firmware", f"-DTFLM_ROOT={root}", *options]
    done = subprocess.run(command, cwd=project.root, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_tree_of_create_tflm_tree_is_found(project, tmp_path):
    third_party = [f"third_party/{name}" for name in FETCHED]
    root = tree(tmp_path, HEADER, *third_party, "lib/libtensorflow-microlite.a")
    code, said = configure(project, root)
    assert code == 0, said
    assert f"Found TFLM: {root}/lib/libtensorflow-microlite.a" in said


def test_the_library_that_is_chosen_is_taken(project, tmp_path):
    root = tree(tmp_path, *MADE, REFERENCE, OPTIMISED)
    code, said = configure(project, root, f"-DTFLM_LIBRARY={root / OPTIMISED}")
    assert code == 0, said
    assert f"Found TFLM: {root / OPTIMISED}" in said


def test_another_tree_replaces_the_one_of_the_last_build(project, tmp_path):
    first = tree(tmp_path / "first", *MADE, REFERENCE)
    second = tree(tmp_path / "second", *MADE, REFERENCE)
    for root in (first, second):
        code, said = configure(project, root)
        assert code == 0, said
        assert f"Found TFLM: {root / REFERENCE}" in said
