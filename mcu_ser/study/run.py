# SPDX-License-Identifier: Apache-2.0
"""A whole study: plans it, has it computed, and gathers it for the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcu_ser.errors import CheckFailedError
from mcu_ser.recipe import resolved_toml
from mcu_ser.study.calls import Call, all_calls
from mcu_ser.study.crew import run_jobs
from mcu_ser.study.results import PICTURE, read_cell, read_figure, read_json
from mcu_ser.study.study import Study

if TYPE_CHECKING:
    from pathlib import Path

    from mcu_ser.study.crew import Watch
    from mcu_ser.study.directory import State, StudyDir
    from mcu_ser.study.grid import Job
    from mcu_ser.study.prepare import Prepared
    from mcu_ser.study.progress import Progress

# Of failed cells, so many are named; the directory has all.
_NAMED = 5


def compute_grid(
    study: StudyDir,
    prepared: Prepared,
    *,
    corpus_root: Path | None,
    workers: int,
    watch: Watch,
) -> None:
    """Compute every cell that has no result yet.

    Args:
        study: Opened for the recipe that was prepared.
        prepared: What is to be done.
        corpus_root: Where recordings are, None if the corpora need none.
        workers: Processes on this machine.
        watch: Told of the progress, now and then.

    Raises:
        CheckFailedError: Cells failed; the others have their results.
    """
    call = Call(study.calls, workers)

    def watched(progress: Progress) -> None:
        call.keep()
        watch(progress)

    try:
        state = run_jobs(study, prepared.jobs, corpus_root=corpus_root, workers=workers, watch=watched)
    finally:
        call.keep(now=True)
    if state.failed:
        raise _failed(study, state)


def gather(study: StudyDir, prepared: Prepared, command: str) -> Study:
    """A finished study, as its report reads it.

    Args:
        study: In which every cell is done; those that are not are missing in what this returns.
        prepared: What was to be done.
        command: The command line.

    Raises:
        ConfigError: A result is damaged.
    """
    jobs = {job.place: job for job in prepared.jobs if job.kind == "cell" and study.is_done(job.key)}
    pictured = next((job for place in prepared.grid if (job := jobs.get(place)) and _has_graph(job)), None)
    seconds, hardware = all_calls(study.calls)
    return Study(
        name=prepared.recipe.name,
        recipe=resolved_toml(prepared.recipe),
        labels=prepared.labels,
        folds=prepared.folds,
        grid=prepared.grid,
        cells=tuple(read_cell(study, job) for job in jobs.values()),
        versions=prepared.versions,
        corpora=prepared.corpora,
        picture=_picture(study, pictured),
        picture_caption=str(pictured.place) if pictured else "",
        command=command,
        hardware=hardware,
        seconds=seconds,
        choosing_seconds=sum(
            read_figure(study, job.key, "processor_seconds")
            for job in prepared.jobs
            if job.kind == "choice" and study.is_done(job.key)
        ),
    )


def _has_graph(job: Job) -> bool:
    return job.recipe.graph.multiplier > 0


def _picture(study: StudyDir, job: Job | None) -> dict[str, Any] | None:
    return read_json(study.cell(job.key) / PICTURE) if job else None


def _failed(study: StudyDir, state: State) -> CheckFailedError:
    named = "; ".join(f"{job}: {read_json(study.failure(job.key))['error']}" for job in state.failed[:_NAMED])
    more = f" (and {len(state.failed) - _NAMED} more)" if len(state.failed) > _NAMED else ""
    waited = f"; {len(state.blocked)} waited for them" if state.blocked else ""
    total = len(state.done) + len(state.failed) + len(state.blocked)
    return CheckFailedError(
        study.root,
        f"{len(state.failed)} of {total} trainings failed: {named}{more}{waited}",
        hint=f"{study.root / 'failures'} has the details; the same command tries them again",
    )
