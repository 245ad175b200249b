# SPDX-License-Identifier: Apache-2.0
"""The sketch that traces layers, compiled as Arduino's tools do: without an include path into src/."""

from pathlib import Path

import pytest

from mcu_ser.board import load_board
from mcu_ser.generate.project import generate
from tests.arduino_firmware import BOARD, compile_sketch, require_arduino_tools
from tests.layered_model import layered_model

pytestmark = pytest.mark.emulator


def test_a_sketch_that_traces_layers_compiles(tmp_path: Path) -> None:
    require_arduino_tools()
    model = tmp_path / "model.tflite"
    model.write_bytes(layered_model())
    project = generate(model, load_board(BOARD), "aot", tmp_path / "project", layers=True)
    elf = tmp_path / "build" / "firmware.elf"
    compile_sketch(project.root / "firmware", elf)
    assert elf.is_file()
