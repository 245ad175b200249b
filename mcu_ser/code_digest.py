# SPDX-License-Identifier: Apache-2.0
"""A hash of this project's own code, for results that are kept by everything that decides them."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

import mcu_ser

# Packages whose code decides what a training comes to.
TRAINING_CODE = ("compress", "convert", "corpus", "features", "train")


@functools.cache
def code_digest(*packages: str) -> str:
    """SHA-256 of the Python source of packages of this project, 64 hex digits.

    Args:
        packages: Their names below mcu_ser.
    """
    root = Path(mcu_ser.__file__).parent
    digest = hashlib.sha256(mcu_ser.__version__.encode())
    for package in packages:
        for path in sorted((root / package).rglob("*.py")):
            digest.update(f"\n{path.relative_to(root).as_posix()}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
