# SPDX-License-Identifier: Apache-2.0
"""What the generator renders for a small model, byte for byte, as it was reviewed.

tests/golden/<board>/ holds the model and every rendered file. Files that are copied are compared with their
source elsewhere; those that hold hashes of the whole project (build id, manifest) change with every file of
it, and have tests of their own. `pytest --update-golden` writes the present output; review the difference.
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
        "src/tflm/model_data.cc",
        "src/tflm/model_data.h",
        "src/tflm/op_resolver.h",
    ),
    "host": ("CMakeLists.txt", "README.md"),
}


@pytest.mark.parametrize("board", sorted(RENDERED))
def test_rendered_files_are_as_reviewed(board: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    project = generate(MODEL, load_board(board), "aot", tmp_path / "project")
    names = sorted([*project.manifest.files, "project.json"])
    rendered = {name: (project.root / name).read_text() for name in RENDERED[board]}
    rendered["FILES"] = "".join(f"{name}\n" for name in names)
    if request.config.getoption("--update-golden"):
        for name, text in rendered.items():
            path = HERE / board / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    golden = {
        path.relative_to(HERE / board).as_posix(): path.read_text()
        for path in (HERE / board).rglob("*")
        if path.is_file()
    }
    assert rendered == golden
