# SPDX-License-Identifier: Apache-2.0
"""Test samples for `verify`: an .npz file, or seeded random bytes, as the int8 rows that go to the device."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mcu_ser.aot.tflite_reader import NUMPY_TYPES
from mcu_ser.convert.quantization import quantize
from mcu_ser.errors import SamplesError
from mcu_ser.npz_arrays import class_indices, read_arrays, strings
from mcu_ser.wording import counted

EXPECTED = "an .npz with x (float features or int8 tensors), optional y (classes), labels (class names), ids"


# Between the id of a stream and the number of its frames so far.
STREAM_MARK = "@"


class InputSpec(Protocol):
    """What is needed of the model's input: see `aot.compile.TensorSpec`."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def scale(self) -> float: ...
    @property
    def zero_point(self) -> int: ...
    @property
    def dtype(self) -> str: ...


@dataclass(frozen=True)
class Samples:
    """Samples as the device gets them.

    Attributes:
        x: Bytes of the quantised inputs, int8, shape (n, input bytes).
        y: True class per sample, int64 shape (n,), or None.
        labels: Class names, or None.
        ids: A name per sample, for reports.
        origin: Where they came from, for reports.
        clips: What goes to a device that hears, int16 (at least 1,) each; `x` is then what its front end must
            make of them. None: `x` itself is sent.
        bands: Mel bands of a row of those maps; None without clips.
        stream: The clips are streams so far, of which the device hears the newest window: one that begins
            with all of the one before goes on with it.
        classes: How many there are; None: as many as the model has outputs.
    """

    x: npt.NDArray[np.int8]
    y: npt.NDArray[np.int64] | None
    labels: tuple[str, ...] | None
    ids: tuple[str, ...]
    origin: str
    clips: tuple[npt.NDArray[np.int16], ...] | None = None
    bands: int | None = None
    stream: bool = False
    classes: int | None = None


def random_samples(count: int, seed: int, spec: InputSpec) -> Samples:
    """`count` samples of uniformly random stored values: they prove equality of bytes, not accuracy."""
    if count < 1:
        raise SamplesError("--random", f"{count} samples", limit="at least 1")
    if seed < 0:
        raise SamplesError("--seed", str(seed), limit="at least 0")
    generator = np.random.default_rng(seed)
    try:
        limits = np.iinfo(_numpy_type(spec))
        size = (count, math.prod(spec.shape))
        x = generator.integers(limits.min, limits.max + 1, size, dtype=_numpy_type(spec)).view(np.int8)
    except (MemoryError, ValueError) as error:
        raise SamplesError("--random", f"{count} samples do not fit the memory", hint="fewer") from error
    ids = tuple(f"random-{index}" for index in range(count))
    return Samples(
        x=x, y=None, labels=None, ids=ids, origin=f"{counted(count, 'random sample')}, seed {seed}"
    )


def _numpy_type(spec: InputSpec) -> np.dtype[Any]:
    return np.dtype(NUMPY_TYPES[spec.dtype])


def load_samples(path: Path, spec: InputSpec, classes: int | None) -> Samples:
    """Read an .npz file of samples.

    Args:
        path: File with `x` of shape (n, *input shape without batch) or (n, input elements), float or of the
            input's type; optionally `y` (n,) integers in [0, classes), `labels` (classes,) and `ids` (n,)
            strings.
        spec: The model's input; floats are quantised with its scale and zero point.
        classes: Of which the output tells one sample's; None if it does not.

    Raises:
        SamplesError: The file is absent or not such an .npz, or its content does not fit the model.
    """
    arrays = read_arrays(path, EXPECTED)
    if "x" not in arrays:
        raise SamplesError(path, f"holds {sorted(arrays) or 'nothing'}, not x", hint=EXPECTED)
    x = quantized_rows(path, arrays["x"], spec)
    if classes is None and {"y", "labels"} & set(arrays):
        raise SamplesError(
            path, "has classes, and the model gives several indices", hint="an .npz of x alone"
        )
    classes = classes or 0
    labels = strings(path, arrays, "labels", classes)
    ids = strings(path, arrays, "ids", len(x))
    return Samples(
        x=x,
        y=class_indices(path, arrays.get("y"), len(x), classes),
        labels=labels,
        ids=ids if ids is not None else tuple(f"sample-{index}" for index in range(len(x))),
        origin=path.name,
        classes=classes or None,
    )


def quantized_rows(subject: object, x: npt.NDArray[Any], spec: InputSpec) -> npt.NDArray[np.int8]:
    """Samples as the device gets them: bytes, int8 (n, input bytes).

    Args:
        subject: Where they are from, for errors.
        x: Float or of the input's type, of shape (n, *input shape without batch) or (n, input elements), n at
            least 1.
        spec: The model's input; floats are quantised with its scale and zero point.

    Raises:
        SamplesError: They do not fit the model.
    """
    elements = math.prod(spec.shape)
    fits = x.ndim >= 1 and x.shape[1:] in {tuple(spec.shape[1:]), (elements,)}
    if not fits:
        raise SamplesError(
            subject, f"x has shape {x.shape}, the model takes (n, {', '.join(map(str, spec.shape[1:]))})"
        )
    if len(x) == 0:
        raise SamplesError(subject, "x holds no sample", limit="at least 1")
    if x.dtype == _numpy_type(spec):
        return np.ascontiguousarray(x.reshape(len(x), elements)).view(np.int8)
    if not np.issubdtype(x.dtype, np.floating):
        taken = f"{_numpy_type(spec)} tensors or float features"
        raise SamplesError(subject, f"x has dtype {x.dtype}, the model takes {taken}")
    if not np.isfinite(x).all():
        raise SamplesError(subject, "x holds NaN or infinite values")
    stored = quantize(x.reshape(len(x), elements), spec.scale, spec.zero_point, _numpy_type(spec))
    return stored.view(np.int8)
