# SPDX-License-Identifier: Apache-2.0
"""Turns an audio file of any rate and channel count into mono samples for the feature stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mcu_ser.errors import CorpusError, ToolMissingError
from mcu_ser.programs import extra_hint

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SUFFIXES = (".wav", ".flac")


def read_audio(path: Path, rate_hz: int) -> NDArray[np.float32]:
    """Mono samples of a recording.

    Channels are averaged; another rate is converted with soxr.

    Args:
        path: A wav or flac file.
        rate_hz: Sample rate of the result.

    Returns:
        float32 (n,), n >= 1, full scale = 1.0.

    Raises:
        CorpusError: The file is unreadable, or holds no samples or some that are not finite.
        ToolMissingError: The [train] extra is not installed.
    """
    try:
        import soundfile
        import soxr
    except ImportError as error:
        raise ToolMissingError(
            error.name or "soundfile", "is not installed", hint=extra_hint("train")
        ) from error
    try:
        channels, file_rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError) as error:
        raise CorpusError(
            path, f"cannot be read as audio ({error})", hint="the corpus's download again"
        ) from error
    if not len(channels):
        raise CorpusError(path, "holds zero samples", hint="the corpus's download again")
    if not np.isfinite(channels).all():
        raise CorpusError(path, "holds samples that are no finite numbers", hint="another copy of it")
    mono = channels.mean(axis=1, dtype=np.float32)
    if file_rate_hz != rate_hz:
        mono = soxr.resample(mono, file_rate_hz, rate_hz)
    if not len(mono):
        raise CorpusError(path, f"is shorter than one sample at {rate_hz} Hz")
    samples: NDArray[np.float32] = np.ascontiguousarray(mono, np.float32)
    return samples
