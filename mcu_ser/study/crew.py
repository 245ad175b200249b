# SPDX-License-Identifier: Apache-2.0
"""Runs the workers of one call of `mcu-ser study`, and tells how far the whole study is."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mcu_ser.claims import Claims, Owner
from mcu_ser.code_digest import STUDY_CODE, code_digest
from mcu_ser.device.process import SupervisedProcess, how_it_ended
from mcu_ser.errors import CheckFailedError
from mcu_ser.study.plan import Plan
from mcu_ser.study.progress import Progress, progress_of

if TYPE_CHECKING:
    from types import FrameType

    from mcu_ser.study.directory import State, StudyDir
    from mcu_ser.study.grid import Job

Watch = Callable[[Progress], None]

# What a plan's file is given to.
WORKER = (sys.executable, "-m", "mcu_ser.study.worker")

# One thread per worker, also in the libraries that read this alone.
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_POLL_S = 0.5
# A worker may be killed by a person or for want of memory, once; twice on one job is the job's fault.
_DEATHS = 2


def available_cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_jobs(
    study: StudyDir,
    jobs: Sequence[Job],
    *,
    corpus_root: Path | None,
    workers: int,
    watch: Watch,
) -> State:
    """Have all jobs done, by workers of this machine and by those of any other that work on the study.

    Args:
        study: Opened.
        jobs: In the order of work.
        corpus_root: Where recordings are, None if the corpora need none.
        workers: How many processes.
        watch: Told of the study's progress, now and then.

    Returns:
        How it ended: `is_over` is true; some may have failed.

    Raises:
        CheckFailedError: Workers cannot be started.
    """
    study.forget_failures(jobs)
    room = tempfile.TemporaryDirectory(prefix="mcu-ser-study-", ignore_cleanup_errors=True)
    with _terminated_like_interrupted(), room as scratch:
        plan = Path(scratch) / "plan.json"
        # Workers run in this directory too, but a path is clearer whole.
        Plan(
            study.root.resolve(),
            corpus_root.resolve() if corpus_root else None,
            Path(scratch),
            tuple(jobs),
            code_digest(*STUDY_CODE),
        ).save(plan)
        crew = _Crew(study, [*WORKER, str(plan)], jobs)
        try:
            while True:
                state = study.state(jobs)
                watch(progress_of(study, state, busy=max(workers, len(crew.claims.held()))))
                if state.is_over:
                    return state
                crew.tend(min(workers, len(state.ready) + len(state.waiting)))
                time.sleep(_POLL_S)
        finally:
            crew.stop()


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """SIGTERM, which batch systems and `timeout` send, would end this process without cleaning up."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    former = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


@dataclass
class _Crew:
    """The workers of this call.

    Args:
        study: What they work on.
        argv: What starts one.
        jobs: Of the study.
    """

    study: StudyDir
    argv: list[str]
    jobs: Sequence[Job]
    claims: Claims = field(init=False)
    _workers: list[SupervisedProcess] = field(default_factory=list)
    _deaths: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.claims = Claims(self.study.claims, Owner.this_process())

    def tend(self, wanted: int) -> None:
        """Look after the dead, and let there be so many workers."""
        for worker in list(self._workers):
            if (status := worker.returncode()) is not None:
                self._workers.remove(worker)
                if status != 0:
                    self._bury(worker, status)
                worker.stop()
        while len(self._workers) < wanted:
            self._workers.append(SupervisedProcess(self.argv, environment=_ONE_THREAD))

    def stop(self) -> None:
        """End all workers, and free what they had claimed."""
        for worker in self._workers:
            if worker.returncode() is None:
                with suppress(ProcessLookupError):
                    os.kill(worker.pid, signal.SIGTERM)
        for worker in self._workers:
            worker.stop()
            self._free(worker.pid)

    def _bury(self, worker: SupervisedProcess, status: int) -> None:
        how = f"{how_it_ended(status)}{_last_line(worker)}"
        names = self._free(worker.pid) or [""]
        for name in names:
            self._deaths[name] += 1
            if self._deaths[name] < _DEATHS:
                continue
            job = next((job for job in self.jobs if job.key == name), None)
            if job is None:
                raise CheckFailedError(
                    "study worker", how, hint="--jobs 1, more memory, or the same command again"
                )
            self.study.record_failure(job, f"its worker ended twice: {how}")

    def _free(self, pid: int) -> list[str]:
        """Give up the claims of a process that is no more; returns their names."""
        names = []
        for name, owner in self.claims.of_process(pid).items():
            self.claims.release(name, owner)
            names.append(name)
        return names


def _last_line(worker: SupervisedProcess) -> str:
    lines = worker.last_words().strip().splitlines()
    return f" ({lines[-1]})" if lines else ""
