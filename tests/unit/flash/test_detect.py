# SPDX-License-Identifier: Apache-2.0
"""`mcu-ser boards detect`, with made-up ports of which one leads to a firmware that answers."""

import json
import os
import pty
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcu_ser.board import list_boards
from mcu_ser.cli.main import main
from mcu_ser.device.host_process import HostProcess
from mcu_ser.errors import LinkError
from mcu_ser.flash import detect as detection
from mcu_ser.flash import running
from mcu_ser.flash import touch as touching
from mcu_ser.flash.detect import detect
from mcu_ser.flash.ports import PortRecord
from mcu_ser.flash.running import ask
from tests.native_firmware import TestModel, build_native_firmware

ADAPTER = PortRecord("/dev/ttyUSB0", (0x0403, 0x6001), "", "FT232R", "1-4")
NANO_LOADER = PortRecord("/dev/ttyACM3", (0x2341, 0x005A), "", "Arduino Nano 33 BLE", "1-3")
NUCLEOS = ("nucleo_f401re", "nucleo_f411re", "nucleo_f446re")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a running firmware."""
    model = TestModel(board="nucleo_f446re")
    program = build_native_firmware(tmp_path_factory.mktemp("native"), model, sanitize=False)
    with HostProcess(program) as device:
        yield device.url


@pytest.fixture
def silent() -> Iterator[str]:
    """A port at which nobody answers, but that takes what is sent."""
    ours, theirs = pty.openpty()
    name = os.ttyname(theirs)

    def drain() -> None:
        try:
            while os.read(ours, 1024):
                pass
        except OSError:
            pass

    thread = threading.Thread(target=drain, daemon=True)
    thread.start()
    yield name
    os.close(theirs)
    thread.join(2)
    os.close(ours)


def st_link(device: str) -> PortRecord:
    return PortRecord(device, (0x0483, 0x374B), "066DFF51", "STM32 STLink", "1-1")


def test_a_firmware_says_which_board_it_runs_on(url: str) -> None:
    (found,) = detect(list_boards(), baud=115200, list_ports=lambda: [st_link(url)])
    assert set(NUCLEOS) <= set(found.boards)
    assert not any(board.startswith("arduino") for board in found.boards)
    assert found.hello is not None
    assert (found.hello.board_id, found.hello.build_id) == ("nucleo_f446re", "cd" * 16)
    assert found.problem is None


def test_a_board_with_another_firmware_is_silent(silent: str) -> None:
    (found,) = detect(list_boards(), baud=115200, list_ports=lambda: [st_link(silent)], give_up_s=0.3)
    assert found.hello is None
    assert found.problem == "is silent: nothing received in 0.3 s"


def test_a_port_that_may_not_be_opened_says_what_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    device = "/dev/ttyNobodys"
    with pytest.raises(LinkError, match=r"^/dev/ttyNobodys: cannot be opened"):
        ask(device, 115200, 0.3)
    problem = ("this user may not open it", "sudo usermod -aG dialout $USER, then log in again")
    monkeypatch.setattr(running, "access_problem", lambda url: problem)
    monkeypatch.setattr(touching, "access_problem", lambda url: problem)
    for attempt in (lambda: ask(device, 115200, 0.3), lambda: touching.touch(device)):
        with pytest.raises(LinkError) as caught:
            attempt()
        assert str(caught.value) == f"{device}: {problem[0]}; try: {problem[1]}"


def test_only_ports_of_known_boards_are_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(detection, "ask", lambda url, baud, give_up_s: asked.append(url))
    ports = [ADAPTER, NANO_LOADER, PortRecord("/dev/ttyS0"), st_link("/dev/ttyACM0")]
    found = detect(list_boards(), baud=115200, list_ports=lambda: ports)
    assert asked == ["/dev/ttyACM0"]
    assert [entry.in_boot_loader for entry in found] == [False, True, False, False]
    assert found[1].boards == ("arduino_nano_33_ble", "arduino_nano_33_ble_sense")
    assert found[0].boards == found[2].boards == ()
    detect(list_boards(), baud=115200, list_ports=lambda: ports, asking=False)
    assert asked == ["/dev/ttyACM0"]


@pytest.fixture
def ports(monkeypatch: pytest.MonkeyPatch) -> list[PortRecord]:
    """The ports that the command sees."""
    records: list[PortRecord] = []
    monkeypatch.setitem(detection.detect.__kwdefaults__, "list_ports", lambda: records)
    return records


def test_the_command_is_honest_about_st_links(
    ports: list[PortRecord], url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ports += [ADAPTER, NANO_LOADER, st_link(url)]
    assert main(["boards", "detect"]) == 0
    text = capsys.readouterr().out
    assert "/dev/ttyUSB0 (0403:6001, FT232R)\n    no known board\n" in text
    assert "may be: arduino_nano_33_ble, arduino_nano_33_ble_sense\n    waits in its boot loader\n" in text
    assert f"    runs mcu-ser's firmware for nucleo_f446re: engine aot, build {'cd' * 16}\n" in text
    assert "do not tell" not in text
    assert text.endswith(f"next: mcu-ser flash PROJECT --port {url}\n")
    assert main(["boards", "detect", "--no-ask"]) == 0
    text = capsys.readouterr().out
    assert "    not asked\nthe USB ids of an ST-LINK do not tell the board that it is on" in text
    assert text.endswith("next: mcu-ser flash PROJECT --port PORT\n")


def test_the_command_as_json(ports: list[PortRecord], url: str, capsys: pytest.CaptureFixture[str]) -> None:
    ports += [ADAPTER, st_link(url)]
    assert main(["boards", "detect", "--json"]) == 0
    adapter, board = json.loads(capsys.readouterr().out)
    assert adapter == {
        "boards": [],
        "firmware": None,
        "in_boot_loader": False,
        "port": "/dev/ttyUSB0",
        "problem": None,
        "product": "FT232R",
        "serial_number": "",
        "usb_id": [0x0403, 0x6001],
    }
    assert board["firmware"]["board"] == "nucleo_f446re"
    assert board["firmware"]["model_sha256"] == "ab" * 32
    assert board["serial_number"] == "066DFF51"


def test_a_silent_port_is_told_with_its_reason(
    ports: list[PortRecord], silent: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(detection.detect.__kwdefaults__, "give_up_s", 0.3)
    ports += [st_link(silent)]
    assert main(["boards", "detect"]) == 0
    text = capsys.readouterr().out
    assert "    no firmware of mcu-ser answers (is silent: nothing received in 0.3 s)\n" in text
    assert "the USB ids of an ST-LINK do not tell the board that it is on" in text


def test_no_port_at_all(ports: list[PortRecord], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["boards", "detect"]) == 0
    assert capsys.readouterr().out == (
        "no serial port\nnext: mcu-ser generate MODEL.tflite --board netduinoplus2 --out PROJECT\n"
    )


def test_a_port_of_no_known_board_is_not_to_be_flashed(
    ports: list[PortRecord], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ports += [ADAPTER]
    assert main(["boards", "detect"]) == 0
    assert (
        "next: mcu-ser generate MODEL.tflite --board netduinoplus2 --out PROJECT" in capsys.readouterr().out
    )
    text = next(board for board in list_boards() if board.id == "nucleo_f446re").yaml_text
    (tmp_path / "nucleo_f446re.yaml").write_text(text)
    assert main(["boards", "detect", "--boards-dir", str(tmp_path)]) == 0
    assert "generate" not in (said := capsys.readouterr().out)
    assert said.endswith("next: mcu-ser boards list\n")


@pytest.mark.parametrize("baud", ["1200", "-1", "fast"])
def test_no_board_is_asked_at_the_rate_that_restarts_it(
    baud: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["boards", "detect", f"--baud={baud}"])
    assert stop.value.code == 2
    assert "is no rate of at least 9600 baud" in capsys.readouterr().err


def test_boards_of_the_user_are_detected_too(
    ports: list[PortRecord], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = next(board for board in list_boards() if board.id == "nucleo_f446re").yaml_text
    mine = text.replace("id: nucleo_f446re", "id: mine").replace("[0x0483, 0x374B]", "[0x1234, 0x5678]")
    (tmp_path / "mine.yaml").write_text(mine)
    ports += [PortRecord("/dev/ttyACM0", (0x1234, 0x5678))]
    assert main(["boards", "detect", "--no-ask", "--json", "--boards-dir", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out)[0]["boards"] == ["mine"]
