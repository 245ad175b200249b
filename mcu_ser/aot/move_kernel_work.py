# SPDX-License-Identifier: Apache-2.0
"""Counts for `kernel_work` the parts of the kernels that move elements, and of products of two activations.

Bytes that follow each other are moved by the C library's functions, or by the compiler where they are few and
it knows how many. In a build for size those functions are loops over bytes.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from mcu_ser.aot.kernel_build import Build

# GCC moves so many bytes without the C library, and sets so many words.
_MOST_COPIED, _MOST_SET_WORDS = 64, 8

# Of an int8 that may be any.
_VARIANCE = (256**2 - 1) / 12


def copied(count: int, runs: int, build: Build, read: int | None = None) -> Counter[str]:
    """memcpy() of `count` bytes, which the compiler knows where it knows sizes, for so many runs.

    With `read` only so many runs are of bytes that the run before did not have.
    """
    if count <= _MOST_COPIED and build.knows_sizes:
        words = _pieces(count)
        kind = "moved run" if words > 1 else "single run"
        reads = runs if read is None else read
        return Counter({kind: runs, "moved word": reads * words, "repeated word": (runs - reads) * words})
    return called(count, runs, build)


def called(count: int, runs: int, build: Build) -> Counter[str]:
    """memcpy() of `count` bytes, which the compiler does not know, for so many runs."""
    if build.moves_bytes:
        return Counter({"copied run": runs, "copied byte": runs * count})
    return Counter(
        {
            "copied run": runs,
            "copied 64": runs * (count // 64),
            "copied 16": runs * (count % 64 // 16),
            "copied 4": runs * (count % 16 // 4),
            "copied rest": runs * (count % 4 > 0),
        }
    )


def filled(count: int, runs: int, build: Build) -> Counter[str]:
    """memset() of `count` bytes, likewise."""
    if count == 0 or runs == 0:
        return Counter()
    if _pieces(count) <= _MOST_SET_WORDS and build.knows_sizes:
        return Counter({"set run": runs, "set word": runs * _pieces(count)})
    if build.moves_bytes:
        return Counter({"filled run": runs, "filled byte": runs * count})
    return Counter(
        {"filled run": runs, "filled 16": runs * (count // 16), "filled 4": runs * (count % 16 // 4)}
    )


def _pieces(count: int) -> int:
    """Words, halfwords and bytes of a run."""
    return count // 4 + (count % 4 + 1) // 2


def _turns(sizes: tuple[int, ...]) -> int:
    """Passes of nested loops that have more than one."""
    return sum(math.prod(sizes[: place + 1]) for place, size in enumerate(sizes) if size > 1)


def copy(layer: Mapping[str, Any], build: Build) -> Counter[str]:
    """copy.h."""
    sizes = layer["size"]
    runs, count = math.prod(sizes[:4]), sizes[4]
    work = Counter({"layer": 1, "turn": _turns(sizes[:3])})
    if layer["read_step"][4] == layer["write_step"][4] == 1:
        read = runs // sizes[3] if layer["read_step"][3] == 0 else runs
        return work + copied(count, runs, build, read)
    return work + Counter({"strided run": runs, "element": runs * count})


def pad(layer: Mapping[str, Any], build: Build) -> Counter[str]:
    """pad.h."""
    sizes, before, after = layer["size"], layer["before"], layer["after"]
    inner = [1]
    for size, first, last in zip(sizes[:0:-1], before[:0:-1], after[:0:-1], strict=True):
        inner.append(inner[-1] * (first + size + last))
    work = Counter({"layer": 1, "turn": _turns(sizes[:2])})
    for place, bytes_each in enumerate(reversed(inner)):
        times = math.prod(sizes[:place])
        for count in (before[place], after[place]):
            work += filled(count * bytes_each, times, build)
    return work + copied(sizes[3], math.prod(sizes[:3]), build)


def resize_nearest(layer: Mapping[str, Any], build: Build) -> Counter[str]:
    """resize_nearest.h."""
    height, width = layer["height"], layer["width"]
    work = Counter({"layer": 1, "row": height})
    return work + copied(layer["channels"], height * width, build)


def batch_matmul(layer: Mapping[str, Any]) -> Counter[str]:
    """batch_matmul.h."""
    matrices, depth = math.prod(layer["stacks"]["size"]), layer["depth"]
    rows = matrices * layer["rows"]
    fours, singles = divmod(layer["columns"], 4)
    return Counter(
        {
            "layer": 1,
            "matrix": matrices,
            "row": rows,
            "block": rows * (fours + singles),
            "product of 4": rows * fours * depth,
            "product": rows * singles * depth,
            "output": rows * layer["columns"],
        }
    )


def l2_normalization(layer: Mapping[str, Any]) -> Counter[str]:
    """l2_normalization.h, for the squares that inputs have which are uniformly random."""
    rows, depth = layer["rows"], layer["depth"]
    shift = -0.5 + layer["input_offset"]
    squares = depth * (_VARIANCE + shift * shift)
    steps = min(max(math.ceil((27 - math.log2(squares)) / 2), -1), 14)
    # Small sums scale to the left, and need no rounding.
    way = "left" if 11 - steps < 7 else "right"
    return Counter({"layer": 1, "row": rows, "step": rows * abs(steps), f"{way} element": rows * depth})


def transpose_conv(layer: Mapping[str, Any]) -> Counter[str]:
    """transpose_conv.h."""
    window, depth = layer["window"], layer["input"]["channels"]
    pixels = layer["output"]["height"] * layer["output"]["width"]
    rows, columns = (
        sum(
            _covering(at + window[f"pad_{pad}"], window[axis], window[f"stride_{axis}"], layer["input"][axis])
            for at in range(layer["output"][axis])
        )
        for axis, pad in (("height", "top"), ("width", "left"))
    )
    fours, singles = divmod(layer["output"]["channels"], 4)
    return Counter(
        {
            "layer": 1,
            "pixel": pixels,
            "block": pixels * (fours + singles),
            "row": rows * layer["output"]["width"] * (fours + singles),
            "tap": rows * columns * (fours + singles),
            "product of 4": rows * columns * depth * fours,
            "product": rows * columns * depth * singles,
            "output": pixels * layer["output"]["channels"],
        }
    )


def _covering(padded: int, taps: int, stride: int, size: int) -> int:
    """Taps of one dimension that fall on an output pixel."""
    tap, position = padded % stride, padded // stride
    if position >= size:
        tap += (position - size + 1) * stride
        position = size - 1
    count = -(-(taps - tap) // stride) if tap < taps else 0
    return min(count, position + 1)
