# SPDX-License-Identifier: Apache-2.0
"""Reads .npz files that anybody may have made: plain arrays alone, and what is in them is checked."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO

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
        SamplesError: It is absent, cannot be read, or is no .npz of plain arrays.
    """
    file = _opened(path, expected)
    try:
        # Pickled objects could run code when loaded; plain arrays are all that is needed.
        with file as stream:
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


def _opened(path: Path, expected: str) -> BinaryIO:
    try:
        if not path.is_file():
            raise SamplesError(path, "is not a file", hint=expected)
        return path.open("rb")
    except OSError as error:
        problem = f"cannot be read ({error.strerror or error})"
        raise SamplesError(path, problem, hint="read permission for it") from error


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
        SamplesError: There are another number, or one is not text that a report can hold.
    """
    if key not in arrays:
        return None
    values = arrays[key]
    if values.shape != (count,):
        raise SamplesError(path, f"{key} has shape {values.shape}, not ({count},)")
    return tuple(_text(path, values, key, index) for index in range(count))


def _text(path: Path, values: NDArray[Any], key: str, index: int) -> str:
    try:
        value = values[index]
        text = value.decode() if isinstance(value, bytes) else str(value)
        text.encode()  # lone surrogates have no UTF-8, in which reports are written
    except (SystemError, ValueError) as error:  # the former of NumPy, of what is no character
        raise SamplesError(path, f"{key} has at index {index} what is not UTF-8 text") from error
    return text
