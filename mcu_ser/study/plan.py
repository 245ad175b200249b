# SPDX-License-Identifier: Apache-2.0
"""What workers are given: the jobs of a study and where things are, as a file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcu_ser.artifacts import canonical_json, write_text
from mcu_ser.recipe import Recipe
from mcu_ser.study.grid import Candidate, Job
from mcu_ser.study.study import GridCell


@dataclass(frozen=True)
class Plan:
    """Work to be done.

    Args:
        directory: Of the study; see `directory.StudyDir`.
        corpus_root: Where recordings are, None if the corpora need none.
        scratch: Room for the files of work in progress.
        jobs: In the order of work.
        code: Digest of the code that the keys of the jobs vouch for.
    """

    directory: Path
    corpus_root: Path | None
    scratch: Path
    jobs: tuple[Job, ...]
    code: str

    def save(self, path: Path) -> None:
        """Write what `load` reads."""
        document = {
            "directory": str(self.directory),
            "corpus_root": str(self.corpus_root) if self.corpus_root else None,
            "scratch": str(self.scratch),
            "jobs": [_job_document(job) for job in self.jobs],
            "code": self.code,
        }
        write_text(path, canonical_json(document))

    @classmethod
    def load(cls, path: Path) -> Plan:
        """Read what `save` wrote."""
        document = json.loads(path.read_text(encoding="utf-8"))
        root = document["corpus_root"]
        return cls(
            Path(document["directory"]),
            Path(root) if root else None,
            Path(document["scratch"]),
            tuple(_job(one) for one in document["jobs"]),
            document["code"],
        )


def _job_document(job: Job) -> dict[str, Any]:
    return {
        "key": job.key,
        "kind": job.kind,
        "place": vars(job.place),
        "recipe": job.recipe.model_dump(mode="json"),
        "candidates": [{"chosen": dict(one.chosen), "key": one.key} for one in job.candidates],
    }


def _job(document: dict[str, Any]) -> Job:
    return Job(
        document["key"],
        document["kind"],
        GridCell(**document["place"]),
        Recipe.model_validate(document["recipe"]),
        tuple(Candidate(**one) for one in document["candidates"]),
    )
