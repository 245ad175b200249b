# SPDX-License-Identifier: Apache-2.0
"""`mcu-ser doctor` on computers that have this tool or that."""

import json
from pathlib import Path
from typing import Any

import pytest

from mcu_ser import programs
from mcu_ser.board import list_boards
from mcu_ser.cli.main import main
from mcu_ser.programs import FLASH_PROGRAMS, PROGRAMS

# What the tools answer when they are asked for their version: stream, exit status and text are theirs.
ANSWERS = {
    "arm-none-eabi-gcc": ("echo 'arm-none-eabi-gcc (15:12.2.rel1-1) 12.2.1 20221205'", "12.2.1"),
    "gcc": ("echo 'gcc (Debian 12.2.0-14) 12.2.0'", "12.2.0"),
    "cmake": ("echo 'cmake version 3.25.1'", "3.25.1"),
    "ninja": ("echo 1.11.1", "1.11.1"),
    "qemu-system-arm": ("echo 'QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)'", "7.2.22"),
    "openocd": ("echo 'Open On-Chip Debugger 0.12.0' >&2", "0.12.0"),
    "st-flash": ("echo v1.7.0", "1.7.0"),
    "STM32_Programmer_CLI": (
        "echo '   -------\n      STM32CubeProgrammer v2.20.0\n   -------\n'",
        "2.20.0",
    ),
    "dfu-util": ("echo 'dfu-util 0.11\n\nCopyright 2005-2009 Weston Schmidt'", "0.11"),
    "pyocd": ("echo 0.46.0", "0.46.0"),
    "bossac": (
        "echo 'Basic Open Source SAM-BA Application (BOSSA) Version 1.9.1'; exit 1 # identifyChip",
        "1.9.1",
    ),
    "arduino-cli": ("[ $1 = version ] && echo 'arduino-cli  Version: 1.3.1 Commit: 1234 Date: x'", "1.3.1"),
    "pio": ("echo 'PlatformIO Core, version 6.1.18'", "6.1.18"),
}


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts programs that answer as the real ones into the only directory of the PATH."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", str(directory))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(programs, "package_manager", lambda: "apt")

    def put(*names: str, **scripts: str) -> None:
        for name in names:
            scripts[name] = ANSWERS[name][0]
        for name, script in scripts.items():
            (directory / name).write_text(f"#!/bin/sh\n{script}\n")
            (directory / name).chmod(0o755)

    return put


