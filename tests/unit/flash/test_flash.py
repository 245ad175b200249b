# SPDX-License-Identifier: Apache-2.0
"""The whole way of `mcu-ser flash`, with tools that start a firmware instead of writing one to a chip."""

import errno
import json
import os
import pty
import re
import shutil
import subprocess
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcu_ser.board import load_board
from mcu_ser.cli.main import main
from mcu_ser.errors import ConfigError, DeviceError, FlashError, LinkError, MismatchError, ToolMissingError
from mcu_ser.flash import running
from mcu_ser.flash.flash import FlashResult, Limits, flash, plan
from mcu_ser.flash.ports import PortRecord
from mcu_ser.generate.project import Project, generate
from mcu_ser.toolchain.build import build
from mcu_ser.verify.messages import Hello
from tests.native_firmware import TestModel, build_native_firmware
from tests.stm32_firmware import require_tools
from tests.tiny_model import tiny_classifier
from tests.unit.flash.desk import ARDUINO_FLASH, Desk, desk_board

QUICK = Limits(tool_s=20, appear_s=0.5, answer_s=0.5)
PATIENT = Limits(tool_s=20, appear_s=5, answer_s=20)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A built project of the board on the desk."""
    require_tools(load_board("host"))
    directory = tmp_path_factory.mktemp("built")
    model = directory / "tiny.tflite"
    model.write_bytes(tiny_classifier())
    project = generate(model, desk_board(), "aot", directory / "my project")
    build(project)
    return project


@pytest.fixture(scope="module")
def old_firmware(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A firmware with another build id."""
    return build_native_firmware(tmp_path_factory.mktemp("old"), TestModel(), sanitize=False)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    desk = Desk.set_up(tmp_path / "desk")
    desk.install("openocd")
    monkeypatch.setenv("PATH", desk.path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    yield desk
    desk.clear()


def flash_it(
    project: Project, desk: Desk, limits: Limits = PATIENT, runner: str | None = None
) -> FlashResult:
    return flash(plan(project, port=desk.url, runner=runner, list_ports=lambda: ()), limits=limits)


def test_a_board_that_answers_with_the_new_build_is_flashed(built: Project, desk: Desk) -> None:
    desk.flashes(built.elf_path)
    result = flash_it(built, desk)
    assert result.hello.build_id == built.build_id
    assert (result.port, result.log) == (desk.url, built.build_dir / "flash.log")
    assert "a line of chatter" in result.log.read_text()
    program = f"program {built.elf_path.name} verify reset exit"
    assert desk.calls == [[str(built.build_dir), "openocd", "-f", "board/desk.cfg", "-c", program]]


def test_a_board_that_still_runs_an_old_build_is_not(built: Project, desk: Desk, old_firmware: Path) -> None:
    desk.flashes(old_firmware)
    with pytest.raises(MismatchError) as caught:
        flash_it(built, desk, QUICK)
    assert str(caught.value) == (
        f"{desk.url}: runs build {'cd' * 16} of host, but {built.build_id} was flashed; "
        "try: the port and the probe of one board (--port, --probe), or another runner (--runner)"
    )


def test_an_old_build_that_gives_way_in_time_is_no_failure(
    built: Project, desk: Desk, old_firmware: Path
) -> None:
    """A probe's volume takes the file first and writes the chip a little later."""
    desk.flashes(old_firmware)

    def write_the_chip() -> None:
        desk.flashes(built.elf_path)
        subprocess.run([desk.directory / "bin" / "openocd"], check=True, stdout=subprocess.DEVNULL)

    planned = plan(built, port=desk.url, list_ports=lambda: ())
    answered: list[str] = []
    asked = running.ask

    def ask_and_tell(url: str, baud: int, give_up_s: float) -> Hello:
        hello = asked(url, baud, give_up_s)
        if not answered:
            assert hello.build_id != built.build_id
            answered.append(hello.build_id)
            write_the_chip()
        return hello

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "ask", ask_and_tell)
        assert flash(planned, limits=PATIENT).hello.build_id == built.build_id
    assert answered


def test_a_silent_board_is_a_failure(built: Project, desk: Desk) -> None:
    with pytest.raises(LinkError, match=rf"^{desk.url}: cannot be opened"):
        flash_it(built, desk, QUICK)


def test_a_tool_that_fails_is_quoted(built: Project, desk: Desk) -> None:
    desk.flashes(built.elf_path)
    desk.fails("Info : so far so good\nError: timed out while waiting for target halted\nError: and more")
    with pytest.raises(FlashError) as caught:
        flash_it(built, desk)
    assert re.fullmatch(
        r"desk: openocd failed \(exit status 3\): Error: timed out while waiting for target halted; "
        r"try: see .*flash\.log",
        str(caught.value),
    )
    assert caught.value.exit_code == 4


