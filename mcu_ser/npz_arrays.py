# SPDX-License-Identifier: Apache-2.0
"""Reads .npz files that anybody may have made: plain arrays alone, and what is in them is checked."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from mcu_ser.errors import SamplesError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

# What NumPy and zipfile raise on files that are damaged, encrypted, or none of theirs.
NOT_AN_NPZ = (
    EOFError,
    MemoryError,
    NotImplementedError,  # zipfile, of a compression it does not know
    OSError,
    OverflowError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_arrays(path: Path, expected: str) -> dict[str, NDArray[Any]]:
    """Every array of an .npz by its name.

    Args:
        path: The file.
        expected: What it should be, for errors.

    Raises:
        SamplesError: It is absent, or no .npz of plain arrays.
    """
    if not path.is_file():
        raise SamplesError(path, "is not a file", hint=expected)
    try:
        # Pickled objects could run code when loaded; plain arrays are all that is needed.
        with path.open("rb") as stream:
            archive = np.load(stream, allow_pickle=False)
            if isinstance(archive, np.ndarray):
                raise SamplesError(path, "is a single .npy array", hint=expected)
            arrays = {name: archive[name] for name in archive.files}
    except NOT_AN_NPZ as error:
        raise SamplesError(path, "is not an .npz of plain arrays", hint=expected) from error
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise SamplesError(path, f"{name} is not an array", hint=expected)
    return arrays


def class_indices(path: Path, y: NDArray[Any] | None, count: int, classes: int) -> NDArray[np.int64] | None:
    """The true classes of `count` samples, if there are any.

    Raises:
        SamplesError: They are not integers in [0, classes), one for each.
    """
    if y is None:
        return None
    if y.shape != (count,) or not np.issubdtype(y.dtype, np.integer):
        raise SamplesError(path, f"y is {y.dtype} of shape {y.shape}, not integers of shape ({count},)")
    if y.min() < 0 or y.max() >= classes:
        raise SamplesError(path, f"y holds class {int(y.min())}..{int(y.max())}", limit=f"0..{classes - 1}")
    return y.astype(np.int64)


def strings(path: Path, arrays: Mapping[str, NDArray[Any]], key: str, count: int) -> tuple[str, ...] | None:
    """`count` names, if there are any.

    Raises:
        SamplesError: There are another number.
    """
    if key not in arrays:
        return None
    values = arrays[key]
    if values.shape != (count,):
        raise SamplesError(path, f"{key} has shape {values.shape}, not ({count},)")
    return tuple(str(value) for value in values)
