# SPDX-License-Identifier: Apache-2.0
"""Building a sketch: the commands, and what becomes of what a tool says and leaves.

The tools are stand-ins on the PATH that note how they were called and leave a firmware that was linked here.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from mcu_ser.board import load_board, parse_board
from mcu_ser.cli.main import main
from mcu_ser.errors import BudgetError, BuildError, ToolMissingError
from mcu_ser.generate.project import Project, generate
from mcu_ser.toolchain import arduino, arduino_cli, platformio
from mcu_ser.toolchain.build import build, require_programs
from mcu_ser.toolchain.build_record import changed_since_build
from mcu_ser.toolchain.footprint import measure
from mcu_ser.toolchain.tool_run import build_environment
from tests.stm32_firmware import generate_tiny
from tests.tiny_model import tiny_classifier

BOARD = "arduino_nano_33_ble"
# As the core's own linker script has it: the heap is all that is left below the interrupt stack.
LINKER_SCRIPT = """
MEMORY { FLASH (rx) : ORIGIN = 0x10000, LENGTH = 0xf0000  RAM (rwx) : ORIGIN = 0x20000200, LENGTH = 0x3fe00 }
SECTIONS {
  .text : { *(.text* .rodata*) } > FLASH
  .data : { *(.data*) } > RAM AT> FLASH
  .bss : { *(.bss*) *(COMMON) } > RAM
  .heap (NOLOAD) : { . = ORIGIN(RAM) + LENGTH(RAM) - 0x400; } > RAM
  .stack (NOLOAD) : { . = ORIGIN(RAM) + LENGTH(RAM); } > RAM
  /DISCARD/ : { *(.note*) *(.eh_frame*) *(.comment) }
}
"""


def link(directory: Path, buffer_bytes: int) -> "subprocess.CompletedProcess[str]":
    """directory/sketch.elf with a zeroed buffer of that size."""
    gcc = shutil.which("gcc")
    if gcc is None:
        pytest.skip("gcc is not installed")
    directory.mkdir(exist_ok=True)
    (directory / "script.ld").write_text(LINKER_SCRIPT)
    code = f"char buffer[{buffer_bytes}]; int counted = 7; void _start(void) {{ buffer[counted] = 1; }}"
    (directory / "sketch.c").write_text(code)
    flags = ["-O0", "-nostdlib", "-static", "-fno-pie", "-no-pie", "-fno-stack-protector"]
    script = f"-Wl,-T,{directory / 'script.ld'},--build-id=none"
    command = [gcc, *flags, str(directory / "sketch.c"), script, "-o", str(directory / "sketch.elf")]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return generate_tiny(tmp_path, load_board(BOARD))


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that is the whole PATH but for the system's own programs; no home with tools in it."""
    directory = tmp_path / "tools"
    directory.mkdir()
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    if any(program.find() for program in (tool.program for tool in arduino.TOOLS)):
        pytest.skip("the system's own arduino-cli or pio is in the way")
    return directory


def put(directory: Path, name: str, script: str) -> None:
    path = directory / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def put_compiler(tools: Path, name: str, left: str, work: Path) -> None:
    """A tool that notes its call and leaves what was linked, and an image, as `left`."""
    done = link(work / "linked", 5000)
    assert done.returncode == 0, done.stderr
    note = f'{{ pwd; printf "%s\\n" "$@"; }} > {work}/called'
    leave = f"mkdir -p $(dirname {left}); cp {work}/linked/sketch.elf {left}; echo image > {left[:-4]}.bin"
    put(tools, name, f"{note}; {leave}")


def called(work: Path) -> list[str]:
    return (work / "called").read_text().splitlines()


def test_commands_are_what_a_user_would_type(project: Project) -> None:
    assert arduino_cli.compile_argv("arduino-cli", "nano33ble", ()) == [
        "arduino-cli",
        "compile",
        "--profile",
        "nano33ble",
        "--build-path",
        "build/arduino-cli",
        "--warnings",
        "default",
        "--no-color",
        "firmware",
    ]
    assert platformio.run_argv("pio", "nano33ble", ()) == ["pio", "run", "--environment", "nano33ble"]
    # What they name is what the project holds.
    assert (project.root / arduino_cli.SKETCH / f"{arduino_cli.SKETCH}.ino").is_file()
    ini = (project.root / "platformio.ini").read_text()
    assert f"\nworkspace_dir = {platformio.WORKSPACE}\n" in ini
    assert "\n[env:nano33ble]\n" in ini
    assert "\n  nano33ble:\n" in (project.root / "firmware" / "sketch.yaml").read_text()


