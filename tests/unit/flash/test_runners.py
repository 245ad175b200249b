# SPDX-License-Identifier: Apache-2.0
"""The command line of every runner for every board, and what each runner makes of its tool's answers."""

import shlex
from pathlib import Path

import pytest

from mcu_ser import programs
from mcu_ser.board import Board, list_boards
from mcu_ser.board.flash_tools import FlashRunners
from mcu_ser.errors import ConfigError, FlashError, ToolMissingError
from mcu_ser.flash.choice import choose_runner, shown_runner
from mcu_ser.flash.runner import FlashJob
from mcu_ser.flash.table import RUNNERS

BOARDS = {board.id: board for board in list_boards()}
PROJECT = Path("/projects/my project")
PROBE = "066DFF51"

EXPECTED = {
    (board, runner): argv
    for board, runner, *argv in (
        shlex.split(line)
        for line in (Path(__file__).parent / "commands.txt").read_text().splitlines()
        if not line.startswith("#")
    )
}


def job(board_id: str, **fields: str) -> FlashJob:
    return FlashJob(BOARDS[board_id], PROJECT, PROJECT / "build" / "firmware.elf", **fields)


def fake_tool(directory: Path, name: str, text: str = "") -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def empty_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory that is the whole PATH, and a home directory without tools."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", str(directory))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(programs, "package_manager", lambda: "apt")
    monkeypatch.setattr("mcu_ser.flash.mass_storage.mounted_volumes", lambda: ())
    return directory


def test_runners_and_board_files_know_the_same_names() -> None:
    assert set(RUNNERS) == set(FlashRunners.model_fields)
    assert all(runner.name == name for name, runner in RUNNERS.items())


def test_the_table_has_every_runner_of_every_board() -> None:
    pairs = {(board.id, name) for board in BOARDS.values() if board.flash for name in board.flash.names}
    assert pairs == set(EXPECTED)


@pytest.mark.parametrize(("board_id", "name"), EXPECTED, ids=map("-".join, EXPECTED))
def test_command_line(board_id: str, name: str) -> None:
    runner = RUNNERS[name]
    fields = {"port": "/dev/ttyACM1"} if runner.needs_port else {"probe": PROBE}
    shown = job(board_id, **fields)
    assert runner.argv(runner.shown(shown), shown) == EXPECTED[board_id, name]


@pytest.mark.parametrize(("board_id", "name"), EXPECTED, ids=map("-".join, EXPECTED))
def test_without_a_probe_the_only_one_is_taken(board_id: str, name: str) -> None:
    runner = RUNNERS[name]
    if runner.needs_port:
        assert "PORT" in shlex.join(runner.argv("tool", job(board_id)))
        return
    with_probe = runner.argv("tool", job(board_id, probe=PROBE))
    without = runner.argv("tool", job(board_id))
    assert PROBE not in shlex.join(without)
    shortened = [
        with_probe[:start] + with_probe[start + count :]
        for start in range(len(with_probe))
        for count in range(3)
    ]
    assert without in shortened


@pytest.mark.parametrize("name", RUNNERS)
def test_file_names_in_commands_need_no_quoting(name: str) -> None:
    board_id = next(board for board, runner in EXPECTED if runner == name)
    runner = RUNNERS[name]
    assert not any("my project" in word for word in runner.argv("tool", job(board_id)))
    assert str(runner.directory(job(board_id))).startswith(str(PROJECT))


def test_a_runner_that_does_not_serve_the_board_says_which_do() -> None:
    with pytest.raises(ConfigError) as caught:
        RUNNERS["pyocd"].argv("pyocd", job("netduinoplus2"))
    assert str(caught.value) == "netduinoplus2: cannot be flashed with pyocd; try: one of dfu_util"
    with pytest.raises(
        ConfigError, match=r"^host: cannot be flashed with openocd; try: mcu-ser boards list$"
    ):
        RUNNERS["openocd"].argv("openocd", job("host"))


