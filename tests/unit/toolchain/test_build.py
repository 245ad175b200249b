# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from mcu_ser.board import load_board
from mcu_ser.errors import ConfigError
from mcu_ser.generate.project import generate
from mcu_ser.tflm.library import TflmLibrary
from mcu_ser.toolchain.build import build
from tests.tiny_model import tiny_classifier


@pytest.mark.parametrize(
    ("board", "engine", "reason"),
    [
        ("netduinoplus2", "aot", "is of engine aot"),
        ("arduino_nano_33_ble", "aot", "is of engine aot"),
        ("arduino_nano_33_ble", "tflm", "takes the library that its sketch.yaml pins"),
    ],
)
def test_a_library_that_is_not_linked_is_refused(
    tmp_path: Path, board: str, engine: str, reason: str
) -> None:
    model = tmp_path / "tiny.tflite"
    model.write_bytes(tiny_classifier())
    project = generate(model, load_board(board), engine, tmp_path / "project")
    message = rf"project: {reason}, and links no TFLite-Micro tree; try: no --tflm-root$"
    with pytest.raises(ConfigError, match=message):
        build(project, TflmLibrary(root=tmp_path))