def test_a_failure_without_an_error_line_ends_with_the_last_words(built: Project, desk: Desk) -> None:
    desk.fails("something went wrong")
    with pytest.raises(FlashError, match=r"openocd failed \(exit status 3\): something went wrong"):
        flash_it(built, desk)


def test_known_failures_come_with_their_remedy(built: Project, desk: Desk) -> None:
    desk.fails("Error: libusb_open() failed with LIBUSB_ERROR_ACCESS")
    with pytest.raises(FlashError, match="try: the udev rules of the tool's package"):
        flash_it(built, desk)


def test_the_log_is_of_this_run_alone(built: Project, desk: Desk) -> None:
    desk.fails("Error: first run")
    with pytest.raises(FlashError):
        flash_it(built, desk)
    desk.fails("Error: second run")
    with pytest.raises(FlashError):
        flash_it(built, desk)
    assert "first run" not in (built.build_dir / "flash.log").read_text()


def test_a_project_that_is_not_built_is_refused(built: Project, desk: Desk, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(built.root, tmp_path / "copy"))
    shutil.rmtree(copy / "build")
    with pytest.raises(ConfigError) as caught:
        flash_it(Project.load(copy), desk)
    assert str(caught.value) == f"{copy}: is not built; try: mcu-ser build {copy}"


def test_a_project_that_was_changed_since_is_refused(built: Project, desk: Desk, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(built.root, tmp_path / "copy"))
    with (copy / "src" / "runtime" / "main.c").open("a") as source:
        source.write("/* changed */\n")
    with pytest.raises(ConfigError, match=r"src/runtime/main\.c is not what the firmware was built from"):
        flash_it(Project.load(copy), desk)
    assert not desk.calls


def test_a_runner_that_does_not_exist_is_found_before_the_board_is_looked_for(built: Project) -> None:
    def fail() -> list[PortRecord]:
        raise AssertionError("ports were listed")

    with pytest.raises(ConfigError, match=r"^desk: cannot be flashed with 'jlink'"):
        plan(built, runner="jlink", list_ports=fail)


def test_the_second_tool_is_taken_if_the_default_is_not_there(built: Project, desk: Desk) -> None:
    (desk.directory / "bin" / "openocd").rename(desk.directory / "bin" / "pyocd")
    desk.flashes(built.elf_path)
    flash_it(built, desk)
    assert desk.calls[0][1:3] == ["pyocd", "flash"]
    with pytest.raises(ToolMissingError, match=r"^openocd: not found on the PATH"):
        flash_it(built, desk, runner="openocd")


# --- ports and probes -------------------------------------------------------------------------------------


def st_links(desk: Desk, count: int) -> list[PortRecord]:
    ports = [PortRecord("/dev/ttyACM9", (0x0483, 0x374B), "OTHER", "STM32 STLink", "1-9")] * (count - 1)
    return [PortRecord(desk.url, (0x0483, 0x374B), "066DFF51", "STM32 STLink", "1-1"), *ports]


@pytest.fixture
def with_ids(built: Project) -> Project:
    """The project with a board that has an ST-LINK."""
    board = desk_board(serial="usb_ids: [[0x0483, 0x374B]]")
    return Project(built.root, board, built.manifest)


def test_the_only_port_with_the_ids_is_taken_and_its_probe_too(with_ids: Project, desk: Desk) -> None:
    desk.flashes(with_ids.elf_path)
    ports = st_links(desk, 1)
    assert flash(plan(with_ids, list_ports=lambda: ports), limits=PATIENT).port == desk.url
    assert "adapter serial 066DFF51" in desk.calls[0]


def test_the_named_port_of_two_selects_its_probe(with_ids: Project, desk: Desk) -> None:
    with pytest.raises(ConfigError, match=r"^desk: 2 ports may be it: socket:.*; /dev/ttyACM9 "):
        plan(with_ids, list_ports=lambda: st_links(desk, 2))
    chosen = plan(with_ids, port=desk.url, list_ports=lambda: st_links(desk, 2))
    assert chosen.job.probe == "066DFF51"
    chosen = plan(with_ids, port=desk.url, probe="MINE", list_ports=lambda: st_links(desk, 2))
    assert "adapter serial MINE" in chosen.runner.argv(chosen.program, chosen.job)


