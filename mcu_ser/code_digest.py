# SPDX-License-Identifier: Apache-2.0
"""A hash of this project's own code, for results that are kept by everything that decides them."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

import mcu_ser

# Whose code decides what a training comes to.
TRAINING_CODE = ("compress", "convert", "corpus", "features", "metrics", "train")
# A study also tells what the models take, refuses those that no firmware runs, and chooses among candidates.
_STUDY_MODULES = ("cell_result", "compute", "grid", "results")
STUDY_CODE = (*TRAINING_CODE, "aot", *(f"study/{name}" for name in _STUDY_MODULES))


@functools.cache
def code_digest(*names: str) -> str:
    """SHA-256 of the Python source of packages and modules of this project, 64 hex digits.

    Args:
        names: Theirs, below mcu_ser.
    """
    root = Path(mcu_ser.__file__).parent
    digest = hashlib.sha256(mcu_ser.__version__.encode())
    for name in names:
        for path in sorted([*root.glob(f"{name}.py"), *(root / name).rglob("*.py")]):
            digest.update(f"\n{path.relative_to(root).as_posix()}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
