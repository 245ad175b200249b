# SPDX-License-Identifier: Apache-2.0
"""What the generator renders for a small model, byte for byte, as it was reviewed.

tests/golden/<board>/ (engine aot) and tests/golden/<board>-tflm/ hold every rendered file. Files that are
copied are compared with their source elsewhere; those that hold hashes of the whole project (build id,
manifest) change with every file of it, and have tests of their own. `pytest --update-golden` writes the
present output; review the difference.
"""

from pathlib import Path

import pytest

from mcu_ser.board import load_board
from mcu_ser.generate.project import generate

HERE = Path(__file__).parent
MODEL = HERE / "model.tflite"
RENDERED = {
    "netduinoplus2": (
        "CMakeLists.txt",
        "README.md",
        "cmake/arm-none-eabi.cmake",
        "firmware.ld",
        "src/port/board_config.h",
        "src/tflm/model_data.cpp",
        "src/tflm/model_data.h",
        "src/tflm/op_resolver.h",
        "src/tflm/tensor_arena.h",
    ),
    "netduinoplus2-tflm": (
        "CMakeLists.txt",
        "README.md",
        "cmake/arm-none-eabi.cmake",
        "src/model/op_resolver.h",
        "src/model/tensor_arena.h",
    ),
    # Several RAM regions, notes, and what each other family prints of its clock tree.
    "stm32f407g_disc1": ("README.md", "firmware.ld"),
    "nucleo_h743zi2": ("firmware.ld", "src/port/board_config.h"),
    "nucleo_l4r5zi": ("src/port/board_config.h",),
    "mps3_an547": ("README.md", "firmware.ld", "src/port/board_config.h"),
    "host": ("CMakeLists.txt", "README.md"),
    "arduino_nano_33_ble": ("README.md", "firmware/sketch.yaml", "platformio.ini"),
    "arduino_nano_33_ble-tflm": (
        "README.md",
        "firmware/sketch.yaml",
        "firmware/src/tflm_library.h",
        "platformio.ini",
    ),
}


@pytest.mark.parametrize("case", sorted(RENDERED))
def test_rendered_files_are_as_reviewed(case: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    board, _, engine = case.partition("-")
    project = generate(MODEL, load_board(board), engine or "aot", tmp_path / "project")
    names = sorted([*project.manifest.files, "project.json"])
    rendered = {name: (project.root / name).read_text() for name in RENDERED[case]}
    rendered["FILES"] = "".join(f"{name}\n" for name in names)
    if request.config.getoption("--update-golden"):
        for name, text in rendered.items():
            path = HERE / case / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    golden = {
        path.relative_to(HERE / case).as_posix(): path.read_text()
        for path in (HERE / case).rglob("*")
        if path.is_file()
    }
    assert rendered == golden