@pytest.mark.parametrize(
    ("name", "left", "argv"),
    [
        ("arduino-cli", "build/arduino-cli/firmware.ino.elf", arduino_cli.compile_argv("", "nano33ble", ())),
        (
            "pio",
            "build/platformio/build/nano33ble/firmware.elf",
            platformio.run_argv("", "nano33ble", ()),
        ),
    ],
)
def test_sketch_is_built_with_the_tool_that_is_there(
    project: Project, tools: Path, tmp_path: Path, name: str, left: str, argv: list[str]
) -> None:
    put_compiler(tools, name, left, tmp_path)
    assert [program.command for program in require_programs(project.board)] == [name]
    result = build(project)
    assert called(tmp_path) == [str(project.root), *argv[1:]]
    assert result.elf == project.elf_path
    assert result.elf.read_bytes() == (tmp_path / "linked" / "sketch.elf").read_bytes()
    assert (project.build_dir / "firmware.bin").read_text() == "image\n"
    assert changed_since_build(project) == ()


def test_log_of_the_library_is_kept_off_the_port(tools: Path, tmp_path: Path) -> None:
    """It goes to Serial, which carries the protocol."""
    path = tmp_path / "model.tflite"
    path.write_bytes(tiny_classifier())
    project = generate(path, load_board(BOARD), "tflm", tmp_path / "tflm")
    put_compiler(tools, "arduino-cli", "build/arduino-cli/firmware.ino.elf", tmp_path)
    build(project)
    flag = "-DTF_LITE_STRIP_ERROR_STRINGS"
    argv = called(tmp_path)
    assert argv[argv.index("--build-property") + 1] == f"compiler.cpp.extra_flags={flag}"
    assert (
        f'--build-property "compiler.cpp.extra_flags={flag}" firmware\n'
        in (project.root / "README.md").read_text()
    )
    assert f"\nbuild_flags = {flag}\n" in (project.root / "platformio.ini").read_text()
    assert arduino_cli.compile_argv("x", "y", ("A", "B"))[8:10] == [
        "--build-property",
        "compiler.cpp.extra_flags=-DA -DB",
    ]


def test_first_build_says_that_it_takes_long(
    project: Project, tools: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_compiler(tools, "arduino-cli", "build/arduino-cli/firmware.ino.elf", tmp_path)
    note = f"note: a first build downloads the core and its compiler; {project.build_dir}/build.log tells"
    assert main(["build", str(project.root)]) == 0
    assert capsys.readouterr().out.startswith(note)
    assert main(["build", str(project.root)]) == 0
    assert note not in capsys.readouterr().out


def test_build_without_a_tool_promises_no_download(
    project: Project, tools: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del tools
    assert main(["build", str(project.root)]) == 3
    said = capsys.readouterr()
    assert (said.out, "neither arduino-cli nor pio was found" in said.err) == ("", True)


def test_arduino_cli_is_preferred(project: Project, tools: Path, tmp_path: Path) -> None:
    put(tools, "pio", "exit 1")
    put_compiler(tools, "arduino-cli", "build/arduino-cli/firmware.ino.elf", tmp_path)
    assert build(project).elf.is_file()


def test_heap_of_the_core_is_no_use_of_memory(tmp_path: Path) -> None:
    assert link(tmp_path, 5000).returncode == 0
    footprint = measure(tmp_path / "sketch.elf", load_board(BOARD))
    assert 5000 + 4 + 1024 <= footprint.ram_bytes < 5000 + 1024 + 64
    assert footprint.ram_limit_bytes == 262144


def test_no_tool_says_how_to_get_either(project: Project, tools: Path) -> None:
    del tools
    with pytest.raises(ToolMissingError) as caught:
        build(project)
    assert str(caught.value) == (
        "arduino_nano_33_ble: needs a program that builds Arduino sketches, and neither arduino-cli nor pio "
        f"was found; try: arduino-cli ({arduino.ARDUINO_CLI.install_command}), or "
        f"pio ({arduino.PLATFORMIO.install_command})"
    )
    assert not project.build_dir.exists()
    with pytest.raises(ToolMissingError, match="neither arduino-cli nor pio was found"):
        require_programs(project.board)


def test_board_that_platformio_does_not_know_needs_arduino_cli(project: Project, tools: Path) -> None:
    put(tools, "pio", "exit 0")
    text = project.board.yaml_text
    section = text[text.index("  platformio:") : text.index("  tflm_library:")]
    board = parse_board(text.replace(section, "  platformio: null\n"), Path("x.yaml"))
    with pytest.raises(ToolMissingError, match="needs arduino-cli, which was not found"):
        require_programs(board)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (
            "Used platform\nfirmware/src/a.c:3:1: error: unknown type\nError during build: exit status 1",
            "project: firmware/src/a.c:3:1: error: unknown type; try: see",
        ),
        (
            "Error initializing instance: Downloading index: no such host",
            "Error initializing instance: Downloading index: no such host",
        ),
        (
            "Processing nano33ble\nPlatform Manager: Installing nordicnrf52 @ 10.11.0\nHTTPClientError: ",
            "Platform Manager: Installing nordicnrf52 @ 10.11.0 HTTPClientError; try: see",
        ),
        ("UnknownPlatform: Unknown development platform 'x'", "UnknownPlatform: Unknown development"),
        ("only this", "arduino-cli ended with exit status 1: only this"),
    ],
)
def test_first_error_of_a_tool_is_told(project: Project, tools: Path, said: str, message: str) -> None:
    put(tools, "arduino-cli", f"cat <<'END'\n{said}\nEND\nexit 1")
    with pytest.raises(BuildError) as caught:
        build(project)
    assert message in str(caught.value)
    assert "exit status 1" not in str(caught.value) or said == "only this"
    assert not project.elf_path.exists()


