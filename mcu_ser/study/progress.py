# SPDX-License-Identifier: Apache-2.0
"""How far a study is, and how long the rest will take, from the seconds that finished jobs took."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from statistics import mean
from typing import TYPE_CHECKING

from mcu_ser.errors import ConfigError
from mcu_ser.study.results import CELL, read_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mcu_ser.study.directory import State, StudyDir
    from mcu_ser.study.grid import Job


@dataclass(frozen=True)
class Progress:
    """How far a study is.

    Args:
        done: Jobs with a result.
        failed: Jobs that failed, and those that waited for them.
        total: All jobs.
        seconds_left: What the others are expected to take; None before there is anything to go by.
    """

    done: int
    failed: int
    total: int
    seconds_left: float | None


def progress_of(study: StudyDir, state: State, *, busy: int) -> Progress:
    """The progress of a study on which `busy` workers work, on any machines."""
    others = [*state.ready, *state.waiting]
    lost = len(state.failed) + len(state.blocked)
    known = [(job, _seconds(study.cell(job.key) / CELL)) for job in state.done]
    left = _expected_seconds([(job, seconds) for job, seconds in known if seconds is not None], others)
    return Progress(
        len(state.done),
        lost,
        len(state.done) + lost + len(others),
        None if left is None else left / max(1, min(busy, len(others))),
    )


def in_words(seconds: float) -> str:
    """A duration for people: about 40 s, 12 min, 1 h 50 min."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _expected_seconds(known: Sequence[tuple[Job, float]], others: Sequence[Job]) -> float | None:
    """What other jobs take in all, each as long as those most like it have taken."""
    if not known:
        return None
    took: dict[tuple[str, ...], list[float]] = {}
    for job, seconds in known:
        for likeness in _likenesses(job):
            took.setdefault(likeness, []).append(seconds)
    means = {likeness: mean(values) for likeness, values in took.items()}
    return sum(next(means[one] for one in _likenesses(job) if one in means) for job in others)


def _likenesses(job: Job) -> list[tuple[str, ...]]:
    """What jobs may have in common with this one, most first; the last is common to all."""
    return [(job.kind, job.place.model, job.place.approach), (job.kind, job.place.model), (job.kind,), ()]


@cache
def _seconds(path: Path) -> float | None:
    """What a finished job took; results do not change."""
    try:
        return float(read_json(path)["seconds"])
    except (ConfigError, KeyError, TypeError, ValueError):
        return None  # whoever needs the result will say what is wrong with it
