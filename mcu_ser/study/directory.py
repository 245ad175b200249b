# SPDX-License-Identifier: Apache-2.0
"""The directory of a study: what is done, what failed, and where things are.

    study.toml        the resolved recipe; one that differs in more than the grid is refused
    cells/KEY/        what a job came to; there once it is whole
    failures/KEY.json why a job has no result
    claims/           who works on what
    cache/            what jobs have in common
    calls/            when which machine worked on the study

Several machines may work in one directory, if it is on storage that they share.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcu_ser.artifacts import canonical_json, first_directory, write_text
from mcu_ser.errors import ConfigError
from mcu_ser.recipe import load_recipe, save_recipe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from mcu_ser.recipe import Recipe
    from mcu_ser.study.grid import Job

_ANOTHER = "another --out"


@dataclass(frozen=True)
class StudyDir:
    """Paths and state of one study. Constructing it touches no file."""

    root: Path

    @property
    def recipe(self) -> Path:
        """The study's resolved recipe (TOML)."""
        return self.root / "study.toml"

    @property
    def claims(self) -> Path:
        return self.root / "claims"

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    @property
    def calls(self) -> Path:
        return self.root / "calls"

    def cell(self, key: str) -> Path:
        """Directory of a finished job."""
        return self.root / "cells" / key

    def failure(self, key: str) -> Path:
        """Why a job has no result (JSON of `place`, `error`, `traceback`)."""
        return self.root / "failures" / f"{key}.json"

    def open(self, recipe: Recipe) -> None:
        """Make the directory, or take one that holds this recipe's study.

        The grid may be another: more seeds later, or another approach, find what they share done.

        Raises:
            ConfigError: It holds something else or cannot be written.
        """
        try:
            if self.root.exists() and not self.root.is_dir():
                raise ConfigError(self.root, "is not a directory", hint=_ANOTHER)
            # Names with a dot are files in the making: another call may be starting the same study.
            if not self.recipe.exists() and any(self.root.glob("[!.]*")) and not self.recipe.exists():
                raise ConfigError(self.root, "is not empty and has no study.toml", hint=_ANOTHER)
        except OSError as error:
            raise ConfigError(self.root, f"cannot be read ({error.strerror})", hint=_ANOTHER) from error
        if not self.recipe.exists():
            save_recipe(recipe, self.recipe)
        kept = load_recipe(self.recipe)
        if difference := next(_differences(_of_cells(kept), _of_cells(recipe)), None):
            key, there, here = difference
            raise ConfigError(
                self.root,
                f"holds the study of another recipe ({key} is {there} there, {here} here)",
                hint=_ANOTHER,
            )
        if kept != recipe:
            save_recipe(recipe, self.recipe)

    def publish(self, key: str) -> AbstractContextManager[Path]:
        """A directory that becomes `cell(key)` when the block ends, unless another worker was first."""
        return first_directory(self.cell(key))

    def is_done(self, key: str) -> bool:
        """Whether a job has its result."""
        return self.cell(key).is_dir()

    def record_failure(self, job: Job, error: str, traceback: str = "") -> None:
        """Keep why a job has no result."""
        document = {"place": str(job), "error": error, "traceback": traceback}
        write_text(self.failure(job.key), canonical_json(document))

    def forget_failures(self, jobs: Iterable[Job]) -> None:
        """Let these jobs be tried again."""
        for job in jobs:
            self.failure(job.key).unlink(missing_ok=True)

    def state(self, jobs: Iterable[Job]) -> State:
        """What has become of each job."""
        done: list[Job] = []
        failed: list[Job] = []
        blocked: list[Job] = []
        ready: list[Job] = []
        waiting: list[Job] = []
        lost: set[str] = set()
        reached: set[str] = set()
        for job in jobs:
            needs = {one.key for one in job.candidates}
            if self.is_done(job.key):
                done.append(job)
                reached.add(job.key)
            elif self.failure(job.key).exists():
                failed.append(job)
                lost.add(job.key)
            elif needs & lost:
                blocked.append(job)
            else:
                (ready if needs <= reached else waiting).append(job)
        return State(tuple(done), tuple(failed), tuple(blocked), tuple(ready), tuple(waiting))


@dataclass(frozen=True)
class State:
    """The jobs of a study by what has become of them; each list in the order of work.

    Args:
        done: With a result.
        failed: Tried, without a result.
        blocked: Not tried, because what they wait for failed.
        ready: To be done, perhaps at this moment.
        waiting: For others that are to be done.
    """

    done: tuple[Job, ...]
    failed: tuple[Job, ...]
    blocked: tuple[Job, ...]
    ready: tuple[Job, ...]
    waiting: tuple[Job, ...]

    @property
    def is_over(self) -> bool:
        """Whether nothing more can be done."""
        return not self.ready and not self.waiting


def _of_cells(recipe: Recipe) -> dict[str, Any]:
    """What decides cells; the rest says which there are."""
    return recipe.model_dump(mode="json", exclude={"name", "study"})


def _differences(one: Any, other: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    if not (isinstance(one, Mapping) and isinstance(other, Mapping)):
        if one != other:
            yield key, one, other
        return
    for name in sorted(one.keys() | other.keys()):
        yield from _differences(one.get(name), other.get(name), f"{key}.{name}" if key else name)
