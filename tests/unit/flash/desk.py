# SPDX-License-Identifier: Apache-2.0
"""A board on a desk without a board: stand-in flash tools on the PATH that start a native firmware.

The "board" is the platform host with a `flash` section. A stand-in tool records its command line, ends the
firmware that runs at the board's port and starts another there, as flashing does.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from mcu_ser.board import Board, parse_board
from mcu_ser.resources import boards_dir

FLASH = """\
flash:
  default: openocd
  runners:
    openocd: {scripts: [board/desk.cfg], source: made up}
    pyocd: {target: desk, pack: false, connect_under_reset: true, source: made up}
"""
ARDUINO_FLASH = """\
flash:
  default: bossac
  runners:
    bossac: {bootloader_usb_ids: [[0x2341, 0x005A]], source: made up}
"""

_TOOL = """\
#!{python}
import json, os, pathlib, signal, subprocess, sys, time
desk = pathlib.Path({desk!r})
with (desk / "calls").open("a") as calls:
    calls.write(json.dumps([os.getcwd(), *sys.argv]) + "\\n")
print("a line of chatter")
if (desk / "failure").exists():
    print((desk / "failure").read_text(), file=sys.stderr)
    sys.exit(3)
running = desk / "pid"
if running.exists():
    os.kill(int(running.read_text()), signal.SIGKILL)
    running.unlink()
firmware = (desk / "firmware").read_text()
if firmware:
    child = subprocess.Popen([firmware], env={{**os.environ, "MCU_SER_TCP_PORT": "{port}"}},
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    running.write_text(str(child.pid))
"""


def desk_board(flash: str = FLASH, serial: str = "usb_ids: []", *, touch: bool = False) -> Board:
    """The board of the desk."""
    text = (boards_dir() / "host.yaml").read_text()
    for old, new in (
        ("id: host", "id: desk"),
        ("flash: null\n", flash),
        ("usb_ids: []", serial),
        ("touch_1200bps: false", f"touch_1200bps: {str(touch).lower()}"),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    return parse_board(text, Path("desk.yaml"))


@dataclass
class Desk:
    """Where the stand-in tools are, and the port at which the board answers."""

    directory: Path
    port: int

    @classmethod
    def set_up(cls, directory: Path) -> Desk:
        directory.mkdir()
        (directory / "bin").mkdir()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            desk = cls(directory, probe.getsockname()[1])
        desk.flashes(None)
        return desk

    @property
    def url(self) -> str:
        return f"socket://127.0.0.1:{self.port}"

    @property
    def path(self) -> str:
        """A PATH with the stand-in tools and the system's programs, but no flash tool of this machine."""
        return str(self.directory / "bin")

    def install(self, name: str, mark: str = "") -> None:
        """Put a stand-in tool on the PATH; `mark` is a text that its file holds."""
        tool = self.directory / "bin" / name
        tool.write_text(
            _TOOL.format(python=sys.executable, desk=str(self.directory), port=self.port) + f"# {mark}\n"
        )
        tool.chmod(0o755)

    def flashes(self, firmware: Path | None) -> None:
        """What a tool "writes to the board"; None for a board that then is silent."""
        (self.directory / "firmware").write_text(str(firmware or ""))

    def fails(self, message: str) -> None:
        """Make every tool fail with this message."""
        (self.directory / "failure").write_text(message)

    @property
    def calls(self) -> list[list[str]]:
        """Working directory, program and arguments of every call."""
        path = self.directory / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [[call[0], Path(call[1]).name, *call[2:]] for call in map(json.loads, lines)]

    def clear(self) -> None:
        """End the firmware that runs."""
        path = self.directory / "pid"
        if path.exists():
            os.kill(int(path.read_text()), signal.SIGKILL)
            time.sleep(0.01)
