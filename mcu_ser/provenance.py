# SPDX-License-Identifier: Apache-2.0
"""Checks that the files of a run directory were made from one another.

A stage that was interrupted, or one that ran again, leaves new files beside those that later stages made of
its former ones. Together they would still train and convert, and the test speakers of one could be among
those that the other learnt from; the manifest tells them apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcu_ser.artifacts import canonical_json, sha256_file, sha256_hex
from mcu_ser.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from mcu_ser.artifacts import RunDir
    from mcu_ser.recipe import Recipe

# What recipe.toml has for stages to come, and what decides nothing of a run.
_OF_COMPRESS = ("pruning", "qat")
_OF_NO_TRAINING = ("name", "budget", "study")


def recipe_tables(stage: str, recipe: Recipe) -> dict[str, str]:
    """SHA-256 of each table of a recipe that decides what a stage makes, for the manifest.

    Args:
        stage: train or compress; of train, all that is not of later stages.
        recipe: Resolved.
    """
    tables = recipe.model_dump(mode="json")
    of_train = [name for name in tables if name not in {*_OF_COMPRESS, *_OF_NO_TRAINING}]
    names = {"train": of_train, "compress": _OF_COMPRESS}[stage]
    return {name: sha256_hex(canonical_json(tables[name]).encode()) for name in names}


def require_made_of_one_another(run_dir: RunDir, recipe: Recipe, stages: Sequence[str]) -> None:
    """Check that stages have finished, that each read what the others wrote, and that the recipe is theirs.

    Args:
        run_dir: The run directory.
        recipe: What is to go on with. Tables of stages to come may have changed.
        stages: Names of those whose files are to be read, in the order of work.

    Raises:
        ConfigError: A stage has not finished, or a file or a table of the recipe is not the one that it wrote
            or read.
    """
    recorded = run_dir.read_manifest()["stages"]
    for stage in stages:
        again = run_dir.command(stage)
        read, wrote, tables = (_record(recorded.get(stage), part) for part in ("read", "wrote", "recipe"))
        if not wrote:
            raise ConfigError(run_dir.root, f"has no finished {stage} stage", hint=again)
        for name, sha256 in recipe_tables(stage, recipe).items():
            if tables.get(name) != sha256:
                raise ConfigError(
                    run_dir.recipe, f"{name} is not what the {stage} stage was made with", hint=again
                )
        for name, sha256 in read.items():
            if _differs(run_dir, name, sha256):
                raise ConfigError(
                    run_dir.root / name, f"is not what the {stage} stage was made from", hint=again
                )
        for name, sha256 in wrote.items():
            if _differs(run_dir, name, sha256):
                raise ConfigError(
                    run_dir.root / name, f"is not of the last {stage} stage that finished", hint=again
                )


def _record(record: Any, part: str) -> dict[str, str]:
    hashes = record.get(part) if isinstance(record, dict) else None
    return hashes if isinstance(hashes, dict) else {}


def _differs(run_dir: RunDir, name: str, sha256: str) -> bool:
    """Whether a file is there and another one; one that is not there is missed by who reads it.

    recipe.toml is compared by its tables.
    """
    path = run_dir.root / name
    return path != run_dir.recipe and path.is_file() and sha256_file(path) != sha256
