# SPDX-License-Identifier: Apache-2.0
"""Keeps whole recordings, at several speeds, as rows of log-mel levels: what training cuts its clips from.

A recording that plays faster is shorter and higher, as a voice and its room would be; resampling gives that,
where stretching a spectrogram does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import soxr

from mcu_ser.errors import ConfigError
from mcu_ser.features.clip import SAMPLE_RATE_HZ, pcm16, trimmed
from mcu_ser.features.integer_log_mel import LEVEL_STEP, level_offset, level_rows
from mcu_ser.features.log_mel import log_mel_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from mcu_ser.recipe import FeaturesRecipe

    # What `Recordings.levels` holds, of one version.
    Rows = NDArray[np.int16] | NDArray[np.float32]

_PREFIX = "recordings_"


@dataclass(frozen=True, eq=False)
class Recordings:
    """Log-mel levels of n recordings in v versions.

    Args:
        levels: Rows of all versions one after another, (rows, mels), nothing subtracted: int16 level steps of
            the integer front end, float32 natural logarithms of power of the float64 one.
        first: The first row of each version, int64 (n, v).
        length: How many rows it has, int64 (n, v), >= 1.
        speeds: Of the versions, float64 (v,); 1 is the recording itself.
        offset: What natural logarithm of power level 0 stands for, float64 ().
        clip_mean: What is subtracted from a clip, str (): keep, level or band.
    """

    levels: Rows
    first: NDArray[np.int64]
    length: NDArray[np.int64]
    speeds: NDArray[np.float64]
    offset: NDArray[np.float64]
    clip_mean: NDArray[np.str_]

    @property
    def step(self) -> float:
        """Natural logarithm of power that 1 in `levels` stands for."""
        return LEVEL_STEP if self.levels.dtype == np.int16 else 1.0

    def part(self, chosen: NDArray[np.bool_]) -> Recordings:
        """The recordings that a mask (n,) chooses; rows of the others stay where they are."""
        return Recordings(
            self.levels, self.first[chosen], self.length[chosen], self.speeds, self.offset, self.clip_mean
        )

    def columns(self, speeds: Sequence[float]) -> list[int]:
        """Where versions of these speeds are.

        Raises:
            ConfigError: A speed is not among them.
        """
        known = self.speeds.tolist()
        for speed in speeds:
            if speed not in known:
                raise ConfigError(
                    f"recordings at speed {speed}", "are not in the features", hint="mcu-ser train again"
                )
        return [known.index(speed) for speed in speeds]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Its fields, named for an npz that holds others too."""
        return {f"{_PREFIX}{name}": array for name, array in vars(self).items()}

    @classmethod
    def found_in(cls, arrays: Mapping[str, NDArray[Any]]) -> Recordings | None:
        """What `arrays` gave, if it is there."""
        if f"{_PREFIX}levels" not in arrays:
            return None
        return cls(**{name: arrays[f"{_PREFIX}{name}"] for name in cls.__dataclass_fields__})

    @classmethod
    def joined(
        cls, versions: Sequence[Sequence[Rows]], speeds: Sequence[float], spec: FeaturesRecipe
    ) -> Recordings:
        """Recordings from the rows of each version of each of them.

        Args:
            versions: n >= 1 times v arrays of `rows_at_speeds`, (rows, mels).
            speeds: Of the v versions.
            spec: The front end that gave the rows.
        """
        length = np.array([[len(rows) for rows in one] for one in versions], np.int64)
        first = np.concatenate([[0], np.cumsum(length.ravel())[:-1]]).reshape(length.shape)
        levels = np.concatenate([rows for one in versions for rows in one])
        # The yardstick's rows are logarithms already.
        offset = np.array(0.0 if spec.arithmetic == "float64" else level_offset(spec), np.float64)
        return cls(levels, first, length, np.array(speeds, np.float64), offset, np.array(spec.clip_mean))


def rows_at_speeds(samples: NDArray[np.float32], speeds: Sequence[float], spec: FeaturesRecipe) -> list[Rows]:
    """Rows of one recording at each speed, (frames, mels): resampled, trimmed, analysed.

    Args:
        samples: Mono float32 (n,), n >= 1, at 16 kHz, full scale = 1.0.
        speeds: Above 1 is faster, shorter and higher.
        spec: Everything about the front end.
    """
    return [_rows(trimmed(pcm16(_played(samples, speed)), spec), spec) for speed in speeds]


def _rows(pcm: NDArray[np.int16], spec: FeaturesRecipe) -> Rows:
    if spec.arithmetic == "float64":
        return log_mel_rows(pcm, spec).astype(np.float32)
    return level_rows(pcm, spec)


def _played(samples: NDArray[np.float32], speed: float) -> NDArray[np.float32]:
    if speed == 1:
        return samples
    played: NDArray[np.float32] = soxr.resample(samples, SAMPLE_RATE_HZ * speed, SAMPLE_RATE_HZ)
    return played.astype(np.float32)