# --- which runner -----------------------------------------------------------------------------------------


def test_the_default_is_taken_if_it_is_installed(empty_path: Path) -> None:
    for name in ("openocd", "st-flash", "pyocd"):
        fake_tool(empty_path, name)
    runner, program = choose_runner(job("nucleo_f446re"))
    assert (runner.name, program) == ("openocd", "openocd")


def test_else_the_first_that_is_installed(empty_path: Path) -> None:
    for name in ("pyocd", "st-flash"):
        fake_tool(empty_path, name)
    assert choose_runner(job("nucleo_f446re"))[0].name == "stflash"
    assert choose_runner(job("nucleo_f446re"), "pyocd")[0].name == "pyocd"


def test_a_nano_needs_no_probe_while_its_cable_is_enough(empty_path: Path) -> None:
    for name in ("openocd", "pio"):
        fake_tool(empty_path, name)
    assert choose_runner(job("arduino_nano_33_ble"))[0].name == "platformio"


def test_a_nano_is_not_flashed_through_a_probe_unasked(empty_path: Path) -> None:
    """Hardly anybody has one wired to it, and the bossac that is there looks like the right tool."""
    for name in ("openocd", "bossac"):
        fake_tool(empty_path, name)
    with pytest.raises(ToolMissingError) as caught:
        choose_runner(job("arduino_nano_33_ble"))
    assert str(caught.value) == (
        "arduino_nano_33_ble: no tool that flashes it is here; "
        "try: bossac: Arduino's fork: arduino-cli core install arduino:mbed_nano; "
        "or arduino_cli: https://arduino.github.io/arduino-cli/latest/installation/; "
        "or platformio: pip install platformio; "
        "or --runner openocd with a debug probe, wired to the board"
    )
    assert shown_runner(job("arduino_nano_33_ble"))[0].name == "bossac"
    assert choose_runner(job("arduino_nano_33_ble"), "openocd")[0].name == "openocd"


@pytest.mark.parametrize("board", [board for board in BOARDS.values() if board.flash], ids=lambda b: b.id)
def test_a_probe_is_taken_unasked_only_where_the_board_carries_one(board: Board, empty_path: Path) -> None:
    fake_tool(empty_path, "openocd")
    if board.serial.touch_1200bps or board.id == "netduinoplus2":
        with pytest.raises(ToolMissingError):
            choose_runner(job(board.id))
    else:
        assert choose_runner(job(board.id))[0].name == "openocd"


def test_a_named_runner_that_is_not_installed_is_not_replaced(empty_path: Path) -> None:
    fake_tool(empty_path, "openocd")
    with pytest.raises(ToolMissingError, match=r"try: apt-get install stlink-tools$"):
        choose_runner(job("nucleo_f446re"), "stflash")


def test_without_any_tool_every_way_to_get_one_is_told(empty_path: Path) -> None:
    with pytest.raises(ToolMissingError) as caught:
        choose_runner(job("nucleo_f446re"))
    assert str(caught.value) == (
        "nucleo_f446re: no tool that flashes it is here; try: openocd: apt-get install openocd; "
        "or stflash: apt-get install stlink-tools; "
        "or stm32_programmer_cli: https://www.st.com/en/development-tools/stm32cubeprog.html; "
        "or mass_storage: opening the board's drive in the file manager, or mount it; "
        "or pyocd: pip install pyocd"
    )


@pytest.mark.parametrize("name", ["bossac", "jlink"])
def test_an_unknown_runner_is_refused_with_those_there_are(empty_path: Path, name: str) -> None:
    for choose in (choose_runner, shown_runner):
        with pytest.raises(ConfigError) as caught:
            choose(job("nucleo_f446re"), name)
        assert str(caught.value) == (
            f"nucleo_f446re: cannot be flashed with '{name}'; try: "
            "--runner openocd or stflash or stm32_programmer_cli or mass_storage or pyocd"
        )


