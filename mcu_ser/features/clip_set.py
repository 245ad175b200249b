# SPDX-License-Identifier: Apache-2.0
"""Test clips as a device hears them: 16-bit samples of any number of clips in one npz, with their classes.

The file has `pcm` (all samples one after another), `lengths`, `sample_rate_hz`, and optionally `y`, `labels`
and `ids`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mcu_ser.artifacts import replaced_file
from mcu_ser.errors import SamplesError
from mcu_ser.features.clip import SAMPLE_RATE_HZ
from mcu_ser.npz_arrays import class_indices, read_arrays, strings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

EXPECTED = (
    "an .npz with pcm (int16), lengths (samples of each clip), sample_rate_hz, optional y (classes), "
    "labels (class names), ids: audio.npz of mcu-ser convert"
)
# More than a device can be told of one clip.
_LONGEST = 2**32 - 2


@dataclass(frozen=True, eq=False)
class ClipSet:
    """n clips.

    Args:
        clips: Samples at 16 kHz, int16 (at least 1,) each, already trimmed.
        y: Class indices, int64 (n,), or None.
        labels: Class names, or None.
        ids: A name per clip, or None.
    """

    clips: tuple[NDArray[np.int16], ...]
    y: NDArray[np.int64] | None
    labels: tuple[str, ...] | None
    ids: tuple[str, ...] | None

    def save(self, path: Path) -> None:
        """Write an npz."""
        optional = {
            "y": self.y,
            "labels": None if self.labels is None else np.array(self.labels),
            "ids": None if self.ids is None else np.array(self.ids),
        }
        with replaced_file(path) as temporary:
            np.savez(
                temporary,
                allow_pickle=False,
                pcm=np.concatenate(self.clips),
                lengths=np.array([len(pcm) for pcm in self.clips], np.int64),
                sample_rate_hz=np.array(SAMPLE_RATE_HZ, np.int64),
                **{name: array for name, array in optional.items() if array is not None},
            )

    @classmethod
    def load(cls, path: Path, classes: int) -> ClipSet:
        """Read what `save` wrote, or another program.

        Args:
            path: The file.
            classes: How many the model tells apart.

        Raises:
            SamplesError: The file is absent or not such an npz, or its classes are not those of the model.
        """
        arrays = read_arrays(path, EXPECTED)
        missing = [name for name in ("pcm", "lengths", "sample_rate_hz") if name not in arrays]
        if missing:
            held = ", ".join(sorted(arrays)) or "nothing"
            raise SamplesError(path, f"holds {held}, not {', '.join(missing)}", hint=EXPECTED)
        clips = _clips(path, arrays)
        return cls(
            clips,
            class_indices(path, arrays.get("y"), len(clips), classes),
            strings(path, arrays, "labels", classes),
            strings(path, arrays, "ids", len(clips)),
        )


def _clips(path: Path, arrays: Mapping[str, NDArray[Any]]) -> tuple[NDArray[np.int16], ...]:
    pcm, lengths, rate = arrays["pcm"], arrays["lengths"], arrays["sample_rate_hz"]
    if rate.shape != () or rate != SAMPLE_RATE_HZ:
        raise SamplesError(path, f"has sample_rate_hz {rate.tolist()}", limit=f"{SAMPLE_RATE_HZ}")
    if pcm.dtype != np.int16 or pcm.ndim != 1:
        raise SamplesError(path, f"pcm is {pcm.dtype} of shape {pcm.shape}, not int16 of one dimension")
    if not np.issubdtype(lengths.dtype, np.integer) or lengths.ndim != 1 or not len(lengths):
        problem = f"lengths is {lengths.dtype} of shape {lengths.shape}, not integers of at least one clip"
        raise SamplesError(path, problem)
    counts = [int(length) for length in lengths.tolist()]
    if min(counts) < 1 or max(counts) > _LONGEST:
        wrong = next(count for count in counts if not 1 <= count <= _LONGEST)
        raise SamplesError(path, f"has a clip of {wrong} samples", limit=f"1 to {_LONGEST}")
    if sum(counts) != len(pcm):
        raise SamplesError(path, f"lengths add up to {sum(counts)} samples, pcm has {len(pcm)}")
    return tuple(np.split(pcm, np.cumsum(counts)[:-1]))
