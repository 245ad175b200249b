# SPDX-License-Identifier: Apache-2.0
"""The whole way of `mcu-ser flash`, with tools that start a firmware instead of writing one to a chip."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from mcu_ser.errors import ConfigError, FlashError, LinkError, MismatchError, ToolMissingError
from mcu_ser.flash import running
from mcu_ser.flash.flash import FlashResult, Limits, flash, plan
from mcu_ser.flash.ports import PortRecord
from mcu_ser.generate.project import Project
from mcu_ser.verify.messages import Hello
from tests.unit.flash.desk import Desk

QUICK = Limits(tool_s=20, appear_s=0.5, answer_s=0.5)
PATIENT = Limits(tool_s=20, appear_s=5, answer_s=20)


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
