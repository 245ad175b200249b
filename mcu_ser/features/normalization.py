# SPDX-License-Identifier: Apache-2.0
"""Turns log-mel values into zero-mean unit-variance ones per band, with figures of the training set alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mcu_ser.artifacts import replaced_file
from mcu_ser.errors import ConfigError
from mcu_ser.npz_arrays import NOT_AN_NPZ

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

# A band that never changes (digital silence) must not become infinite.
_STD_FLOOR = 1e-3


@dataclass(frozen=True, eq=False)
class Normalization:
    """Mean and standard deviation of each mel band, float32 (mels,)."""

    mean: NDArray[np.float32]
    std: NDArray[np.float32]

    @classmethod
    def measured(cls, training: NDArray[np.float32]) -> Normalization:
        """The figures of a training set, float32 (n, frames, mels), over clips and frames."""
        mean = training.mean(axis=(0, 1), dtype=np.float64)
        std = training.std(axis=(0, 1), dtype=np.float64).clip(min=_STD_FLOOR)
        return cls(mean.astype(np.float32), std.astype(np.float32))

    def apply(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Normalised features, float32 (..., mels)."""
        return (x - self.mean) / self.std

    def save(self, path: Path) -> None:
        """Write an npz of mean and std."""
        with replaced_file(path) as temporary:
            np.savez(temporary, mean=self.mean, std=self.std)

    @classmethod
    def load(cls, path: Path) -> Normalization:
        """Read what `save` wrote.

        Raises:
            ConfigError: The file is not that.
        """
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
                return cls(arrays["mean"], arrays["std"])
        except (*NOT_AN_NPZ, KeyError) as error:
            raise ConfigError(
                path, f"holds no normalisation ({error})", hint="mcu-ser train again"
            ) from error
