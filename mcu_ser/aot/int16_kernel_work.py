# SPDX-License-Identifier: Apache-2.0
"""Counts for `kernel_work` the parts of the kernels of 16-bit activations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from mcu_ser.aot import move_kernel_work, plain_kernel_work
from mcu_ser.aot.kernel_build import Build
from mcu_ser.aot.plain_kernel_work import taps_inside

# Outputs side by side, and activations per word of weights.
_BLOCK = 4


def _matmul(matmul: Mapping[str, Any], rows: int) -> Counter[str]:
    """aot_int16_row() for so many rows."""
    outputs, depth = matmul["outputs"], matmul["depth"]
    blocks = rows * -(-outputs // _BLOCK)
    # A sum of one part needs no loop over parts.
    parts = -(-depth // matmul["chunk"])
    return Counter(
        {
            "row": rows,
            "block": blocks,
            "part": blocks * parts if parts > 1 else 0,
            "products of 4": blocks * depth // _BLOCK,
            "output": rows * outputs,
        }
    )


def rows(layer: Mapping[str, Any]) -> Counter[str]:
    """aot_int16_rows() of int16_matmul.h."""
    return _matmul(layer["matmul"], layer["rows"]) + Counter({"layer": 1})


def conv_2d(layer: Mapping[str, Any], build: Build) -> Counter[str]:
    """int16_conv_2d.h."""
    window, depth = layer["window"], layer["input"]["channels"]
    heights, widths = taps_inside(layer)
    pixels = len(heights) * len(widths)
    work = _matmul(layer["matmul"], pixels) + Counter({"layer": 1})
    whole = (heights == window["height"]).sum() * (widths == window["width"]).sum()
    border = pixels - int(whole)
    work += Counter({"border": border})
    work += move_kernel_work.filled(2 * window["height"] * window["width"] * depth, border, build)
    lines = int(heights.sum())
    if window["dilation_width"] > 1:
        taps = lines * int(widths.sum())
        line = Counter({"window row": lines * len(widths)})
        return work + line + move_kernel_work.copied(2 * depth, taps, build)
    for width in widths.tolist():
        # How many taps are inside is not known to the compiler.
        work += move_kernel_work.called(2 * width * depth, lines, build)
    return work


def pool_2d(layer: Mapping[str, Any], build: Build) -> Counter[str]:
    """int16_pool_2d.h."""
    if layer["average"]:
        return plain_kernel_work.average_pool_2d(layer, build)
    work = plain_kernel_work.pool_2d(layer, build)
    taps = sum(count for part, count in work.items() if part.endswith("tap"))
    return work + Counter({"compared tap": taps})


def add(layer: Mapping[str, Any]) -> Counter[str]:
    """int16_add.h."""
    work = plain_kernel_work.pairs(layer)
    # A factor that does not shift has nothing to round.
    shifted = sum(layer[factor]["shift"] < 0 for factor in ("first", "second", "sum"))
    return work + Counter({"shifted": work["element"] * shifted})


def softmax(layer: Mapping[str, Any]) -> Counter[str]:
    """int16_softmax.h."""
    way = "left" if layer["shift"] > 0 else "right"
    return Counter({"row": layer["rows"], f"{way} element": layer["rows"] * layer["depth"]})
