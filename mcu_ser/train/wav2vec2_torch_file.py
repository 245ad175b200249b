# SPDX-License-Identifier: Apache-2.0
"""Turns a pytorch_model.bin into numpy arrays without torch, for the checkpoints that are published that way.

The format (torch.save since torch 1.6): a zip of `<name>/data.pkl`, a pickled dictionary of tensors that
refer to storages, and `<name>/data/<key>`, the little-endian bytes of each storage. A pickle can call any
function; this reader knows the few names that a dictionary of tensors needs and refuses all others.
"""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mcu_ser.errors import ConfigError
from mcu_ser.npz_arrays import NOT_AN_NPZ

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_DTYPES: Mapping[str, str] = {
    "HalfStorage": "<f2",
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "IntStorage": "<i4",
    "LongStorage": "<i8",
    "BoolStorage": "|b1",
}


def read_torch_file(path: Path) -> dict[str, NDArray[Any]]:
    """The tensors of a state dictionary, by name.

    Raises:
        ConfigError: The file is not that, is damaged, or holds something else than tensors.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            pickled = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            if len(pickled) != 1:
                raise pickle.UnpicklingError("it has no data.pkl")
            prefix = pickled[0].removesuffix("data.pkl")
            with archive.open(pickled[0]) as stream:
                content = _Unpickler(stream, archive, prefix).load()
        if not isinstance(content, Mapping):
            raise pickle.UnpicklingError(f"it holds a {type(content).__name__}")
        tensors = {name: value for name, value in content.items() if isinstance(value, np.ndarray)}
        if len(tensors) != len(content):
            raise pickle.UnpicklingError("it holds more than tensors")
    # A pickle of wrong content fails in as many ways as there are operations in it.
    except (
        *NOT_AN_NPZ,  # an archive too
        *(pickle.UnpicklingError, KeyError, IndexError, AttributeError),
    ) as error:
        raise ConfigError(
            path,
            f"is not a dictionary of tensors that torch 1.6 or later saved ({error})",
            hint="the same model as model.safetensors",
        ) from error
    return tensors


@dataclass(frozen=True)
class _StorageType:
    """Stands for torch.FloatStorage and its like."""

    name: str


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream: Any, archive: zipfile.ZipFile, prefix: str) -> None:
        super().__init__(stream, encoding="utf-8")
        self._archive, self._prefix = archive, prefix

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in _DTYPES:
            return _StorageType(name)
        raise pickle.UnpicklingError(f"it names {module}.{name}")

    def persistent_load(self, pid: Any) -> NDArray[Any]:
        kind, storage, key, _, count = pid
        if kind != "storage" or not isinstance(storage, _StorageType):
            raise pickle.UnpicklingError(f"it refers to a {kind}")
        data = self._archive.read(f"{self._prefix}data/{key}")
        return np.frombuffer(data, _DTYPES[storage.name], int(count))


def _tensor(
    storage: NDArray[Any], offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any
) -> NDArray[Any]:
    """A copy of the part of a storage that a tensor shows; sizes and strides in elements."""
    if len(size) != len(stride) or offset < 0 or min((*size, *stride), default=0) < 0:
        raise ValueError(f"a tensor of size {size} and stride {stride}")
    reach = offset + sum((extent - 1) * step for extent, step in zip(size, stride, strict=True))
    if 0 not in size and reach >= len(storage):
        raise ValueError(f"a tensor ends beyond its {len(storage)} elements")
    strides = [step * storage.itemsize for step in stride]
    shown: NDArray[Any] = np.lib.stride_tricks.as_strided(storage[offset:], size, strides, writeable=False)
    return np.array(shown)