def test_the_serial_number_of_another_adapter_is_no_probe(built: Project, desk: Desk) -> None:
    """The board has no ids: its port is an adapter's, even if that is the ST-LINK of another board."""
    assert plan(built, port=desk.url, list_ports=lambda: st_links(desk, 1)).job.probe is None


def test_the_probe_of_two_selects_its_port(with_ids: Project, desk: Desk) -> None:
    chosen = plan(with_ids, probe="066DFF51", list_ports=lambda: st_links(desk, 2))
    assert chosen.port is not None
    assert chosen.port.device == desk.url


def test_of_two_probes_none_is_taken_unasked(built: Project, desk: Desk) -> None:
    """The port is an adapter's and names no probe; a tool that is told none would write to the first."""
    with pytest.raises(
        ConfigError, match=r"^desk: 2 probes may be its: socket:.*; /dev/ttyACM9 .*--probe 066DFF51, or"
    ):
        plan(built, port="/dev/ttyUSB0", list_ports=lambda: st_links(desk, 2))
    chosen = plan(built, port="/dev/ttyUSB0", probe="OTHER", list_ports=lambda: st_links(desk, 2))
    assert chosen.job.probe == "OTHER"
    assert not desk.calls


def test_a_board_without_usb_ids_needs_its_port(built: Project, desk: Desk) -> None:
    with pytest.raises(ConfigError, match=r"^desk: its serial port has no USB ids of its own"):
        plan(built, list_ports=lambda: ())
    assert not desk.calls


# --- boot loaders: the touch, and the port that comes and goes --------------------------------------------


