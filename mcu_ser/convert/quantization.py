# SPDX-License-Identifier: Apache-2.0
"""Turns float features into the int8 values of a model's input tensor, and back, for host and device alike.

This is the one definition of float -> int8 in the project. Features of the integer front end are integers
from the first to the last and never pass here: `mcu_ser.features.front_end` is theirs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mcu_ser.errors import ModelError, SamplesError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

INT8_MIN = -128
INT8_MAX = 127


@dataclass(frozen=True)
class Quantization:
    """Affine quantisation of a whole tensor: real value = scale * (int8 value - zero_point).

    Args:
        scale: Step in real units; an IEEE-754 binary32 value, positive and finite.
        zero_point: The int8 value that stands for 0.0.

    Raises:
        ModelError: A scale or zero point that no valid model holds.
    """

    scale: float
    zero_point: int

    def __post_init__(self) -> None:
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise ModelError("quantisation", f"scale {self.scale!r} is not a positive number")
        if not INT8_MIN <= self.zero_point <= INT8_MAX:
            raise ModelError("quantisation", f"zero point {self.zero_point} is not an int8 value")


def quantize(x: ArrayLike, scale: float, zero_point: int, dtype: np.dtype[Any] | None = None) -> NDArray[Any]:
    """Stored values of real values, rounded to nearest with ties away from zero, then saturated.

    `x` is taken as binary32; the quotient is formed in binary64, which orders any quotient of two binary32
    numbers correctly against every tie of the int16 range, so the result is that of exact arithmetic.
    TFLite's QUANTIZE operator has the same rule with a quotient of binary32: next to a tie it may take the
    neighbour.

    Args:
        x: Real values, any shape.
        scale: Step in real units, taken as binary32.
        zero_point: The stored value that stands for 0.0.
        dtype: int8 (None) or int16.

    Raises:
        ModelError: A scale or zero point that no valid model holds.
        SamplesError: A value that is not finite.
    """
    step = np.float64(np.float32(Quantization(scale, zero_point).scale))
    values = np.asarray(x, dtype=np.float32)
    if not np.isfinite(values).all():
        raise SamplesError("samples", "hold a value that is not finite (NaN or infinity)")
    quotient = values.astype(np.float64) / step
    nearest = np.copysign(np.floor(np.abs(quotient) + 0.5), quotient)
    stored = np.dtype(np.int8) if dtype is None else dtype
    limits = np.iinfo(stored)
    saturated: NDArray[np.float64] = np.clip(nearest + zero_point, limits.min, limits.max)
    return saturated.astype(stored)


def dequantize(q: NDArray[np.int8], scale: float, zero_point: int) -> NDArray[np.float32]:
    """Real values (binary32) of int8 values: scale * (q - zero_point).

    Raises:
        ModelError: A scale or zero point that no valid model holds.
    """
    step = np.float32(Quantization(scale, zero_point).scale)
    real: NDArray[np.float32] = step * (q.astype(np.int32) - zero_point).astype(np.float32)
    return real
