# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from mcu_ser.board import load_board
from mcu_ser.generate.project import Project
from tests.stm32_firmware import generate_tiny, require_tools


@pytest.fixture
def host_project(tmp_path: Path) -> Project:
    board = load_board("host")
    require_tools(board)
    return generate_tiny(tmp_path, board)


@pytest.fixture
def stm32_project(tmp_path: Path) -> Project:
    return generate_tiny(tmp_path, load_board("netduinoplus2"))
