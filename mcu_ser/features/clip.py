# SPDX-License-Identifier: Apache-2.0
"""Turns a recording into the PCM samples of one clip, and rows of features into a map of fixed size.

This is what the float64 and the integer front end share, and what a device does around its own: samples are
16-bit integers from here on, and every rule is one that a device can follow while the samples arrive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mcu_ser.recipe import FeaturesRecipe

    Number = TypeVar("Number", np.int16, np.int32, np.float64)

SAMPLE_RATE_HZ = 16000

# Threshold of silence as a fraction of the loudest frame, in units of 2^-24: 72 dB.
_RATIO_BITS = 24


def pcm16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """16-bit samples of float ones: nearest, ties to even, saturated.

    Args:
        samples: Mono (n,), full scale = 1.0.
    """
    scaled = np.rint(np.asarray(samples, np.float64) * 32768.0)
    return np.clip(scaled, -32768, 32767).astype(np.int16)


def frame_count(samples: int, spec: FeaturesRecipe) -> int:
    """Frames of a clip of `samples` >= 1 samples: those that lie wholly inside, but at least one.

    A clip shorter than a window is followed by zeros.
    """
    return 1 + max(0, samples - spec.window_samples) // spec.hop_samples


def frames_of(pcm: NDArray[np.int16], spec: FeaturesRecipe) -> NDArray[np.int16]:
    """Overlapping frames of a clip (`frame_count`, window_samples), a view where the clip is long enough."""
    if len(pcm) < spec.window_samples:
        pcm = np.pad(pcm, (0, spec.window_samples - len(pcm)))
    return np.lib.stride_tricks.sliding_window_view(pcm, spec.window_samples)[:: spec.hop_samples]


def trimmed(pcm: NDArray[np.int16], spec: FeaturesRecipe) -> NDArray[np.int16]:
    """The samples from the first loud frame to the last one.

    Loud is a frame whose energy without its mean, n * sum(x^2) - sum(x)^2 over its n samples, is at least
    `trim_below_peak_db` of the loudest frame's; the threshold is rounded down to an integer. Choosing the
    samples is the sender's work and no part of the front end: whoever has the whole recording trims it;
    a device that listens gates by energy instead.

    Args:
        pcm: (n,), n >= 1.
        spec: Window, hop and threshold.
    """
    frames = frames_of(pcm, spec).astype(np.int64)
    # At most 2^9 * 2^9 * 2^30.
    energy = spec.window_samples * np.einsum("ij,ij->i", frames, frames) - np.square(frames.sum(axis=1))
    ratio = int(10.0 ** (-spec.trim_below_peak_db / 10.0) * (1 << _RATIO_BITS))
    threshold = int(energy.max()) * ratio >> _RATIO_BITS
    loud = np.flatnonzero(energy >= threshold)
    first, last = int(loud[0]), int(loud[-1])
    return pcm[first * spec.hop_samples : last * spec.hop_samples + spec.window_samples]


def fitted(rows: NDArray[Number], frames: int) -> NDArray[Number]:
    """Exactly `frames` rows: repeated from the start when too few, the middle ones when too many.

    Args:
        rows: (n, mels), n >= 1.
        frames: Rows of the result.
    """
    if len(rows) < frames:
        return np.resize(rows, (frames, rows.shape[1]))
    first = (len(rows) - frames) // 2
    return rows[first : first + frames]