def test_tool_that_leaves_nothing_is_an_error_and_no_old_firmware_stands_in(
    project: Project, tools: Path, tmp_path: Path
) -> None:
    put_compiler(tools, "arduino-cli", "build/arduino-cli/firmware.ino.elf", tmp_path)
    build(project)
    put(tools, "arduino-cli", "exit 0")
    with pytest.raises(
        BuildError, match=r"arduino-cli left no build/arduino-cli/firmware\.ino\.elf; try: see"
    ):
        build(project)
    assert not project.elf_path.exists()
    assert not (project.build_dir / "firmware.bin").exists()


def test_tool_that_hangs_is_stopped(project: Project, tools: Path) -> None:
    put(tools, "arduino-cli", "sleep 60")
    with pytest.raises(BuildError, match=r"arduino-cli compile .*: did not end in time, limit 0 s"):
        arduino.build(project, timeout_s=0.4)


def test_what_the_core_s_linker_script_says_of_too_much_ram_is_a_budget_error(
    project: Project, tools: Path, tmp_path: Path
) -> None:
    """The heap's end is fixed: the linker does not speak of an overflow, but of a step backwards."""
    failed = link(tmp_path / "too big", 300_000)
    assert failed.returncode != 0
    (tmp_path / "said").write_text(failed.stderr)
    put(tools, "arduino-cli", f"cat {tmp_path}/said; exit 1")
    with pytest.raises(BudgetError) as caught:
        build(project)
    # .data 4, .bss 300000 and alignment, against 0x3fe00 bytes of which the stack has 0x400.
    excess = 300_000 + 4 - (0x3FE00 - 0x400)
    text = str(caught.value)
    assert text.startswith("arduino_nano_33_ble: the firmware is ")
    assert text.endswith(
        "B too big for the RAM, limit 262144 B; try: a smaller model, or a board with more RAM"
    )
    assert excess <= int(text.split()[4]) < excess + 64


def test_settings_of_the_user_do_not_move_or_change_the_firmware() -> None:
    dropped = (
        "PLATFORMIO_BUILD_FLAGS",
        "PLATFORMIO_BUILD_DIR",
        "PLATFORMIO_SRC_DIR",
        "PLATFORMIO_WORKSPACE_DIR",
    )
    kept = {"PLATFORMIO_CORE_DIR": "/opt/pio", "ARDUINO_DIRECTORIES_DATA": "/opt/arduino", "PATH": "/bin"}
    assert build_environment({**kept, **dict.fromkeys(dropped, "x")}) == {**kept, "LC_ALL": "C"}
    assert "PLATFORMIO_BUILD_FLAGS" not in build_environment(os.environ)
