# SPDX-License-Identifier: Apache-2.0
"""A worker: takes jobs of a study, one at a time, until there is nothing more to do or its process is old.

Started by `crew` as `python -m mcu_ser.study.worker PLAN`. What it writes appears whole or not at all, so it
may be killed at any time.
"""

from __future__ import annotations

import signal
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mcu_ser.claims import Claims, Owner
from mcu_ser.code_digest import STUDY_CODE, code_digest
from mcu_ser.errors import McuSerError
from mcu_ser.study.directory import StudyDir
from mcu_ser.study.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from mcu_ser.study.grid import Job

    Compute = Callable[[Job, StudyDir, Path | None, Path], None]

_POLL_S = 0.5
# TensorFlow keeps some of what it compiled: a process grows by about 150 MB per training. One that has done
# so many ends, and `crew` starts another; a study may have any number of jobs.
_JOBS_OF_A_PROCESS = 12


@dataclass(frozen=True)
class Worker:
    """One process's part in a study.

    Args:
        plan: The jobs, and where things are.
        compute: Does one job; see `compute.compute`.
        poll_s: Time between two looks for a job, when others have them all.
        most_jobs: After so many the process makes room for a new one; None: never.
    """

    plan: Plan
    compute: Compute
    poll_s: float = _POLL_S
    most_jobs: int | None = None

    def run(self) -> None:
        """Do jobs until each has its result or has failed, or until this process has had its share."""
        study = StudyDir(self.plan.directory)
        claims = Claims(study.claims, Owner.this_process())
        done = 0
        while done != self.most_jobs and not (state := study.state(self.plan.jobs)).is_over:
            if any(self._try(job, study, claims) for job in state.ready):
                done += 1
            else:
                time.sleep(self.poll_s)

    def _try(self, job: Job, study: StudyDir, claims: Claims) -> bool:
        """Do a job unless another worker does; returns whether it was done here."""
        with claims.claimed(job.key) as mine:
            # It may have been finished after it was found open and before its claim was free.
            if not mine or study.is_done(job.key) or study.failure(job.key).exists():
                return False
            self._do(job, study)
            return True

    def _do(self, job: Job, study: StudyDir) -> None:
        try:
            self.compute(job, study, self.plan.corpus_root, self.plan.scratch)
        except McuSerError as error:
            study.record_failure(job, str(error), traceback.format_exc())
        # Whatever a library raises for one cell, the others go on and the study ends with this one's name.
        except Exception as error:  # noqa: BLE001
            study.record_failure(job, f"{type(error).__name__}: {error}", traceback.format_exc())


def main(argv: list[str], compute: Compute | None = None) -> int:
    """Work on the plan in the file that `argv` names."""
    signal.signal(signal.SIGTERM, _end)
    plan = Plan.load(Path(argv[0]))
    if code_digest(*STUDY_CODE) != plan.code:
        # What this process would compute is not what the keys of its results would say.
        sys.exit("the code of mcu-ser has changed since the study was started")
    if compute is None:
        from mcu_ser.study import compute as stages  # TensorFlow takes seconds

        stages.use_one_thread()
        compute = stages.compute
    Worker(plan, compute, most_jobs=_JOBS_OF_A_PROCESS).run()
    return 0


def _end(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # what cleans up is not interrupted in its turn
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
