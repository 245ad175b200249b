# SPDX-License-Identifier: Apache-2.0
"""Builds STM32 projects for tests and talks to the port probe that stands in for their main.c."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from mcu_ser.board import Board, load_board
from mcu_ser.device.link import Link
from mcu_ser.generate.project import Project, generate
from mcu_ser.toolchain.build_record import BuildResult
from mcu_ser.toolchain.cmake_gcc import build, required_programs
from tests.tiny_model import tiny_classifier

PORT_PROBE = Path(__file__).parent / "emulator" / "port_probe.c"

# The NUCLEO-F446RE, told by what differs from the shipped F405 board: clock tree with over-drive, USART2.
F446_EDITS = {
    "id: netduinoplus2": "id: nucleo_f446re",
    "clock_hz: 168000000": "clock_hz: 180000000",
    "{m: 8, n: 168, p: 2, q: 7}": "{m: 8, n: 180, p: 2, q: 8, r: 2}",
    "voltage_scale: 1": "voltage_scale: 3",
    "over_drive: false": "over_drive: true",
    "max_sysclk_hz: 168000000": "max_sysclk_hz: 180000000",
    "max_apb1_hz: 42000000": "max_apb1_hz: 45000000",
    "max_apb2_hz: 84000000": "max_apb2_hz: 90000000",
    "bytes: 1048576": "bytes: 524288",
    "instance: USART1": "instance: USART2",
    "base: 0x40011000": "base: 0x40004400",
    "irq: 37": "irq: 38",
    "bus: apb2": "bus: apb1",
    "{register: 0x40023844, bit: 4}": "{register: 0x40023840, bit: 17}",
    "tx: {gpio: 0x40020000, pin: 9,": "tx: {gpio: 0x40020000, pin: 2,",
    "rx: {gpio: 0x40020000, pin: 10,": "rx: {gpio: 0x40020000, pin: 3,",
}


def edited_board(edits: Mapping[str, str]) -> str:
    """The YAML of the shipped F405 board with old texts replaced by new ones."""
    text = load_board("netduinoplus2").yaml_text
    for old, new in edits.items():
        assert text.count(old) == 1, f"{old!r} must stand in the board file once"
        text = text.replace(old, new)
    return text


def require_tools(board: Board, *, emulator: bool = False) -> None:
    """Skip the test, with the reason, unless everything that builds (and runs) the board is installed."""
    missing = [program.command for program in required_programs(board) if program.find() is None]
    if emulator and shutil.which("qemu-system-arm") is None:
        missing.append("qemu-system-arm")
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


def generate_tiny(directory: Path, board: Board, model: bytes | None = None) -> Project:
    """A project of the tiny classifier (or another model) in `directory`/project."""
    path = directory / "model.tflite"
    path.write_bytes(model or tiny_classifier())
    return generate(path, board, "aot", directory / "project")


def build_probe(
    directory: Path, board: Board, edits: Mapping[str, tuple[str, str]] | None = None
) -> BuildResult:
    """The port probe for a board; `edits` is file -> (old text, new text), as a user would edit it."""
    project = generate_tiny(directory, board)
    (project.root / "src" / "runtime" / "main.c").write_bytes(PORT_PROBE.read_bytes())
    for name, (old, new) in (edits or {}).items():
        path = project.root / name
        text = path.read_text()
        assert text.count(old) == 1
        path.write_text(text.replace(old, new))
    return build(project)


class Probe:
    """A conversation with the port probe, line by line."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._received = b""

    def send(self, commands: bytes) -> None:
        self._link.write(commands)

    def take(self, count: int, timeout_s: float = 20.0) -> bytes:
        """Exactly `count` bytes."""
        self._fill(lambda: len(self._received) >= count, timeout_s)
        taken, self._received = self._received[:count], self._received[count:]
        return taken

    def line(self, timeout_s: float = 20.0) -> list[int]:
        """The numbers of the next line; a boot report must begin with "boot"."""
        self._fill(lambda: b"\n" in self._received, timeout_s)
        line, _, self._received = self._received.partition(b"\n")
        return [int(word, 16) for word in line.split() if word != b"boot"]

    def ask(self, command: bytes, timeout_s: float = 20.0) -> list[int]:
        """Send one command and return its answer."""
        self.send(command)
        return self.line(timeout_s)

    def nothing_more(self, wait_s: float = 0.2) -> bool:
        """True if no further byte arrives."""
        self._received += self._link.read(wait_s)
        return not self._received

    def _fill(self, enough: Callable[[], bool], timeout_s: float) -> None:
        end = time.monotonic() + timeout_s
        while not enough():
            left = end - time.monotonic()
            assert left > 0, f"no answer; received {self._received!r}"
            self._received += self._link.read(min(left, 1.0))
