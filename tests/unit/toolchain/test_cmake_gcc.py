# SPDX-License-Identifier: Apache-2.0
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from mcu_ser.board import load_board
from mcu_ser.errors import BudgetError, BuildError, ToolMissingError
from mcu_ser.generate.project import Project
from mcu_ser.toolchain.cmake_gcc import (
    build,
    build_argv,
    build_environment,
    configure_argv,
    required_programs,
)
from tests.stm32_firmware import generate_tiny, require_tools


@pytest.fixture
def host_project(tmp_path: Path) -> Project:
    board = load_board("host")
    require_tools(board)
    return generate_tiny(tmp_path, board)


@pytest.fixture
def stm32_project(tmp_path: Path) -> Project:
    return generate_tiny(tmp_path, load_board("netduinoplus2"))


def put_tool(directory: Path, name: str, script: str) -> None:
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_commands_are_what_a_user_would_type() -> None:
    assert configure_argv() == ["cmake", "--preset", "firmware"]
    assert configure_argv({"FIRMWARE_OPTIMIZATION": "-Os"}) == [
        "cmake",
        "--preset",
        "firmware",
        "-DFIRMWARE_OPTIMIZATION=-Os",
    ]
    assert build_argv() == ["cmake", "--build", "--preset", "firmware"]


def test_programs_of_a_board() -> None:
    names = {
        board: [p.command for p in required_programs(load_board(board))]
        for board in ("host", "netduinoplus2")
    }
    assert names == {
        "host": ["cmake", "ninja", "gcc"],
        "netduinoplus2": ["cmake", "ninja", "arm-none-eabi-gcc"],
    }


@pytest.mark.parametrize(
    ("present", "missing", "command"),
    [
        ((), "cmake", "apt-get install cmake"),
        (("cmake",), "ninja", "apt-get install ninja-build"),
        (
            ("cmake", "ninja"),
            "arm-none-eabi-gcc",
            "apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi",
        ),
    ],
)
def test_missing_tool_is_named_with_its_install_command(
    stm32_project: Project,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    present: tuple[str, ...],
    missing: str,
    command: str,
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in present:
        put_tool(tools, name, "exit 1")
    monkeypatch.setenv("PATH", str(tools))
    with pytest.raises(ToolMissingError) as caught:
        build(stm32_project)
    assert str(caught.value).startswith(f"{missing}: not found on the PATH")
    assert str(caught.value).endswith(f"try: {command}")
    assert not stm32_project.build_dir.exists()


def fake_tools(directory: Path, monkeypatch: pytest.MonkeyPatch, output: str, code: int = 1) -> None:
    """Tools of which CMake says `output` and fails."""
    for name in ("ninja", "arm-none-eabi-gcc"):
        put_tool(directory, name, "exit 1")
    put_tool(directory, "cmake", f"cat <<'END'\n{output}\nEND\nexit {code}")
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (
            "noise\nsrc/a.c:3:1: error: unknown type\nsrc/b.c:1:1: error: later",
            "src/a.c:3:1: error: unknown type",
        ),
        (
            "ld: a.o: undefined reference to `sin'\ncollect2: error: ld returned 1",
            "undefined reference to `sin'",
        ),
        ("CMake Error at CMakeLists.txt:7 (project):\n  no", "CMake Error at CMakeLists.txt:7 (project):"),
        ("only this", "only this"),
        ("", "no output"),
    ],
)
def test_first_error_of_a_failed_build_is_told(
    stm32_project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, message: str
) -> None:
    fake_tools(tmp_path / "tools", monkeypatch, output)
    with pytest.raises(BuildError) as caught:
        build(stm32_project)
    assert message in str(caught.value)
    assert "later" not in str(caught.value)
    log = stm32_project.build_dir / "build.log"
    assert f"try: see {log}" in str(caught.value)
    assert log.read_text().strip() == output


