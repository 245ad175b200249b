# SPDX-License-Identifier: Apache-2.0
"""Builds STM32 projects for tests and talks to the port probe that stands in for their main.c."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from mcu_ser.board import Board
from mcu_ser.device.link import Link
from mcu_ser.generate.project import Project, generate
from mcu_ser.toolchain.build_record import BuildResult
from mcu_ser.toolchain.cmake_gcc import build, required_programs
from tests.tiny_model import tiny_classifier

PORT_PROBE = Path(__file__).parent / "emulator" / "port_probe.c"


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