class NanoOnPty:
    """A board at a pseudo-terminal until it is touched; then a boot loader, then the desk's board."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._ours, theirs = pty.openpty()
        self.sketch = PortRecord(os.ttyname(theirs), (0x2341, 0x805A), "B3A1", "Nano 33 BLE", "1-3")
        os.close(theirs)
        self.loader = PortRecord("/dev/ttyACM77", (0x2341, 0x005A), "", "Nano 33 BLE loader", "1-3")
        self.flashed = PortRecord(desk.url, (0x2341, 0x805A), "B3A1", "Nano 33 BLE", "1-3")
        self.others = [PortRecord("/dev/ttyACM5", (0x2341, 0x805A), "FFFF", "Nano 33 BLE", "1-7")]
        self.dead_after = ""

    def was_touched(self) -> bool:
        return termios.tcgetattr(self._ours)[4] == termios.B1200

    def list_ports(self) -> list[PortRecord]:
        if self._desk.calls:
            mine = [] if self.dead_after == "flash" else [self.flashed]
        elif self.was_touched():
            mine = [] if self.dead_after == "touch" else [self.loader]
        else:
            mine = [self.sketch]
        return [*self.others, *mine]

    def close(self) -> None:
        os.close(self._ours)


@pytest.fixture
def nano(desk: Desk) -> Iterator[NanoOnPty]:
    board = NanoOnPty(desk)
    desk.install("bossac", "identifyChip")
    yield board
    board.close()


@pytest.fixture
def arduino(built: Project) -> Project:
    board = desk_board(ARDUINO_FLASH, "usb_ids: [[0x2341, 0x805A]]", touch=True)
    return Project(built.root, board, built.manifest)


def test_a_sketch_is_touched_and_its_boot_loader_flashed(
    arduino: Project, desk: Desk, nano: NanoOnPty
) -> None:
    desk.flashes(arduino.elf_path)
    planned = plan(arduino, port=nano.sketch.device, list_ports=nano.list_ports)
    assert planned.needs_touch
    result = flash(planned, list_ports=nano.list_ports, limits=PATIENT)
    assert nano.was_touched()
    assert desk.calls[0][1:] == ["bossac", "--port=ttyACM77", "-U", "-i", "-e", "-w", "firmware.bin", "-R"]
    assert result.port == desk.url


def test_a_board_in_its_boot_loader_is_not_touched(arduino: Project, desk: Desk, nano: NanoOnPty) -> None:
    desk.flashes(arduino.elf_path)
    nano.sketch = PortRecord("/dev/ttyACM3", (0x2341, 0x005A), "", "Nano 33 BLE loader", "1-3")
    nano.others = []
    planned = plan(arduino, list_ports=nano.list_ports)
    assert not planned.needs_touch
    flash(planned, list_ports=nano.list_ports, limits=PATIENT)
    assert not nano.was_touched()
    assert desk.calls[0][2] == "--port=ttyACM3"


def test_a_boot_loader_that_does_not_appear(arduino: Project, desk: Desk, nano: NanoOnPty) -> None:
    nano.dead_after = "touch"
    planned = plan(arduino, port=nano.sketch.device, list_ports=nano.list_ports)
    with pytest.raises(DeviceError) as caught:
        flash(planned, list_ports=nano.list_ports, limits=QUICK)
    assert str(caught.value) == (
        f"{nano.sketch.device}: no port 2341:005a appeared in 0.5 s; "
        "seen: /dev/ttyACM5 (2341:805a, Nano 33 BLE, serial number FFFF); "
        "try: pressing the board's reset button twice quickly (its light breathes), then again"
    )
    assert not desk.calls


def test_a_board_that_does_not_come_back(arduino: Project, desk: Desk, nano: NanoOnPty) -> None:
    nano.dead_after = "flash"
    planned = plan(arduino, port=nano.sketch.device, list_ports=nano.list_ports)
    with pytest.raises(DeviceError, match=r"no port 2341:805a appeared in 0\.5 s; seen: /dev/ttyACM5"):
        flash(planned, list_ports=nano.list_ports, limits=QUICK)


def test_a_port_that_cannot_be_touched(arduino: Project, desk: Desk, nano: NanoOnPty) -> None:
    nano.sketch = PortRecord("/dev/ttyACM66", (0x2341, 0x805A), "B3A1", "Nano 33 BLE", "1-3")
    planned = plan(arduino, port="/dev/ttyACM66", list_ports=nano.list_ports)
    with pytest.raises(LinkError, match=rf"^/dev/ttyACM66: cannot be opened \(\[Errno {errno.ENOENT}\]"):
        flash(planned, list_ports=nano.list_ports, limits=QUICK)


def test_a_boot_loader_needs_a_real_port(arduino: Project, desk: Desk, nano: NanoOnPty) -> None:
    with pytest.raises(ConfigError, match=r"is no serial port, which bossac needs; try: --runner or --port"):
        plan(arduino, port=desk.url, list_ports=lambda: ())


# --- the command ------------------------------------------------------------------------------------------


def test_the_command_says_what_runs_and_what_comes_next(
    built: Project, desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.flashes(built.elf_path)
    assert main(["flash", str(built.root), "--port", desk.url]) == 0
    text = capsys.readouterr().out
    assert f"{desk.url} runs build {built.build_id}, the one that was flashed\n" in text
    log = built.build_dir / "flash.log"
    assert text.endswith(
        f"wrote {log}\nnext: mcu-ser verify '{built.root}' --port {desk.url} --random 50 --out REPORT\n"
    )
    assert main(["flash", str(built.root), "--port", desk.url, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer == {
        "board": "desk",
        "build_id": built.build_id,
        "engine": "aot",
        "log": str(log),
        "port": desk.url,
        "probe": None,
        "runner": "openocd",
    }


def test_a_dry_run_prints_the_command_and_runs_nothing(
    built: Project, desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    (desk.directory / "bin" / "openocd").unlink()
    assert main(["flash", str(built.root), "--dry-run", "--probe", "066DFF51"]) == 0
    assert capsys.readouterr().out == (
        f"cd '{built.build_dir}' && openocd -f board/desk.cfg -c 'adapter serial 066DFF51' "
        f"-c 'program {built.elf_path.name} verify reset exit'\n"
        f"# then HELLO at the board's port must answer with build {built.build_id}\n"
        f"next: mcu-ser flash '{built.root}'\n"
    )
    assert main(["flash", str(built.root), "--dry-run", "--json", "--runner", "pyocd"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["argv"][:2] == ["pyocd", "flash"]
    assert answer["directory"] == str(built.build_dir)
    assert not desk.calls


def test_a_dry_run_shows_the_touch(arduino: Project, desk: Desk, nano: NanoOnPty) -> None:
    shown = plan(arduino, port=nano.sketch.device, list_ports=nano.list_ports, dry_run=True)
    assert shown.needs_touch
    assert shown.command_line().endswith("&& bossac --port=PORT -U -i -e -w firmware.bin -R")
    assert not nano.was_touched()


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--runner", "jlink"], 2, "desk: cannot be flashed with 'jlink'; try: --runner openocd or pyocd"),
        (["--runner", "pyocd"], 3, "pyocd: not found on the PATH"),
        (["--probe", "06; shutdown"], 2, "--probe: '06; shutdown' is no serial number; try: mcu-ser boards"),
    ],
)
def test_exit_codes(
    built: Project,
    desk: Desk,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    text: str,
) -> None:
    assert main(["flash", str(built.root), "--port", desk.url, *arguments]) == code
    assert text in capsys.readouterr().err
    desk.fails("Error: no")
    assert main(["flash", str(built.root), "--port", desk.url]) == 4