def doctor(capsys: pytest.CaptureFixture[str], code: int) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Tools by name, what is out of reach, and the text for people."""
    assert main(["doctor", "--json"]) == code
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    return {row["name"]: row for row in document["tools"]}, document["out_of_reach"], captured.err


def test_every_tool_tells_its_version_in_its_own_way(
    install: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    install(*ANSWERS)
    tools, out_of_reach, text = doctor(capsys, 0)
    assert {name: tools[name]["version"] for name in ANSWERS} == {
        name: version for name, (_, version) in ANSWERS.items()
    }
    assert all(tools[name]["problem"] is None for name in ANSWERS)
    assert out_of_reach == {"build": [], "flash": []}
    assert "nothing missing that builds or emulates" in text
    assert "to install" not in text


@pytest.mark.parametrize(
    ("absent", "command"),
    [
        ("tensorflow", "mcu-ser inspect MODEL.tflite --board all"),
        ("transformers", "mcu-ser run --out demo-run"),
        (None, "mcu-ser run --out demo-run"),
    ],
)
def test_what_comes_next_works_with_the_packages_that_are_there(
    install: Any,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    absent: str | None,
    command: str,
) -> None:
    def versions(extra: str) -> dict[str, str | None]:
        return {name: None if name == absent else "1.0" for name in programs.PACKAGES[extra]}

    monkeypatch.setattr(programs, "package_versions", versions)
    install(*ANSWERS)
    assert f"nothing missing that builds or emulates; next: {command}\n" in doctor(capsys, 0)[2]


def test_flash_and_arduino_tools_are_optional(install: Any, capsys: pytest.CaptureFixture[str]) -> None:
    install(*(program.command for program in PROGRAMS))
    tools, out_of_reach, text = doctor(capsys, 0)
    assert tools["openocd"]["problem"] == "missing"
    assert not any(tools[program.command]["required"] for program in FLASH_PROGRAMS)
    assert "to install openocd: apt-get install openocd\n" in text
    assert "to install pyocd: pip install pyocd\n" in text
    arduino = [board.id for board in list_boards() if board.platform == "arduino"]
    assert out_of_reach["build"] == arduino
    assert out_of_reach["flash"] == [board.id for board in list_boards() if board.flash is not None]
    assert f"no tool here to build: {', '.join(arduino)}\n" in text


@pytest.mark.parametrize("missing", [program.command for program in PROGRAMS])
def test_what_builds_and_emulates_is_not(
    install: Any, capsys: pytest.CaptureFixture[str], missing: str
) -> None:
    install(*(name for name in ANSWERS if name != missing))
    tools, out_of_reach, text = doctor(capsys, 3)
    assert tools[missing]["required"]
    assert f"1 missing or broken; next: {tools[missing]['install']}\n" in text
    builds = {"arm-none-eabi-gcc": "netduinoplus2", "gcc": "host", "cmake": "host", "ninja": "host"}
    assert missing not in builds or builds[missing] in out_of_reach["build"]


def test_one_flash_tool_is_enough_for_a_board(install: Any, capsys: pytest.CaptureFixture[str]) -> None:
    install(*(program.command for program in PROGRAMS), "st-flash", "pio")
    _, out_of_reach, _ = doctor(capsys, 0)
    assert out_of_reach["build"] == []
    # PlatformIO uploads too; the boot loader of the Netduino needs dfu-util.
    assert out_of_reach["flash"] == ["netduinoplus2"]


def test_tools_name_the_boards_that_they_serve(install: Any, capsys: pytest.CaptureFixture[str]) -> None:
    install(*ANSWERS)
    tools, _, _ = doctor(capsys, 0)
    assert tools["dfu-util"]["boards"] == ["netduinoplus2"]
    assert tools["bossac"]["boards"] == tools["arduino-cli"]["boards"] == tools["pio"]["boards"]
    assert tools["gcc"]["boards"] == ["host"]
    assert "netduinoplus2" in tools["qemu-system-arm"]["boards"]
    assert "nucleo_f446re" in tools["openocd"]["boards"]
    assert "host" not in tools["openocd"]["boards"]


def test_debians_bossac_is_of_no_use(install: Any, capsys: pytest.CaptureFixture[str]) -> None:
    install(*(name for name in ANSWERS if name != "bossac"), bossac="echo 'BOSSA Version 1.9.1'; exit 1")
    tools, _, text = doctor(capsys, 0)
    assert tools["bossac"]["problem"] == (
        "broken: cannot flash an nRF52840: it is not Arduino's fork of bossac, nor is Debian's package"
    )
    assert "to install bossac: arduino-cli core install arduino:mbed_nano\n" in text


def test_a_broken_flash_tool_is_no_failure(install: Any, capsys: pytest.CaptureFixture[str]) -> None:
    install(*(name for name in ANSWERS if name != "openocd"), openocd="exit 127")
    tools, _, _ = doctor(capsys, 0)
    assert tools["openocd"]["problem"] == "broken: ends with status 127 when asked for its version"


def test_slow_tools_are_asked_side_by_side(
    install: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each tool answers only when all of them have been asked."""
    monkeypatch.setattr(programs, "VERSION_TIMEOUT_S", 30.0)
    asked = tmp_path / "asked"
    asked.mkdir()
    wait = f": > {asked}/$$; while set -- {asked}/*; [ $# -lt {len(ANSWERS)} ]; do :; done; set -- version; "
    install(**{name: wait + script for name, (script, _) in ANSWERS.items()})
    tools, _, _ = doctor(capsys, 0)
    assert tools["pio"]["version"] == "6.1.18"


def test_the_table_for_people(install: Any, capsys: pytest.CaptureFixture[str]) -> None:
    install(*ANSWERS)
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert "openocd (optional)" in text
    assert "0.12.0" in text
