# SPDX-License-Identifier: Apache-2.0
"""Keeps a listening: heard.wav is what the board heard, decisions.jsonl what it made of it, a line each."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mcu_ser.artifacts import write_text, writes
from mcu_ser.listen.wav import write_recording

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mcu_ser.verify.listen_client import Sound

WAV_NAME = "heard.wav"
DECISIONS_NAME = "decisions.jsonl"


class Recorder:
    """What has come so far; `write` puts it into files.

    Args:
        directory: Where they go; made if it is not there.

    Raises:
        ConfigError: It cannot be written.
    """

    def __init__(self, directory: Path) -> None:
        with writes(directory):  # found before hours of listening, not after
            directory.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=directory).close()
        self._directory = directory
        self._pcm = bytearray()
        self._lines: list[str] = []
        self.gap_samples = 0
        """Samples that the line has lost; in the wav they are zeros."""

    def sound(self, sound: Sound) -> None:
        """Take what the board heard next; repeated samples are left out."""
        gap = 2 * sound.offset - len(self._pcm)
        self.gap_samples += max(0, gap) // 2
        self._pcm += bytes(max(0, gap)) + sound.pcm[max(0, -gap) :]

    def played(self, pcm: bytes) -> None:
        """Take all that a board heard to which the host played: int16 little endian."""
        self._pcm = bytearray(pcm)

    def decision(self, document: dict[str, Any]) -> None:
        """Take the next decision as JSON."""
        self._lines.append(json.dumps(document, sort_keys=True) + "\n")

    @property
    def pcm(self) -> NDArray[np.int16]:
        """What came so far, int16 (n,)."""
        return np.frombuffer(bytes(self._pcm), "<i2").astype(np.int16)

    def write(self) -> tuple[Path, Path]:
        """Write both files; returns their paths.

        Raises:
            ConfigError: They cannot be written.
        """
        paths = self._directory / WAV_NAME, self._directory / DECISIONS_NAME
        write_recording(paths[0], bytes(self._pcm))
        write_text(paths[1], "".join(self._lines))
        return paths
