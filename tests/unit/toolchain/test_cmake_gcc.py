# SPDX-License-Identifier: Apache-2.0
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mcu_ser.board import load_board
from mcu_ser.cli.main import main
from mcu_ser.errors import BudgetError, BuildError, ConfigError, ToolMissingError
from mcu_ser.generate.project import Project
from mcu_ser.toolchain.build_record import changed_since_build, require_fresh_build
from mcu_ser.toolchain.cmake_gcc import build, build_argv, configure_argv, required_programs
from mcu_ser.toolchain.tool_run import build_environment


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
        (
            "CMake Error at CMakeLists.txt:7 (add_executable):\n  Cannot find source file:\n\n    src/a.c\n\n"
            "-- later",
            "CMake Error at CMakeLists.txt:7 (add_executable): Cannot find source file: src/a.c; try",
        ),
        ("only this", "cmake ended with exit status 1: only this"),
        ("", "cmake ended with exit status 1: no output"),
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


def test_tool_that_a_signal_ends_is_told(
    stm32_project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_tools(tmp_path / "tools", monkeypatch, "")
    put_tool(tmp_path / "tools", "cmake", "kill -KILL $$")
    with pytest.raises(BuildError, match="cmake ended with signal SIGKILL: no output"):
        build(stm32_project)


def test_tool_that_is_no_program_is_a_missing_tool(
    stm32_project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_tools(tmp_path / "tools", monkeypatch, "")
    (tmp_path / "tools" / "cmake").write_bytes(b"\x00 no program")
    monkeypatch.setenv("PATH", str(tmp_path / "tools"))
    with pytest.raises(ToolMissingError, match=r"cmake: cannot be started \(Exec format error\)"):
        build(stm32_project)


def old_build(project: Project) -> list[Path]:
    """What an earlier build left."""
    project.build_dir.mkdir()
    names = (project.elf_path.name, "firmware.bin", "firmware.hex", "inputs.json")
    paths = [project.build_dir / name for name in names]
    for path in paths:
        path.write_text("{}")
    return paths


def test_firmware_of_an_earlier_build_does_not_survive_one_that_fails(
    stm32_project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = old_build(stm32_project)
    fake_tools(tmp_path / "tools", monkeypatch, "")
    put_tool(tmp_path / "tools", "cmake", f"touch {stm32_project.elf_path}; sleep 60")
    with pytest.raises(BuildError, match="did not end in time"):
        build(stm32_project, timeout_s=0.4)
    assert not [path for path in old if path.exists()]


def test_firmware_of_an_earlier_build_does_not_survive_a_missing_tool(
    stm32_project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = old_build(stm32_project)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissingError):
        build(stm32_project)
    assert not [path for path in old if path.exists()]


def test_what_was_edited_since_the_build_is_named(host_project: Project) -> None:
    assert changed_since_build(host_project) == ("build/inputs.json",)
    build(host_project)
    assert changed_since_build(host_project) == ()
    source = host_project.root / "src" / "runtime" / "crc32.c"
    source.write_text(source.read_text() + "\n")
    presets = host_project.root / "CMakePresets.json"
    kept = presets.read_text()
    presets.unlink()
    assert changed_since_build(host_project) == ("CMakePresets.json", "src/runtime/crc32.c")
    presets.write_text(kept)
    build(host_project)
    assert changed_since_build(host_project) == ()
    (host_project.root / "README.md").write_text("no build reads this")
    assert changed_since_build(host_project) == ()
    for damage in ("{", "[]"):
        (host_project.build_dir / "inputs.json").write_text(damage)
        assert changed_since_build(host_project) == ("build/inputs.json",)


def test_a_build_without_mcu_ser_is_called_so(host_project: Project) -> None:
    with pytest.raises(ConfigError, match=r"is not built; try: mcu-ser build"):
        require_fresh_build(host_project)
    for arguments in (["--preset", "firmware"], ["--build", "--preset", "firmware"]):
        subprocess.run(["cmake", *arguments], cwd=host_project.root, check=True, capture_output=True)
    with pytest.raises(ConfigError) as refused:
        require_fresh_build(host_project)
    assert str(refused.value) == (
        f"{host_project.root}: its firmware was not built by `mcu-ser build`, which records what it was "
        f"built from; try: mcu-ser build {host_project.root}"
    )
    assert main(["build", str(host_project.root)]) == 0
    require_fresh_build(host_project)
    assert "takes a firmware that `mcu-ser build` built" in (host_project.root / "README.md").read_text()


def test_edit_while_the_build_runs_counts_as_a_later_one(
    host_project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cmake = shutil.which("cmake")
    edit = f"case $1 in --build) echo >> {host_project.root}/CMakeLists.txt;; esac"
    put_tool(tmp_path / "tools", "cmake", f'{cmake} "$@" && {edit}')
    monkeypatch.setenv("PATH", f"{tmp_path / 'tools'}:{os.environ['PATH']}")
    build(host_project)
    assert changed_since_build(host_project) == ("CMakeLists.txt",)


def test_build_directory_that_is_a_file_is_a_clear_error(host_project: Project) -> None:
    host_project.build_dir.write_text("mine")
    with pytest.raises(ConfigError, match=r"cannot be written \(Not a directory\); try: remove or rename it"):
        build(host_project)
    assert host_project.build_dir.read_text() == "mine"


def test_link_to_the_build_of_another_place_is_not_emptied(host_project: Project, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "CMakeCache.txt").write_text("CMAKE_HOME_DIRECTORY:INTERNAL=/another/place\n")
    host_project.build_dir.symlink_to(elsewhere)
    with pytest.raises(BuildError, match=r"was made under another path .*; try: remove it yourself"):
        build(host_project)
    assert (elsewhere / "CMakeCache.txt").is_file()


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
    assert ends_soon(int((tmp_path / "child").read_text()))


def ends_soon(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    for _ in range(50):
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_termination_stops_the_compilers_too(
    stm32_project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    old = old_build(stm32_project)
    fake_tools(tmp_path / "tools", monkeypatch, "")
    # Moved into place whole: the test must not read a name without a number.
    script = f"sleep 60 & echo $! > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/child; wait"
    put_tool(tmp_path / "tools", "cmake", script)
    program = (
        "import sys; from pathlib import Path; from mcu_ser.generate.project import Project;"
        "from mcu_ser.toolchain.cmake_gcc import build; build(Project.load(Path(sys.argv[1])))"
    )
    building = subprocess.Popen([sys.executable, "-c", program, stm32_project.root])
    try:
        child = tmp_path / "child"
        while not child.exists():
            assert building.poll() is None
            time.sleep(0.05)
        building.send_signal(number)
        assert building.wait(20) == 128 + number
    finally:
        building.kill()
        building.wait()
    assert ends_soon(int(child.read_text()))
    assert not [path for path in old if path.exists()]


def test_messages_are_english_whatever_the_user_speaks(
    stm32_project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_tools(tmp_path / "tools", monkeypatch, "")
    put_tool(tmp_path / "tools", "cmake", 'echo "locale $LC_ALL"; exit 1')
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    with pytest.raises(BuildError, match="locale C;"):
        build(stm32_project)


def test_flags_of_the_user_do_not_reach_the_firmware() -> None:
    dropped = (
        *("CC", "CXX", "CFLAGS", "CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "COMPILER_PATH"),
        *("LIBRARY_PATH", "LD_RUN_PATH", "GCC_EXEC_PREFIX", "GCC_COLORS", "CLICOLOR_FORCE"),
        *("CMAKE_TOOLCHAIN_FILE", "CMAKE_GENERATOR", "CMAKE_BUILD_TYPE", "CMAKE_PREFIX_PATH"),
    )
    inherited = {"PATH": "/usr/bin", "LC_ALL": "de_DE", **dict.fromkeys(dropped, "x")}
    assert build_environment(inherited) == {"PATH": "/usr/bin", "LC_ALL": "C"}
