# SPDX-License-Identifier: Apache-2.0
"""Where a project is written: what is there already, and is the user's, stays."""

from pathlib import Path

import pytest

from mcu_ser.board import load_board
from mcu_ser.errors import ConfigError
from mcu_ser.generate.project import Project, generate


def test_project_is_replaced_by_a_new_one(tmp_path: Path, model: Path) -> None:
    out = tmp_path / "project"
    generate(model, load_board("host"), "aot", out)
    (out / "build").mkdir()
    (out / "build" / "firmware").write_text("old")
    (out / "build-sanitized").mkdir()
    (out / "build-sanitized" / "CMakeCache.txt").write_text("")
    generate(model, load_board("netduinoplus2"), "aot", out)
    assert Project.load(out).board.id == "netduinoplus2"
    assert not (out / "build").exists()


def test_empty_directory_is_used(tmp_path: Path, model: Path) -> None:
    (tmp_path / "project").mkdir()
    generate(model, load_board("host"), "aot", tmp_path / "project")
    assert Project.load(tmp_path / "project").board.id == "host"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("src/runtime/server.c", r"src/runtime/server\.c was changed since it was generated"),
        ("src/mine.c", r"src/mine\.c was not generated"),
        (".vscode/settings.json", r"\.vscode/settings\.json was not generated"),
        ("buildings.txt", r"buildings\.txt was not generated"),
        ("build-notes/day.txt", r"build-notes/day\.txt was not generated"),
    ],
)
def test_files_of_the_user_are_never_lost(tmp_path: Path, model: Path, name: str, message: str) -> None:
    out = tmp_path / "project"
    generate(model, load_board("host"), "aot", out)
    (out / name).parent.mkdir(exist_ok=True)
    (out / name).write_text("mine")
    with pytest.raises(ConfigError, match=message):
        generate(model, load_board("host"), "aot", out)
    assert (out / name).read_text() == "mine"


def test_other_directories_and_files_are_never_overwritten(tmp_path: Path, model: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter").write_text("years of work")
    with pytest.raises(ConfigError, match="is not empty and not a firmware project"):
        generate(model, load_board("host"), "aot", tmp_path / "thesis")
    assert (tmp_path / "thesis" / "chapter").read_text() == "years of work"
    with pytest.raises(ConfigError, match="is a file, not a directory"):
        generate(model, load_board("host"), "aot", model)


@pytest.mark.parametrize("out", [".", "..", "../../project"])
def test_directory_that_the_user_works_in_is_not_replaced(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    project = generate(model, load_board("host"), "aot", tmp_path / "project")
    monkeypatch.chdir(project.root / "src")
    with pytest.raises(ConfigError, match="is the current directory or holds it; try: another --out"):
        generate(model, load_board("host"), "aot", Path(out))
    assert Path.cwd() == project.root / "src"


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("my model.tflite/project", "cannot be written (a part of its path is a file); try: another place"),
        ("x" * 300, "cannot be read (File name too long); try: another --out"),
        ("x" * 250, "cannot be written (File name too long); try: another place"),
    ],
)
def test_directory_that_cannot_be_written_is_a_clear_error(
    tmp_path: Path, model: Path, out: str, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        generate(model, load_board("host"), "aot", tmp_path / out)
    assert message in str(caught.value)
