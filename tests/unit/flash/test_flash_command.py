# SPDX-License-Identifier: Apache-2.0
"""`mcu-ser flash`: what it prints, what it ends with."""

import json

import pytest

from mcu_ser.cli.main import main
from mcu_ser.flash.flash import plan
from mcu_ser.generate.project import Project
from tests.unit.flash.desk import Desk
from tests.unit.flash.nano_on_pty import NanoOnPty


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
        f"next: mcu-ser flash '{built.root}' --probe 066DFF51\n"
    )
    assert main(["flash", str(built.root), "--dry-run", "--json", "--runner", "pyocd"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["argv"][:2] == ["pyocd", "flash"]
    assert answer["directory"] == str(built.build_dir)
    assert not desk.calls


def test_a_dry_run_names_the_command_that_does_what_it_shows(
    built: Project, desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--port", desk.url, "--runner", "pyocd", "--probe", "066DFF51"]
    assert main(["flash", str(built.root), "--dry-run", *options]) == 0
    assert capsys.readouterr().out.endswith(f"\nnext: mcu-ser flash '{built.root}' {' '.join(options)}\n")


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
