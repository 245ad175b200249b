# SPDX-License-Identifier: Apache-2.0
"""RESIZE_NEAREST_NEIGHBOR: the nearest row and column of each output pixel are found here, ahead of time."""

from __future__ import annotations

import math

import numpy as np

from mcu_ser.aot.ir import Graph, Operator, ResizeOptions
from mcu_ser.aot.kernels import copy_block
from mcu_ser.aot.kernels.copy_block import CopyBlock, Loop, strides
from mcu_ser.aot.kernels.kernel_call import KernelCall, Table, struct
from mcu_ser.aot.requantize import divide_binary32, round_half_away


def nearest(size: int, resized: int, options: ResizeOptions) -> tuple[int, ...]:
    """Index of the input for each of the output's, along one dimension; in binary32, as the oracle does."""
    corners = options.align_corners and resized > 1
    scale = np.float32(divide_binary32(size - 1, resized - 1) if corners else divide_binary32(size, resized))
    offset = np.float32(0.5 if options.half_pixel_centers else 0.0)
    places = [float((np.float32(index) + offset) * scale) for index in range(resized)]
    rounded = [round_half_away(place) if options.align_corners else math.floor(place) for place in places]
    return tuple(min(index, size - 1) for index in rounded)


def _repeated(indices: tuple[int, ...]) -> tuple[int, int] | None:
    """How often each index occurs and how far it is to the next one, if that never changes."""
    first = indices[0]
    times = next((i for i, index in enumerate(indices) if index != first), len(indices))
    step = indices[times] - first if times < len(indices) else 0
    regular = all(index == first + i // times * step for i, index in enumerate(indices))
    return (times, step) if regular and len(indices) % times == 0 else None


def call(graph: Graph, operator: Operator) -> KernelCall:
    """The kernel call of a supported RESIZE_NEAREST_NEIGHBOR: a plain copy where the steps are regular."""
    assert isinstance(operator.options, ResizeOptions)
    input_, output = graph.tensors[operator.inputs[0]], graph.results(operator)[0]
    _, height, width, channels = output.shape
    rows = nearest(input_.shape[1], height, operator.options)
    columns = nearest(input_.shape[2], width, operator.options)
    row_step = input_.shape[2] * channels
    even_rows, even_columns = _repeated(rows), _repeated(columns)
    if even_rows and even_columns:
        sizes = (height // even_rows[0], even_rows[0], width // even_columns[0], even_columns[0], channels)
        reads = (even_rows[1] * row_step, 0, even_columns[1] * channels, 0, 1)
        loops = tuple(Loop(*numbers) for numbers in zip(sizes, reads, strides(sizes), strict=True))
        start = rows[0] * row_step + columns[0] * channels
        return copy_block.call(input_.index, output.index, CopyBlock(loops, read_start=start))
    return KernelCall(
        header="resize_nearest.h",
        kernel="aot_resize_nearest",
        struct_name="aot_resize_nearest",
        description=struct(
            height=height,
            width=width,
            channels=channels,
            rows=Table("rows", np.array(rows, np.int32) * np.int32(row_step)),
            columns=Table("columns", np.array(columns, np.int32) * np.int32(channels)),
        ),
        inputs=(input_.index,),
        output=output.index,
    )
