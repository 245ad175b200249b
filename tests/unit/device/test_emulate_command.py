# SPDX-License-Identifier: Apache-2.0
"""`mcu-ser emulate`, and which device a project runs on."""

import dataclasses
import json
import re
import time

import pytest

from mcu_ser.board import load_board, parse_board
from mcu_ser.cli.main import main
from mcu_ser.device.device import AttachedPort
from mcu_ser.device.emulator import QemuEmulator
from mcu_ser.device.host_process import HostProcess
from mcu_ser.device.start import open_device, open_emulated
from mcu_ser.errors import ConfigError, DeviceError
from mcu_ser.flash.ports import PortRecord
from tests.stm32_firmware import generate_tiny


@pytest.fixture
def host_project(tmp_path):
    return generate_tiny(tmp_path, load_board("host"))


@pytest.fixture
def stm32_project(tmp_path):
    return generate_tiny(tmp_path, load_board("netduinoplus2"))


def put_firmware(project, script):
    """A shell script where the build would leave the program."""
    project.elf_path.parent.mkdir()
    project.elf_path.write_text(f"#!/bin/sh\n{script}\n")
    project.elf_path.chmod(0o755)


def without_emulator(project, tmp_path):
    text = load_board("netduinoplus2").yaml_text
    text = re.sub(r"emulator:\n(  .*\n)+", "emulator: null\n", text)
    return dataclasses.replace(project, board=parse_board(text, tmp_path / "netduinoplus2.yaml"))


def test_the_url_is_printed_and_the_device_stopped_in_the_end(host_project, capsys):
    put_firmware(host_project, 'echo "listening 127.0.0.1:4001"; exec sleep 60')
    started = time.monotonic()
    assert main(["emulate", str(host_project.root), "--seconds", "0.3"]) == 0
    assert 0.3 <= time.monotonic() - started < 10
    assert capsys.readouterr().out.splitlines() == [
        "host runs at socket://127.0.0.1:4001; Ctrl-C stops it",
        f"next: mcu-ser verify {host_project.root} --port socket://127.0.0.1:4001 --random 50 --out REPORT",
        "host stopped",
    ]


def test_json(host_project, capsys):
    put_firmware(host_project, 'echo "listening 127.0.0.1:4001"; exec sleep 60')
    assert main(["emulate", str(host_project.root), "--seconds", "0.1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"board": "host", "url": "socket://127.0.0.1:4001"}


def test_ctrl_c_ends_it_well(host_project, capsys, monkeypatch):
    def interrupt(device, seconds):
        raise KeyboardInterrupt

    put_firmware(host_project, 'echo "listening 127.0.0.1:4001"; exec sleep 60')
    monkeypatch.setattr("mcu_ser.cli.emulate._watch", interrupt)
    assert main(["emulate", str(host_project.root)]) == 0
    assert capsys.readouterr().out.endswith("host stopped\n")


def test_a_device_that_dies_ends_it_with_an_error(host_project, capsys):
    put_firmware(host_project, 'echo "listening 127.0.0.1:4001"; echo "bad day" >&2; exit 7')
    assert main(["emulate", str(host_project.root)]) == 4
    assert "the firmware ended (exit status 7): bad day" in capsys.readouterr().err


@pytest.mark.parametrize("board", ["host", "netduinoplus2"])
def test_a_project_that_is_not_built(tmp_path, capsys, board):
    root = generate_tiny(tmp_path, load_board(board)).root
    assert main(["emulate", str(root)]) == 2
    assert capsys.readouterr().err == (
        f"mcu-ser: error: {root}: has no firmware yet; try: mcu-ser build {root}\n"
    )


def test_a_directory_that_is_no_project(tmp_path, capsys):
    assert main(["emulate", str(tmp_path)]) == 2
    assert str(tmp_path) in capsys.readouterr().err


@pytest.mark.parametrize("text", ["0", "-1", "inf", "nan", "soon"])
def test_a_time_that_is_none(capsys, text):
    with pytest.raises(SystemExit) as caught:
        main(["emulate", "PROJECT", f"--seconds={text}"])
    assert caught.value.code == 2
    assert f"'{text}' is not a positive number" in capsys.readouterr().err


def test_a_given_port_is_taken_and_nothing_started(stm32_project):
    device = open_device(stm32_project, "/dev/ttyACM7")
    assert isinstance(device, AttachedPort)
    assert (device.url, device.baud) == ("/dev/ttyACM7", 115200)


def test_the_port_of_a_real_board_is_found_by_its_usb_ids(host_project, monkeypatch):
    board = load_board("nucleo_f446re")
    project = dataclasses.replace(host_project, board=board)
    ports = [PortRecord("/dev/ttyS0"), PortRecord("/dev/ttyACM3", (0x0483, 0x374B), "066DFF51")]
    monkeypatch.setattr("mcu_ser.flash.ports.list_ports", lambda: ports)
    device = open_device(project)
    assert isinstance(device, AttachedPort)
    assert device.url == "/dev/ttyACM3"
    monkeypatch.setattr("mcu_ser.flash.ports.list_ports", lambda: ports[:1])
    with pytest.raises(DeviceError, match=r"^nucleo_f446re: no port has its USB ids \(0483:374b\)"):
        open_device(project)


def test_without_a_port_the_boards_emulator_is_chosen(stm32_project, tmp_path):
    put_firmware(stm32_project, "")
    assert isinstance(open_device(stm32_project), QemuEmulator)


def test_without_a_port_the_host_platform_is_a_process(host_project):
    put_firmware(host_project, "")
    assert isinstance(open_device(host_project), HostProcess)


def test_a_real_board_needs_a_port(stm32_project, tmp_path):
    project = without_emulator(stm32_project, tmp_path)
    with pytest.raises(ConfigError, match=r"^netduinoplus2: its serial port has no USB ids of its own"):
        open_device(project)
    with pytest.raises(ConfigError, match=r"^netduinoplus2: has no emulator"):
        open_emulated(project)