@pytest.mark.parametrize("board_id", [board.id for board in BOARDS.values() if board.flash is None])
def test_what_is_not_flashed_is_verified(board_id: str) -> None:
    with pytest.raises(ConfigError) as caught:
        choose_runner(job(board_id))
    assert str(caught.value) == (
        f"{board_id}: is not flashed: it is an emulator or this computer; "
        "try: mcu-ser verify '/projects/my project' --random 50 --out REPORT"
    )


def test_what_is_only_shown_needs_no_tool(empty_path: Path) -> None:
    runner, program = shown_runner(job("nucleo_f446re"))
    assert (runner.name, program) == ("openocd", "openocd")
    assert shown_runner(job("nucleo_f446re"), "mass_storage")[1] == "PATH_OF_NODE_F446RE"


def test_a_tool_off_the_path_is_called_by_its_path(empty_path: Path, tmp_path: Path) -> None:
    vendor = tmp_path / "home" / "STMicroelectronics" / "STM32Cube" / "STM32CubeProgrammer" / "bin"
    path = fake_tool(vendor, "STM32_Programmer_CLI")
    runner, program = choose_runner(job("nucleo_f446re"))
    assert (runner.name, program) == ("stm32_programmer_cli", str(path))


# --- bossac: which of its two families is installed -------------------------------------------------------


def test_debians_bossac_is_refused_with_the_remedy(empty_path: Path) -> None:
    path = fake_tool(empty_path, "bossac", "# Version 1.9.1")
    with pytest.raises(ToolMissingError) as caught:
        choose_runner(job("arduino_nano_33_ble"), "bossac")
    assert str(caught.value) == (
        f"{path}: cannot flash an nRF52840: it is not Arduino's fork of bossac, nor is Debian's package; "
        "try: Arduino's fork: arduino-cli core install arduino:mbed_nano"
    )


def test_arduinos_bossac_is_found_where_its_core_leaves_it(empty_path: Path, tmp_path: Path) -> None:
    fake_tool(empty_path, "bossac", "# Version 1.9.1")
    tools = tmp_path / "home" / ".arduino15" / "packages" / "arduino" / "tools" / "bossac"
    for version in ("1.9.1-arduino2", "1.9.1-arduino10", "1.7.0-arduino3"):
        fake_tool(tools / version, "bossac", "# identifyChip" if version.startswith("1.9") else "")
    _, program = choose_runner(job("arduino_nano_33_ble"), "bossac")
    assert program == str(tools / "1.9.1-arduino10" / "bossac")


def test_the_bossac_of_a_build_profile_is_found_too(empty_path: Path, tmp_path: Path) -> None:
    profile = tmp_path / "home" / ".arduino15" / "internal" / "arduino_bossac_1.9.1-arduino2_0a1b2c3d4e5f6071"
    path = fake_tool(profile, "bossac", "# identifyChip")
    assert choose_runner(job("arduino_nano_33_ble"))[1] == str(path)


def test_a_missing_bossac_is_named_like_any_tool(empty_path: Path) -> None:
    with pytest.raises(ToolMissingError, match=r"^bossac: not found on the PATH; it flashes Arduino boards"):
        choose_runner(job("arduino_nano_33_ble"), "bossac")


def test_the_upstream_bossac_of_this_machine_is_recognised() -> None:
    """Debian's package, where it is installed."""
    path = Path("/usr/bin/bossac")
    if not path.is_file():
        pytest.skip("bossa-cli is not installed")
    from mcu_ser.flash.bossac import _is_fork

    assert not _is_fork(path)


