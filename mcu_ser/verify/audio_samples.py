# SPDX-License-Identifier: Apache-2.0
"""Test clips for boards that hear: an audio.npz, or seeded noise, with the features that they must give."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mcu_ser.errors import ConfigError, SamplesError
from mcu_ser.features.clip_set import ClipSet
from mcu_ser.features.front_end import FrontEnd
from mcu_ser.features.integer_log_mel import level_rows
from mcu_ser.progress import Track, silent
from mcu_ser.shell_command import shell_command
from mcu_ser.verify.samples import STREAM_MARK, Samples

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from mcu_ser.generate.project import Project

# A sixth of random clips is longer than the map.
_LONGEST_OF_MAP = 1.2
_QUIETEST_DB = -90.0


def front_end_of(project: Project) -> FrontEnd:
    """The front end that the firmware of a project has.

    Raises:
        ConfigError: It has none.
    """
    path = project.front_end_path
    if path is None:
        command = shell_command(
            *("mcu-ser", "generate", project.model_path, "--board", project.board.id),
            *("--engine", project.engine, "--front-end", "front_end.json", "--out", f"{project.root}-audio"),
        )
        raise ConfigError(project.root, "has firmware without a front end", hint=command)
    return FrontEnd.load(path)


def load_audio(path: Path, front_end: FrontEnd, classes: int, track: Track = silent) -> Samples:
    """Read an .npz of clips, and compute the features that a board must make of them.

    Args:
        path: What `ClipSet` reads.
        front_end: Of the firmware.
        classes: Number of model outputs.
        track: Shows progress.

    Raises:
        SamplesError: The file is absent or not such an .npz, or its classes are not those of the model.
    """
    clips = ClipSet.load(path, classes)
    ids = clips.ids if clips.ids is not None else tuple(f"clip-{index}" for index in range(len(clips.clips)))
    return Samples(
        x=features_of(clips.clips, front_end, track),
        y=clips.y,
        labels=clips.labels,
        ids=ids,
        origin=path.name,
        clips=clips.clips,
        bands=front_end.spec.mels,
    )


def random_audio(count: int, seed: int, front_end: FrontEnd, track: Track = silent) -> Samples:
    """`count` clips of noise, from one sample to more than the map holds, from -90 dBFS to full scale."""
    if count < 1:
        raise SamplesError("--random", f"{count} clips", limit="at least 1")
    if seed < 0:
        raise SamplesError("--seed", str(seed), limit="at least 0")
    generator, spec = np.random.default_rng(seed), front_end.spec
    longest = int(_LONGEST_OF_MAP * (spec.window_samples + (spec.frames - 1) * spec.hop_samples))
    clips = []
    for length in generator.integers(1, longest, count, endpoint=True):
        peak = 32767.0 * 10.0 ** (generator.uniform(_QUIETEST_DB, 0.0) / 20.0)
        clips.append(np.rint(generator.uniform(-peak, peak, length)).astype(np.int16))
    return Samples(
        x=features_of(clips, front_end, track),
        y=None,
        labels=None,
        ids=tuple(f"noise-{index}" for index in range(count)),
        origin=f"{count} clips of noise, seed {seed}",
        clips=tuple(clips),
        bands=spec.mels,
    )


def as_streams(samples: Samples, every: int, front_end: FrontEnd, track: Track = silent) -> Samples:
    """Clips as streams: a device hears the newest window of each after every so many frames, and at its end.

    Windows of one clip overlap and are of one voice, and the first of them are half empty. Scores over
    them would be no measure of the model, so they have no true classes.

    Args:
        samples: Clips. Those without a whole frame are left out.
        every: Frames from one inference to the next, at least 1.
        front_end: Of the firmware.
        track: Shows progress.

    Raises:
        SamplesError: No clip has a frame.
    """
    assert samples.clips is not None
    spec, windows = front_end.spec, _Windows([], [], [])
    with track("features", len(samples.clips)) as advance:
        for index, pcm in enumerate(samples.clips):
            rows = level_rows(pcm, spec) if len(pcm) >= spec.window_samples else np.empty((0, 0), np.int16)
            for count in sorted({*range(every, len(rows), every), len(rows)} - {0}):
                windows.x.append(front_end.newest(rows[:count]).ravel())
                windows.clips.append(pcm[: spec.window_samples + (count - 1) * spec.hop_samples])
                windows.ids.append(f"{samples.ids[index]}{STREAM_MARK}{count}")
            advance(1)
    if not windows.x:
        raise SamplesError(samples.origin, "has no clip as long as a window", limit=f"{spec.window_samples}")
    return replace(
        samples,
        x=np.array(windows.x),
        y=None,
        ids=tuple(windows.ids),
        origin=f"{samples.origin} as streams, heard every {every} frames",
        clips=tuple(windows.clips),
        stream=True,
    )


class _Windows(NamedTuple):
    """What is heard of streams."""

    x: list[npt.NDArray[np.int8]]
    clips: list[npt.NDArray[np.int16]]
    ids: list[str]


def features_of(
    clips: Sequence[npt.NDArray[np.int16]], front_end: FrontEnd, track: Track = silent
) -> npt.NDArray[np.int8]:
    """The maps of clips, int8 (n, frames * mels)."""
    maps = np.empty((len(clips), front_end.spec.frames * front_end.spec.mels), np.int8)
    with track("features", len(clips)) as advance:
        for index, pcm in enumerate(clips):
            maps[index] = front_end.run(pcm).ravel()
            advance(1)
    return maps
