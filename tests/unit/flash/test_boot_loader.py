# SPDX-License-Identifier: Apache-2.0
"""Boot loaders: the touch, and the port that comes and goes."""

import errno

import pytest

from mcu_ser.errors import ConfigError, DeviceError, LinkError
from mcu_ser.flash.flash import Limits, flash, plan
from mcu_ser.flash.ports import PortRecord
from mcu_ser.generate.project import Project
from tests.unit.flash.desk import Desk
from tests.unit.flash.nano_on_pty import NanoOnPty

QUICK = Limits(tool_s=20, appear_s=0.5, answer_s=0.5)
PATIENT = Limits(tool_s=20, appear_s=5, answer_s=20)


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
