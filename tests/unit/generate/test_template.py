# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest
import yaml

from mcu_ser.board import load_board
from mcu_ser.errors import ConfigError
from mcu_ser.generate.jinja_env import render
from mcu_ser.generate.template import Context, load_template
from mcu_ser.resources import firmware_templates_dir


def context() -> Context:
    return Context(
        tool_version="9.9",
        board=load_board("host"),
        engine="aot",
        baud=115200,
        model_sha256="ab",
        sources=("a.c", "b.c"),
        include_dirs=(),
        stm32=None,
    )


def write_template(directory: Path, files: str) -> Path:
    (directory / "template.yaml").write_text(f"executable: firmware\nfiles: {files}\n")
    return directory


def test_unknown_name_in_a_template_is_an_error() -> None:
    with pytest.raises(ConfigError, match="template x: 'nothing' is undefined"):
        render("{{ nothing }}", {}, "x")


def test_malformed_template_is_an_error() -> None:
    with pytest.raises(ConfigError, match="template x: "):
        render("{% for %}", {}, "x")


def test_blocks_leave_no_blank_lines_and_the_last_newline_stays() -> None:
    assert (
        render("a\n{% for x in xs %}\n  {{ x }}\n{% endfor %}\nb\n", {"xs": [1, 2]}, "x")
        == "a\n  1\n  2\nb\n"
    )


def test_files_are_copied_or_rendered(tmp_path: Path) -> None:
    (tmp_path / "plain.c").write_bytes(b"{{ engine }}\r\n")
    (tmp_path / "aot.txt.j2").write_text("{% for s in sources %}{{ s }};{% endfor %}{{ tool_version }}")
    template = load_template(
        write_template(
            tmp_path,
            "[{from: plain.c, to: src/plain.c}, "
            "{from: '{{ engine }}.txt.j2', to: '{{ board.id }}.txt', render: true}]",
        )
    )
    content = {file.target: file.content(context()) for file in template.resolve(context())}
    assert content == {"src/plain.c": b"{{ engine }}\r\n", "host.txt": b"a.c;b.c;9.9"}
    assert template.executable == "firmware"


def test_absent_file_is_named(tmp_path: Path) -> None:
    template = load_template(write_template(tmp_path, "[{from: gone.c, to: gone.c}]"))
    with pytest.raises(ConfigError, match=r"template gone\.c: cannot be read \(No such file or directory\)"):
        template.resolve(context())[0].content(context())


@pytest.mark.parametrize("target", ["/etc/passwd", "../x", "a/../../x", "''"])
def test_no_file_leaves_the_project(tmp_path: Path, target: str) -> None:
    template = load_template(write_template(tmp_path, f"[{{from: a, to: {target}}}]"))
    with pytest.raises(ConfigError, match="leaves the project"):
        template.resolve(context())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("executable: firmware\n", "must have the keys executable and files"),
        ("executable: firmware\nfiles: []\nmore: 1\n", "must have the keys executable and files"),
        ("executable: 1\nfiles: []\n", "executable must be a name and files a list"),
        ("executable: a\nfiles: b\n", "executable must be a name and files a list"),
        ("executable: a\nfiles: [b]\n", r"files: 'b' is not \{from, to, render, if\}"),
        ("executable: a\nfiles: [{from: b}]\n", "is not {from, to, render, if}"),
        ("executable: a\nfiles: [{from: b, to: c, rendr: true}]\n", "is not {from, to, render, if}"),
        ("executable: a\nfiles: [{from: b, to: c, if: weather}]\n", "'weather' is no value of the context"),
        ("executable: a\nfiles: [{from: b, to: c, render: 'yes'}]\n", "is not {from, to, render, if}"),
        ("executable: a\nfiles: []\nomit: main.c\n", "omit must be a list of files of the runtime"),
        ("executable: a\nfiles: []\nomit: [1]\n", "omit must be a list of files of the runtime"),
        ("executable: a\nfiles: []\nbase: ../else\n", "base: '../else' is not a directory beside this one"),
        ("executable: a\nfiles: []\nbase: 1\n", "base: 1 is not a directory beside this one"),
        ("executable: a\nfiles: []\nbase: gone\n", "platform 'gone': has no firmware template"),
        ("executable: [", "is not YAML"),
    ],
)
def test_wrong_template_yaml_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "template.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_template(tmp_path)


def test_files_of_the_base_come_first_and_from_its_directory(tmp_path: Path) -> None:
    for name in ("base", "mine"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.c").write_text(name)
    write_template(tmp_path / "base", "[{from: a.c, to: base.c}]")
    template = load_template(write_template(tmp_path / "mine", "[{from: a.c, to: mine.c}]\nbase: base"))
    content = {file.target: file.content(context()) for file in template.resolve(context())}
    assert list(content.items()) == [("base.c", b"base"), ("mine.c", b"mine")]


def test_platform_without_template_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="platform 'arduino': has no firmware template in this version"):
        load_template(tmp_path / "arduino")


@pytest.mark.parametrize("platform", ["arduino", "cortex_m", "stm32", "mps", "host"])
def test_every_file_of_a_platform_is_in_its_template(platform: str) -> None:
    """A file that no project gets is dead; drivers of other families are chosen by name."""
    directory = firmware_templates_dir() / platform
    text = (directory / "template.yaml").read_text()
    entries = yaml.safe_load(text)["files"]
    named = {entry["from"] for entry in entries if "{{" not in entry["from"]}
    chosen = ("clock_", "uart_", "registers_")
    for path in directory.iterdir():
        assert path.name == "template.yaml" or path.name in named or path.name.startswith(chosen), path.name
        # What is rendered says so by its name, so that no template is ever copied as it is.
        rendered = [entry.get("render", False) for entry in entries if entry["from"] == path.name]
        assert rendered in ([], [path.suffix == ".j2"])
