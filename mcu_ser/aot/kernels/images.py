# SPDX-License-Identifier: Apache-2.0
"""Descriptions of images and windows, for the kernels that slide a window over height and width."""

from __future__ import annotations

from mcu_ser.aot.ir import Tensor
from mcu_ser.aot.kernels.kernel_call import Struct, struct
from mcu_ser.aot.window import Window


def image(tensor: Tensor) -> Struct:
    """`struct aot_image` of a 1 x height x width x channels tensor."""
    _, height, width, channels = tensor.shape
    return struct(height=height, width=width, channels=channels)


def copied_size(tensor: Tensor, window: Window) -> tuple[int, int, int]:
    """Height, width and channels of an input with as much border as the windows touch."""
    _, height, width, channels = tensor.shape
    reach = [(window.output[i] - 1) * window.stride[i] + window.size[i] - window.pad[i] for i in (0, 1)]
    return window.pad[0] + max(height, reach[0]), window.pad[1] + max(width, reach[1]), channels


def size_struct(size: tuple[int, int, int]) -> Struct:
    """`struct aot_image` of a height, a width and channels."""
    return struct(height=size[0], width=size[1], channels=size[2])


def window_struct(window: Window) -> Struct:
    """`struct aot_window`."""
    return struct(
        height=window.size[0],
        width=window.size[1],
        stride_height=window.stride[0],
        stride_width=window.stride[1],
        dilation_height=window.dilation[0],
        dilation_width=window.dilation[1],
        pad_top=window.pad[0],
        pad_left=window.pad[1],
    )
