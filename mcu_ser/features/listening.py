# SPDX-License-Identifier: Apache-2.0
"""What a device that listens must find in a stream of samples: which maps are due, and whether it is silent.

The reference of sliding_window.c and energy_gate.c in `firmware_templates/runtime/front_end/`, of whole
recordings.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mcu_ser.features.clip import frame_count
from mcu_ser.features.integer_log_mel import level_rows, without_clip_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mcu_ser.features.front_end import FrontEnd

FULL_SCALE_POWER = 1 << 30
"""Of a square wave between -32768 and 32768."""


@dataclass(frozen=True)
class Gate:
    """When the device takes what it hears for more than silence.

    Attributes:
        power: Variance of a hop's samples from which it is loud, 0 to 2^32 - 1.
        hops: How many of the newest hops, as many as the map has frames, must be loud; 0: always open.
    """

    power: int = 0
    hops: int = 0

    @classmethod
    def of_level(cls, dbfs: float, hops: int) -> Gate:
        """The gate of a level relative to `FULL_SCALE_POWER`, at most 0 dB."""
        return cls(round(FULL_SCALE_POWER * 10.0 ** (dbfs / 10.0)), hops)


@dataclass(frozen=True, eq=False)
class DueMap:
    """A map that is due.

    Attributes:
        rows: Frames of the stream so far.
        is_open: Whether the gate is.
        power: Of the newest whole hop, rounded down.
        features: int8 (frames, mels), of the newest frames.
    """

    rows: int
    is_open: bool
    power: int
    features: NDArray[np.int8]


def due_maps(pcm: NDArray[np.int16], front_end: FrontEnd, period: int, gate: Gate) -> Iterator[DueMap]:
    """The maps that are due in a stream of the samples `pcm`, (n,).

    The first is due when every frame of it is of the stream, then one every `period` >= 1 hops.
    """
    spec = front_end.spec
    if len(pcm) < spec.window_samples:
        return
    rows, powers = level_rows(pcm, spec), hop_powers(pcm, spec.hop_samples)
    for end in range(spec.frames, frame_count(len(pcm), spec) + 1, period):
        heard = (spec.window_samples + (end - 1) * spec.hop_samples) // spec.hop_samples
        newest = powers[max(0, heard - spec.frames) : heard]
        yield DueMap(
            rows=end,
            is_open=int((newest >= gate.power).sum()) >= gate.hops,
            power=int(powers[heard - 1]),
            features=front_end.quantized(without_clip_mean(rows[end - spec.frames : end], spec)),
        )


def hop_powers(pcm: NDArray[np.int16], hop_samples: int) -> NDArray[np.int64]:
    """Variance of each whole hop of `pcm`, rounded down: int64 (n // hop_samples,), 0 to 2^30."""
    whole = len(pcm) // hop_samples
    hops = pcm[: whole * hop_samples].astype(np.int64).reshape(whole, hop_samples)
    squares, sums = np.square(hops).sum(axis=1), hops.sum(axis=1)
    powers: NDArray[np.int64] = (hop_samples * squares - np.square(sums)) // hop_samples**2
    return powers


def level_dbfs(power: int) -> float:
    """Power as a level relative to `FULL_SCALE_POWER`; minus infinity for 0."""
    return 10.0 * math.log10(power / FULL_SCALE_POWER) if power else -math.inf
