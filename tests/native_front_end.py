# SPDX-License-Identifier: Apache-2.0
"""Builds the C front end of a model with sanitizers and runs it on this machine, for tests."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mcu_ser.features.front_end import FrontEnd
from mcu_ser.generate.front_end import front_end_sources
from mcu_ser.resources import firmware_templates_dir
from tests.native_firmware import SANITIZED, STRICT, require_compiler

FRONT_END_DIR = firmware_templates_dir() / "runtime" / "front_end"
FILTER = Path(__file__).parent / "c" / "front_end_filter.c"

Pcm = npt.NDArray[np.int16]


def write_sources(front_end: FrontEnd, directory: Path) -> list[Path]:
    """The C files of a front end; `directory` gets the generated ones."""
    for name, text in front_end_sources(front_end).items():
        (directory / name).write_text(text)
    return [*sorted(FRONT_END_DIR.glob("*.c")), *sorted(directory.glob("front_end_tables.c"))]


class NativeFrontEnd:
    """The front end as a program; each call starts it afresh.

    `filter_source` is its main(), which says what it reads and writes; `compiler` is one of the host.
    """

    def __init__(
        self, front_end: FrontEnd, directory: Path, filter_source: Path = FILTER, *, compiler: str = "gcc"
    ) -> None:
        self._program = directory / "front_end"
        self._shape = (front_end.spec.frames, front_end.spec.mels)
        sources = map(str, [filter_source, *write_sources(front_end, directory)])
        includes = [f"-I{FRONT_END_DIR}", f"-I{directory}"]
        flags = [*STRICT, "-Wshadow", *SANITIZED, *includes]
        command = [require_compiler(compiler), *flags, *sources, "-o", str(self._program)]
        subprocess.run(command, check=True, timeout=120)

    def clips(self, clips: Sequence[Pcm]) -> list[npt.NDArray[np.int8]]:
        """The map of every clip, each pushed as a whole."""
        stream = b"".join(start_clip(len(pcm)) + push(pcm) + b"m" for pcm in clips)
        answers = self.execute(stream)
        size = 12 + self._shape[0] * self._shape[1]
        assert len(answers) == size * len(clips)
        found = [self._map(answers[at + 4 : at + size])[1] for at in range(0, len(answers), size)]
        return [values for values in found if values is not None]

    def rows_and_map(self, commands: bytes) -> tuple[int, npt.NDArray[np.int8] | None]:
        """Rows held and the map, if there is one, after `commands` whose answers do not matter."""
        answers = self.execute(commands + b"m")
        return self._map(answers[-(8 + self._shape[0] * self._shape[1]) :])

    def execute(self, commands: bytes) -> bytes:
        done = subprocess.run([self._program], input=commands, capture_output=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def _map(self, answer: bytes) -> tuple[int, npt.NDArray[np.int8] | None]:
        rows, result = struct.unpack_from("<Ii", answer)
        values = np.frombuffer(answer[8:], np.int8).reshape(self._shape)
        if rows == 0:
            assert result == -1
            assert not values.any()
            return 0, None
        assert result == 0
        return rows, values


def start_clip(samples: int) -> bytes:
    return b"c" + struct.pack("<I", samples)


def push(pcm: Pcm) -> bytes:
    return b"p" + struct.pack("<I", len(pcm)) + pcm.astype("<i2").tobytes()
