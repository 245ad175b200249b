# SPDX-License-Identifier: Apache-2.0
"""Which port and which probe are taken for a board, and when neither is: several, none, or not there."""

import os
from pathlib import Path

import pytest

from mcu_ser.errors import ConfigError, LinkError
from mcu_ser.flash.flash import Limits, flash, plan
from mcu_ser.flash.ports import PortRecord
from mcu_ser.generate.project import Project
from tests.unit.flash.desk import ARDUINO_FLASH, Desk, desk_board

QUICK = Limits(tool_s=20, appear_s=0.5, answer_s=0.5)
PATIENT = Limits(tool_s=20, appear_s=5, answer_s=20)


def st_links(desk: Desk, count: int) -> list[PortRecord]:
    ports = [PortRecord("/dev/ttyACM9", (0x0483, 0x374B), "OTHER", "STM32 STLink", "1-9")] * (count - 1)
    return [PortRecord(desk.url, (0x0483, 0x374B), "066DFF51", "STM32 STLink", "1-1"), *ports]


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
    chosen = plan(built, port=desk.url, probe="OTHER", list_ports=lambda: st_links(desk, 2))
    assert chosen.job.probe == "OTHER"
    assert not desk.calls


def test_a_board_without_usb_ids_needs_its_port(built: Project, desk: Desk) -> None:
    with pytest.raises(ConfigError, match=r"^desk: its serial port has no USB ids of its own"):
        plan(built, list_ports=lambda: ())
    assert not desk.calls


# --- a dry run: what is not there is no error, what is ambiguous is ---------------------------------------


def test_a_dry_run_needs_no_board(with_ids: Project, arduino: Project, desk: Desk) -> None:
    for project in (with_ids, arduino):
        shown = plan(project, list_ports=lambda: (), dry_run=True)
        assert (shown.port, shown.job.port, shown.job.probe) == (None, None, None)


def test_a_dry_run_chooses_no_board_of_two(arduino: Project, desk: Desk) -> None:
    nanos = [PortRecord(f"/dev/ttyACM{i}", (0x2341, 0x805A), f"B3A{i}", "Nano 33 BLE") for i in range(2)]
    for dry_run in (True, False):
        with pytest.raises(ConfigError, match=r"^desk: 2 ports may be it: .*--port /dev/ttyACM0, or"):
            plan(arduino, list_ports=lambda: nanos, dry_run=dry_run)
    assert plan(arduino, port="/dev/ttyACM1", list_ports=lambda: nanos, dry_run=True).port == nanos[1]


# --- a named port that cannot be asked afterwards: nothing is flashed -------------------------------------


@pytest.mark.parametrize("runner", ["openocd", "pyocd"])
def test_a_port_that_is_not_there_is_refused_before_a_tool_runs(
    with_ids: Project, desk: Desk, runner: str
) -> None:
    desk.install("pyocd")
    with pytest.raises(LinkError) as caught:
        plan(with_ids, port="/dev/ttyACM1234", runner=runner, list_ports=lambda: st_links(desk, 1))
    assert str(caught.value) == (
        f"/dev/ttyACM1234: no such port; seen: {desk.url} (0483:374b, STM32 STLink, serial number 066DFF51); "
        "try: mcu-ser boards detect"
    )
    assert caught.value.exit_code == 4
    assert not desk.calls
    shown = plan(with_ids, port="/dev/ttyACM1234", list_ports=lambda: (), dry_run=True)
    assert shown.port == PortRecord("/dev/ttyACM1234")


def test_a_port_that_may_not_be_opened_is_refused_before_a_tool_runs(
    with_ids: Project, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = tmp_path / "ttyACM0"
    port.touch()
    assert plan(with_ids, port=str(port), list_ports=lambda: ()).port == PortRecord(str(port))
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != str(port))  # root may open anything
    with pytest.raises(LinkError, match=r"ttyACM0: this user may not open it .* usermod -aG"):
        plan(with_ids, port=str(port), list_ports=lambda: ())


def test_a_link_to_a_listed_port_is_that_port(with_ids: Project, desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "ttyACM0").touch()
    (tmp_path / "by-id").symlink_to(tmp_path / "ttyACM0")
    listed = PortRecord(str(tmp_path / "ttyACM0"), (0x0483, 0x374B), "066DFF51")
    assert plan(with_ids, port=str(tmp_path / "by-id"), list_ports=lambda: [listed]).port == listed


def test_a_board_whose_usb_is_software_may_have_no_port_yet(built: Project, desk: Desk) -> None:
    """A probe can flash a Nano whose sketch hangs; its boot loader cannot be touched."""
    flash_section = ARDUINO_FLASH + "    openocd: {scripts: [board/desk.cfg], source: made up}\n"
    board = desk_board(flash_section, "usb_ids: [[0x2341, 0x805A]]", touch=True)
    project = Project(built.root, board, built.manifest)
    desk.install("bossac", "identifyChip")
    port = PortRecord("/dev/ttyACM1234")
    assert plan(project, port=port.device, runner="openocd", list_ports=lambda: ()).port == port
    with pytest.raises(LinkError, match=r"no such port; seen: no port at all; try: mcu-ser boards detect$"):
        plan(project, port=port.device, runner="bossac", list_ports=lambda: ())
