# SPDX-License-Identifier: Apache-2.0
"""Checks that the files of a run directory were made from one another.

A stage that was interrupted, or one that ran again, leaves new files beside those that later stages made of
its former ones. Together they would still train and convert, and the test speakers of one could be among
those that the other learnt from; the manifest tells them apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcu_ser.artifacts import sha256_file
from mcu_ser.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from mcu_ser.artifacts import RunDir


def require_made_of_one_another(run_dir: RunDir, stages: Sequence[str]) -> None:
    """Check that stages have finished, and that each read what the others wrote.

    recipe.toml is left out: a user may change the table of a stage that is still to come.

    Args:
        run_dir: The run directory.
        stages: Names of those whose files are to be read, in the order of work.

    Raises:
        ConfigError: A stage has not finished, or a file is not the one that it wrote or read.
    """
    recorded = run_dir.read_manifest()["stages"]
    for stage in stages:
        again = f"mcu-ser {stage} {run_dir.root}"
        read, wrote = (_files(recorded.get(stage), direction) for direction in ("read", "wrote"))
        if not wrote:
            raise ConfigError(run_dir.root, f"has no finished {stage} stage", hint=again)
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


def _files(record: Any, direction: str) -> dict[str, str]:
    files = record.get(direction) if isinstance(record, dict) else None
    return files if isinstance(files, dict) else {}


def _differs(run_dir: RunDir, name: str, sha256: str) -> bool:
    """Whether a file is there and another one; one that is not there is missed by who reads it."""
    path = run_dir.root / name
    return path != run_dir.recipe and path.is_file() and sha256_file(path) != sha256