# --- what the tools answer; the texts are theirs ----------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("openocd", "Error: open failed"),
        ("openocd", "** Programming Failed **"),
        ("openocd", "** Unable to reset target **"),
        ("stflash", "2026-11-22T21:34:53 WARN usb.c: Couldn't find any ST-Link devices"),
        ("stflash", "2026-11-22T21:34:53 ERROR common.c: Flash memory is write protected"),
        ("stm32_programmer_cli", "Error: No STM32 target found!"),
        ("dfu_util", "dfu-util: No DFU capable USB device available"),
        ("pyocd", "0000976 E No target device available [load_cmd]"),
        ("pyocd", "No connected debug probes"),
        ("bossac", "No device found on ttyACM77"),
        ("bossac", "Device unsupported"),
        ("bossac", "SAM-BA operation failed"),
        ("arduino_cli", "Error during Upload: uploading error: exit status 1"),
        ("platformio", "*** [upload] Error 1"),
    ],
)
def test_the_line_that_tells_the_reason(name: str, line: str) -> None:
    assert RUNNERS[name].error_line.search(line)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("openocd", "Info : clock speed 2000 kHz"),
        ("openocd", "** Programming Started **"),
        ("dfu_util", "dfu-util: Warning: Invalid DFU suffix signature"),
        ("dfu_util", "dfu-util: A valid DFU suffix will be required in a future dfu-util release"),
        ("pyocd", "0000977 I Loading firmware.hex [load_cmd]"),
        ("bossac", "Erase flash"),
        ("stflash", "2026-11-22T21:34:53 INFO common.c: Flash written and verified! jolly good!"),
    ],
)
def test_lines_that_tell_no_reason(name: str, line: str) -> None:
    assert not RUNNERS[name].error_line.search(line)


@pytest.mark.parametrize(
    ("board_id", "name", "log", "remedy"),
    [
        ("nucleo_f446re", "openocd", "Error: libusb_open() failed with LIBUSB_ERROR_ACCESS", "udev rules"),
        ("nucleo_f446re", "openocd", "Error: open failed", "--probe if there are several"),
        ("nucleo_f446re", "stflash", "WARN usb.c: Couldn't find any ST-Link devices", "a USB cable"),
        (
            "nucleo_f446re",
            "pyocd",
            "0001 C Target type stm32f446retx not recognized.",
            "pyocd pack install stm32",
        ),
        ("nucleo_f446re", "openocd", "Error: Can't find board/st_nucleo_f4.cfg", "OpenOCD 0.12 or newer"),
        ("netduinoplus2", "dfu_util", "dfu-util: No DFU capable USB device available", "BOOT0 high"),
        ("arduino_nano_33_ble", "bossac", "Device unsupported", "Arduino's fork of bossac: arduino-cli core"),
        ("arduino_nano_33_ble", "bossac", "No device found on ttyACM0", "reset button twice quickly"),
    ],
)
def test_known_failures_have_a_remedy(board_id: str, name: str, log: str, remedy: str) -> None:
    found = RUNNERS[name].remedy(log, job(board_id))
    assert found is not None
    assert remedy in found


def test_unknown_failures_have_none() -> None:
    assert (
        RUNNERS["openocd"].remedy("Error: timed out while waiting for target halted", job("netduinoplus2"))
        is None
    )


def test_dfu_util_may_miss_the_last_answer_of_a_boot_loader_that_has_started_the_firmware() -> None:
    runner = RUNNERS["dfu_util"]
    done = "Download done.\nFile downloaded successfully\ndfu-util: Error during download get_status\n"
    assert runner.succeeded(0, done)
    assert runner.succeeded(74, done)
    assert not runner.succeeded(74, "dfu-util: No DFU capable USB device available\n")
    assert not runner.succeeded(1, done)


def test_a_tool_that_never_ends_is_ended(tmp_path: Path, empty_path: Path) -> None:
    fake_tool(empty_path, "dfu-util", "while :; do :; done")
    elf = tmp_path / "firmware.elf"
    elf.touch()
    hung = FlashJob(BOARDS["netduinoplus2"], tmp_path, elf)
    with pytest.raises(FlashError) as caught:
        RUNNERS["dfu_util"].execute("dfu-util", hung, tmp_path / "flash.log", 0.3)
    assert str(caught.value) == (
        f"netduinoplus2: dfu_util did not end in time, limit 0 s; try: see {tmp_path / 'flash.log'}"
    )