def test_error_of_an_earlier_build_is_forgotten(
    stm32_project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for said in ("a.c:1:1: error: first", "a.c:2:1: error: second"):
        fake_tools(tmp_path / "tools", monkeypatch, said)
        with pytest.raises(BuildError, match=said):
            build(stm32_project)


def test_path_of_the_project_is_left_out_of_the_error(
    stm32_project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_tools(tmp_path / "tools", monkeypatch, f"{stm32_project.root}/src/a.c:3:1: error: no")
    with pytest.raises(BuildError, match=r"project: src/a\.c:3:1: error: no"):
        build(stm32_project)


@pytest.mark.parametrize(("region", "kind", "limit"), [("FLASH", "flash", 1048576), ("RAM", "RAM", 131072)])
def test_overflow_that_the_linker_reports_is_a_budget_error(
    stm32_project: Project,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    region: str,
    kind: str,
    limit: int,
) -> None:
    said = f"ld: section `.x' will not fit\nld: region `{region}' overflowed by 4711 bytes\nerror: ld"
    fake_tools(tmp_path / "tools", monkeypatch, said)
    with pytest.raises(BudgetError) as caught:
        build(stm32_project)
    assert str(caught.value).startswith(f"netduinoplus2: the firmware is 4711 B too big for the {kind}")
    assert f"limit {limit} B" in str(caught.value)


def test_overflow_of_a_region_the_board_does_not_have_is_a_build_error(
    stm32_project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_tools(tmp_path / "tools", monkeypatch, "ld: region `CCM' overflowed by 4 bytes")
    with pytest.raises(BuildError, match="region `CCM' overflowed by 4 bytes"):
        build(stm32_project)


@pytest.mark.parametrize(
    "said",
    [
        "arm-none-eabi-gcc: fatal error: cannot read spec file 'nano.specs': No such file or directory",
        "src/frame.c:4:10: fatal error: string.h: No such file or directory",
    ],
)
def test_compiler_without_its_library_names_the_package(
    stm32_project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    fake_tools(tmp_path / "tools", monkeypatch, said)
    with pytest.raises(ToolMissingError, match="libnewlib-arm-none-eabi"):
        build(stm32_project)


def test_tool_that_hangs_is_stopped_with_its_children(
    stm32_project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_tools(tmp_path / "tools", monkeypatch, "")
    put_tool(tmp_path / "tools", "cmake", f"sleep 60 & echo $! > {tmp_path}/child; wait")
    start = time.monotonic()
    with pytest.raises(BuildError, match=r"cmake --preset firmware: did not end in time, limit 0 s"):
        build(stm32_project, timeout_s=0.4)
    assert time.monotonic() - start < 10
    child = int((tmp_path / "child").read_text())
    state = Path(f"/proc/{child}/stat")
    for _ in range(50):
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.05)
    pytest.fail("the tool's child outlived it")


def test_messages_are_english_whatever_the_user_speaks(
    stm32_project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_tools(tmp_path / "tools", monkeypatch, "")
    put_tool(tmp_path / "tools", "cmake", 'echo "locale $LC_ALL"; exit 1')
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    with pytest.raises(BuildError, match="locale C;"):
        build(stm32_project)


def test_flags_of_the_user_do_not_reach_the_firmware() -> None:
    inherited = {"PATH": "/usr/bin", "CFLAGS": "-march=native", "CPATH": "/usr/include", "LC_ALL": "de_DE"}
    assert build_environment(inherited) == {"PATH": "/usr/bin", "LC_ALL": "C"}


def test_native_firmware_is_built_and_rebuilt(host_project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CFLAGS", "-no-such-flag")
    first = build(host_project)
    assert first.elf == host_project.elf_path
    assert os.access(first.elf, os.X_OK)
    content = first.elf.read_bytes()
    assert first.footprint.flash_bytes > 1000
    assert build(host_project).elf.read_bytes() == content
    assert b"error" not in first.log.read_bytes()


def test_moved_project_is_built_anew(host_project: Project, tmp_path: Path) -> None:
    content = build(host_project).elf.read_bytes()
    moved = tmp_path / "moved to träume (1)"
    shutil.move(host_project.root, moved)
    result = build(Project.load(moved))
    assert result.elf.read_bytes() == content, "the program does not depend on where it was built"


def test_real_compile_error_is_told_and_leaves_no_old_firmware(host_project: Project) -> None:
    host_project.build_dir.mkdir()
    host_project.elf_path.write_text("older firmware")
    source = host_project.root / "src" / "runtime" / "crc32.c"
    source.write_text(source.read_text() + "\nint unfinished(\n")
    with pytest.raises(BuildError, match=r"src/runtime/crc32\.c:\d+:\d+: error: "):
        build(host_project)
    assert not host_project.elf_path.exists()


def test_warning_stops_the_build(host_project: Project) -> None:
    source = host_project.root / "src" / "runtime" / "crc32.c"
    source.write_text(source.read_text() + "\nstatic int unused;\n")
    with pytest.raises(BuildError, match=r"unused.*-Werror"):
        build(host_project)


def test_build_command_of_the_readme_works_by_itself(host_project: Project) -> None:
    for argv in (configure_argv(), build_argv()):
        subprocess.run(argv, cwd=host_project.root, check=True, capture_output=True, timeout=120)
    assert host_project.elf_path.is_file()
    readme = (host_project.root / "README.md").read_text()
    assert " ".join(configure_argv()) in readme
    assert " ".join(build_argv()) in readme
