# SPDX-License-Identifier: Apache-2.0
"""The wheel is what users install: it must carry boards, templates and recipes, and need no checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.tiny_model import tiny_classifier

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The unpacked wheel: what an installation puts on the import path."""
    directory = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", str(ROOT)),
            *("--no-deps", "--no-build-isolation", "--quiet", "--disable-pip-version-check"),
            *("--wheel-dir", str(directory)),
        ],
        check=True,
        timeout=300,
    )
    (wheel,) = directory.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(directory / "site")
    return directory / "site"


def run(installed, cwd, *arguments):
    environment = os.environ | {"PYTHONPATH": str(installed)}
    answer = subprocess.run(
        [sys.executable, "-m", "mcu_ser.cli.main", *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def files_below(directory, *, suffixes=()):
    return {
        path.relative_to(directory).as_posix()
        for path in directory.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix not in suffixes
    }


@pytest.mark.parametrize("name", ["boards", "firmware_templates"])
def test_the_data_directories_are_whole(installed, name):
    assert files_below(installed / "mcu_ser" / "_data" / name) == files_below(ROOT / name)


def test_the_package_is_whole_and_alone(installed):
    packaged = {name for name in files_below(installed / "mcu_ser") if not name.startswith("_data/")}
    assert packaged == files_below(ROOT / "mcu_ser")
    assert {entry.name.partition("-")[0] for entry in installed.iterdir()} == {"mcu_ser"}


def test_it_generates_the_same_project_as_the_checkout(installed, tmp_path):
    (tmp_path / "tiny.tflite").write_bytes(tiny_classifier())
    arguments = ("generate", "tiny.tflite", "--board", "netduinoplus2", "--out")
    run(installed, tmp_path, *arguments, "from-wheel")
    run(ROOT, tmp_path, *arguments, "from-checkout")
    wheel, checkout = tmp_path / "from-wheel", tmp_path / "from-checkout"
    assert files_below(wheel) == files_below(checkout)
    assert all((wheel / name).read_bytes() == (checkout / name).read_bytes() for name in files_below(wheel))


def test_it_knows_its_boards_and_recipes(installed, tmp_path):
    assert "netduinoplus2" in run(installed, tmp_path, "boards", "list")
    code = (
        "from mcu_ser.recipe import load_recipe; from mcu_ser import resources; "
        "print(load_recipe('synthetic').name, resources.boards_dir())"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert answer.stdout.strip() == f"synthetic {installed / 'mcu_ser' / '_data' / 'boards'}"


def test_pytest_finds_the_plugin(installed, tmp_path):
    answer = subprocess.run(
        [sys.executable, "-m", "pytest", "--fixtures", "-q", "-W", "error"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "mcu_ser_device [session scope]" in answer.stdout, answer.stderr
