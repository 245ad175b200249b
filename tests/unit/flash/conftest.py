# SPDX-License-Identifier: Apache-2.0
"""A project built for the board on the desk, and the desk."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mcu_ser.board import load_board
from mcu_ser.generate.project import Project, generate
from mcu_ser.toolchain.build import build
from tests.native_firmware import TestModel, build_native_firmware
from tests.stm32_firmware import require_tools
from tests.tiny_model import tiny_classifier
from tests.unit.flash.desk import ARDUINO_FLASH, Desk, desk_board
from tests.unit.flash.nano_on_pty import NanoOnPty


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A built project of the board on the desk."""
    require_tools(load_board("host"))
    directory = tmp_path_factory.mktemp("built")
    model = directory / "tiny.tflite"
    model.write_bytes(tiny_classifier())
    project = generate(model, desk_board(), "aot", directory / "my project")
    build(project)
    return project


@pytest.fixture(scope="session")
def old_firmware(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A firmware with another build id."""
    return build_native_firmware(tmp_path_factory.mktemp("old"), TestModel(), sanitize=False)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    desk = Desk.set_up(tmp_path / "desk")
    desk.install("openocd")
    monkeypatch.setenv("PATH", desk.path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    yield desk
    desk.clear()


@pytest.fixture
def nano(desk: Desk) -> Iterator[NanoOnPty]:
    board = NanoOnPty(desk)
    desk.install("bossac", "identifyChip")
    yield board
    board.close()


@pytest.fixture
def arduino(built: Project) -> Project:
    board = desk_board(ARDUINO_FLASH, "usb_ids: [[0x2341, 0x805A]]", touch=True)
    return Project(built.root, board, built.manifest)


@pytest.fixture
def with_ids(built: Project) -> Project:
    """The project with a board that has an ST-LINK."""
    board = desk_board(serial="usb_ids: [[0x0483, 0x374B]]")
    return Project(built.root, board, built.manifest)
