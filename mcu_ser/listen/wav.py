# SPDX-License-Identifier: Apache-2.0
"""Recordings that the host plays, and those that it keeps: 16-bit mono samples at 16 kHz."""

from __future__ import annotations

import wave
from typing import TYPE_CHECKING

import numpy as np

from mcu_ser.artifacts import replaced_file, writes
from mcu_ser.errors import ConfigError, CorpusError
from mcu_ser.features.clip import SAMPLE_RATE_HZ, pcm16

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_PLAIN = (1, 2, SAMPLE_RATE_HZ)


def read_recording(path: Path) -> NDArray[np.int16]:
    """The samples of a recording, int16 (n,), n >= 1, at 16 kHz.

    A wav of 16-bit mono at 16 kHz is taken as it is; anything else is converted, which needs the [train]
    extra.

    Raises:
        ConfigError: The file is absent, no recording, or empty.
        ToolMissingError: It must be converted, and the [train] extra is not installed.
    """
    pcm = _plain(path)
    if pcm is None:
        from mcu_ser.corpus.audio import read_audio

        try:
            pcm = pcm16(read_audio(path, SAMPLE_RATE_HZ))
        except CorpusError as error:
            raise ConfigError(path, error.problem, hint="a wav or flac file") from error
    if not len(pcm):
        raise ConfigError(path, "holds no sample")
    return pcm


def _plain(path: Path) -> NDArray[np.int16] | None:
    """The samples of a wav that need no conversion; None if it is another file."""
    try:
        with wave.open(str(path)) as file:
            if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != _PLAIN:
                return None
            data = file.readframes(file.getnframes())
    except OSError as error:
        raise ConfigError(path, f"cannot be read ({error.strerror})") from error
    except (wave.Error, EOFError):
        return None
    return np.frombuffer(data[: len(data) // 2 * 2], "<i2").astype(np.int16)


def write_recording(path: Path, pcm: bytes) -> None:
    """Write 16-bit little-endian samples as a wav, whole or not at all.

    Raises:
        ConfigError: It cannot be written.
    """
    with replaced_file(path) as temporary, writes(path), wave.open(str(temporary), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes(pcm)
