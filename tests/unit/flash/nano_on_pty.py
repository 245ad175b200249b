# SPDX-License-Identifier: Apache-2.0
"""An Arduino board without one: its port before, in and after its boot loader."""

import os
import pty
import termios

from mcu_ser.flash.ports import PortRecord
from tests.unit.flash.desk import Desk


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
