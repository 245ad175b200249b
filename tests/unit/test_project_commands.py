# SPDX-License-Identifier: Apache-2.0
"""boards, generate and build as a user calls them."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from mcu_ser.board import list_boards, load_board, parse_board
from mcu_ser.cli.main import main
from mcu_ser.generate.project import Project
from tests.stm32_firmware import require_tools
from tests.tiny_model import tiny_classifier


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.tflite"
    path.write_bytes(tiny_classifier())
    return path


def document(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_boards_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["boards", "list"]) == 0
    text = capsys.readouterr().out
    assert "netduinoplus2" in text
    assert "168 MHz" in text
    (row,) = [line for line in text.splitlines() if "stm32f407g_disc1" in line]
    assert "128 + 64 KB" in row
    assert all(f" {board.id} " in text for board in list_boards()), "no id is cut off"
    assert "next: mcu-ser boards show" in text
    assert main(["boards", "list", "--json"]) == 0
    boards = {board["id"]: board for board in document(capsys)}
    assert list(boards) == [board.id for board in list_boards()]
    assert boards["netduinoplus2"]["memory"][0]["bytes"] == 1048576


def test_one_board_is_shown_as_its_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["boards", "show", "netduinoplus2"]) == 0
    text = capsys.readouterr().out
    assert load_board("netduinoplus2").yaml_text in text
    copied = parse_board(text, Path("copy.yaml"))
    assert copied.model_dump() == load_board("netduinoplus2").model_dump(), "what is printed is a board file"
    assert main(["boards", "show", "netduinoplus2", "--json"]) == 0
    shown = document(capsys)
    assert shown["build"]["uart"]["irq"] == 37
    assert shown["status"]["level"] == "emulated"


def test_boards_of_the_user(tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = load_board("netduinoplus2").yaml_text.replace("id: netduinoplus2", "id: mine")
    (tmp_path / "boards").mkdir()
    (tmp_path / "boards" / "mine.yaml").write_text(text)
    option = ["--boards-dir", str(tmp_path / "boards")]
    assert main(["boards", "list", "--json", *option]) == 0
    assert [board["id"] for board in document(capsys)] == ["mine"]
    out = tmp_path / "project"
    assert main(["generate", str(model), "--board", "mine", "--out", str(out), *option]) == 0
    assert (out / "board.yaml").read_text() == text


def test_wrong_board_is_one_line_and_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["boards", "show", "nucleo"]) == 2
    known = ", ".join(board.id for board in list_boards())
    assert capsys.readouterr().err == (
        f"mcu-ser: error: board 'nucleo': is not in mcu-ser; try: one of {known}\n"
    )


def test_generate_names_what_it_wrote_and_what_comes_next(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "project"
    assert main(["generate", str(model), "--board", "netduinoplus2", "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert f"wrote {out}\nnext: mcu-ser build {out}\n" in text
    assert main(["generate", str(model), "--board", "netduinoplus2", "--out", str(out), "--json"]) == 0
    answer = document(capsys)
    assert (answer["board"], answer["engine"], answer["project"]) == ("netduinoplus2", "aot", str(out))
    assert len(answer["build_id"]) == 32


def test_generate_with_engine_tflm_exits_with_2(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "generate",
        str(model),
        "--board",
        "host",
        "--engine",
        "tflm",
        "--out",
        str(tmp_path / "out"),
    ]
    assert main(arguments) == 2
    assert "engine 'tflm': does not exist on host; try: --engine aot" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_build_shows_flash_and_ram(tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    require_tools(load_board("host"))
    out = tmp_path / "project"
    assert main(["generate", str(model), "--board", "host", "--out", str(out)]) == 0
    (out / "README.md").write_text("my notes")
    assert main(["build", str(out)]) == 0
    text = capsys.readouterr().out
    assert "note: changed since it was generated: README.md" in text
    assert f"wrote {out / 'build' / 'firmware'}" in text
    assert f"next: mcu-ser verify {out} --samples" in text
    assert main(["build", str(out), "--json"]) == 0
    answer = document(capsys)
    assert answer["flash_bytes"] > 0
    assert answer["ram_bytes"] > 0
    assert answer["changed_files"] == ["README.md"]
    assert {section["name"] for section in answer["sections"]} >= {".text", ".bss"}


def test_build_of_what_is_no_project_exits_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", str(tmp_path)]) == 2
    assert "is not a firmware project" in capsys.readouterr().err


def test_build_without_tools_exits_with_3(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "project"
    assert main(["generate", str(model), "--board", "netduinoplus2", "--out", str(out)]) == 0
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("cmake") is None
    assert main(["build", str(out)]) == 3
    assert "apt-get install cmake" in capsys.readouterr().err


def test_bit_rate_goes_into_firmware_and_manifest(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "project"
    options = ["--board", "nucleo_l476rg", "--out", str(out)]
    assert main(["generate", str(model), *options, "--baud", "921600"]) == 0
    assert Project.load(out).baud == 921600
    header = (out / "src" / "port" / "board_config.h").read_text()
    assert "#define BOARD_UART_BAUD 921600u\n" in header
    # MSI at 4 MHz, to which the chip falls back, is too slow for that.
    assert "#define BOARD_UART_RESET_BAUD 115200u" in header
    assert "921600 bit/s" in (out / "README.md").read_text()
    capsys.readouterr()
    assert main(["generate", str(model), *options, "--baud", "1000000"]) == 2
    assert "limit 9600 to 921600 bit/s" in capsys.readouterr().err
