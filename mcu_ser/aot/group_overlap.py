# SPDX-License-Identifier: Apache-2.0
"""As `overlap`, of the sparse kernels: they read so many rows or windows, then write their outputs.

The last of these groups ends with the last row; where it then overlaps the one before, it reads again what
that has read, and writes the same bytes again.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mcu_ser.aot.ir import Tensor
from mcu_ser.aot.overlap import Overlap, after_copy
from mcu_ser.aot.window import Window

Int64Array = npt.NDArray[np.int64]


def of_row_groups(size: int, rows: int, input_depth: int, output_depth: int) -> Overlap:
    """Of a kernel that reads `size` rows, then writes as many; rows of so many bytes."""
    starts = _starts(size, rows)
    if len(starts) == 1:
        return Overlap(-rows * input_depth)
    return _behind((starts[:-1] + size) * output_depth, starts[1:] * input_depth)


def of_window_groups(size: int, source: Tensor, output: Tensor, window: Window) -> Overlap:
    """Of a kernel that reads `size` windows, then writes as many pixels, row by row."""
    _, height, width, channels = source.shape
    _, rows, columns, depth = output.shape
    starts = _starts(size, rows * columns)
    if len(starts) == 1:
        return after_copy(source)
    top = np.clip(np.arange(rows) * window.stride[0] - window.pad[0], 0, height)
    left = np.clip(np.arange(columns) * window.stride[1] - window.pad[1], 0, width)
    first = (top[:, None] * width + left[None, :]).reshape(-1) * channels
    needed = np.minimum.accumulate(first[::-1])[::-1]
    return _behind((starts[:-1] + size) * depth, needed[starts[1:]])


def _starts(size: int, count: int) -> Int64Array:
    starts: Int64Array = np.minimum(np.arange(0, count, size), count - size)
    return starts


def _behind(written: Int64Array, needed: Int64Array) -> Overlap:
    """Each group's outputs end before what the next one needs; a kernel that writes less only falls back."""
    return Overlap(max(0, int((written - needed).max())))
