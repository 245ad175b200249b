# SPDX-License-Identifier: Apache-2.0
"""How far the output of a kernel may lie over its dying input: what the order of its reads and writes allows.

A kernel reads ahead of what it writes. If its output starts far enough before its input, every byte is
written only when nothing reads what was there any more. How far that is follows from the kernel's walk, which
the functions here describe; the kernels name the one that is theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mcu_ser.aot.ir import Tensor
from mcu_ser.aot.lifetimes import Buffer
from mcu_ser.aot.window import Window

Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Overlap:
    """Where the output may start: `behind` bytes or more before its input, or `exactly` so many if given.

    Negative numbers are bytes behind the start of the input.
    """

    behind: int
    exactly: int | None = None

    def allows(self, distance: int) -> bool:
        """Whether the output may start `distance` bytes before its input."""
        return distance >= self.behind or distance == self.exactly

    def least_bytes(self, input_bytes: int, output_bytes: int) -> int:
        """Bytes that input and output cover together at best."""
        # The multiple of 4 next to what is needed: buffers lie at such.
        nearest = max(0, -(-self.behind // 4) * 4)
        distances = [nearest] if self.exactly is None else [nearest, self.exactly]
        return min(input_bytes + output_bytes, *(max(d + input_bytes, output_bytes) for d in distances))


# The buffers of a layer's input and output -> how they may overlap.
Overlaps = Mapping[tuple[int, int], Overlap]


def after_copy(source: Tensor) -> Overlap:
    """Of a kernel that reads its whole input before it writes anything."""
    return Overlap(-source.bytes)


def of_row_pairs(rows: int, input_depth: int, output_depth: int) -> Overlap:
    """Of a kernel that reads two rows, then writes two, from the first on; rows of so many bytes."""
    if rows <= 2:
        return Overlap(-rows * input_depth)
    # Behind the last pair that another one follows; a kernel that writes less than it reads only falls back.
    last = (rows - 1) // 2 * 2
    return Overlap(max(0, last * (output_depth - input_depth)))


def of_window_pairs(source: Tensor, output: Tensor, window: Window) -> Overlap:
    """Of a kernel that reads two windows, then writes two pixels, row by row from the first on."""
    _, height, width, channels = source.shape
    _, rows, columns, depth = output.shape
    needed = _needed((height, width, channels), (rows, columns), window)
    written = np.arange(2, rows * columns, 2)
    if not written.size:
        return Overlap(-source.bytes)
    return Overlap(max(0, int((written * depth - needed[written]).max())))


def of_copied_bands(source: Tensor, output: Tensor, window: Window, band: int) -> Overlap:
    """Of a kernel that copies the rows which a band of output rows needs, then writes the band."""
    _, height, width, channels = source.shape
    _, rows, columns, depth = output.shape
    if band >= rows:
        return after_copy(source)
    written = np.arange(band, rows, band)
    needed = np.clip(written * window.stride[0] - window.pad[0], 0, height) * width * channels
    return Overlap(max(0, int((written * columns * depth - needed).max())))


def of_windows(image: tuple[int, int, int], output: tuple[int, int, int], window: Window) -> Overlap:
    """Of a kernel that writes one pixel while it reads its window, row by row from the first on.

    Args:
        image: Height, width and channels of the input.
        output: The same of the output.
        window: What it reads for a pixel.
    """
    rows, columns, depth = output
    needed = _needed(image, (rows, columns), window)
    written = np.arange(1, rows * columns + 1) * depth
    return Overlap(max(0, int((written - needed).max())))


def _needed(image: tuple[int, int, int], pixels: tuple[int, int], window: Window) -> Int64Array:
    """The first byte that each output pixel or a later one reads."""
    height, width, channels = image
    # No later window of a row begins further left, and none below further up.
    top = np.clip(np.arange(pixels[0]) * window.stride[0] - window.pad[0], 0, height)
    left = np.clip(np.arange(pixels[1]) * window.stride[1] - window.pad[1], 0, width)
    first = (top[:, None] * width + left[None, :]).reshape(-1) * channels
    needed: Int64Array = np.minimum.accumulate(first[::-1])[::-1]
    return needed


def of_bands(source: Tensor, output: Tensor, pad_top: int, band: int) -> Overlap | None:
    """Of a depthwise kernel of stride 1 that spreads out the rows of a band, four channels at a time.

    It writes to the same channels that it has read. So an output of the input's shape may lie on it: pixel on
    pixel, if there is one band, or else that much higher that the rows which the next band reads are left.
    """
    if source.shape != output.shape:
        return None
    _, height, width, channels = source.shape
    distance = pad_top * width * channels if band < height else 0
    return Overlap(output.bytes, distance)


def find_overlaps(
    buffers: tuple[Buffer, ...], layers: Mapping[int, tuple[int, int, Overlap]]
) -> dict[tuple[int, int], Overlap]:
    """The buffers that may overlap.

    Args:
        buffers: Of the graph.
        layers: Place in the order of execution -> buffers of a layer's only input and of its output, and how
            its kernel lets them overlap.
    """
    of_tensor = {buffer.tensor: buffer for buffer in buffers}
    return {
        (source, output): overlap
        for place, (source, output, overlap) in layers.items()
        if source != output and of_tensor[source].last == place == of_tensor[output].first
    }
