# SPDX-License-Identifier: Apache-2.0
"""Counts for `kernel_work` the parts of the kernels that are compiled from plain C.

Each function gets the members of a layer's description and returns how often each part runs.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from mcu_ser.aot.kernel_build import Build

# Taps of a window whose loops the compiler unrolls.
_SHORT_WINDOW = 4


Int64Array: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]


def taps_inside(layer: Mapping[str, Any]) -> tuple[Int64Array, Int64Array]:
    """Taps of the window inside the input, along height and width, for each row and column of the output."""
    window = layer["window"]
    ends = []
    for axis, pad in (("height", "top"), ("width", "left")):
        dilation = window[f"dilation_{axis}"]
        first = np.arange(layer["output"][axis]) * window[f"stride_{axis}"] - window[f"pad_{pad}"]
        at = first[:, None] + np.arange(window[axis])[None, :] * dilation
        ends.append(((at >= 0) & (at < layer["input"][axis])).sum(axis=1))
    return ends[0], ends[1]


def _taps(layer: Mapping[str, Any]) -> tuple[int, int]:
    """Taps inside the input, of all output pixels, and rows of such taps."""
    heights, widths = taps_inside(layer)
    lines = int(heights.sum())
    return lines * int(widths.sum()), lines * len(widths)


def conv_2d(layer: Mapping[str, Any]) -> Counter[str]:
    """conv_2d.h."""
    taps, rows = _taps(layer)
    channels, depth = layer["output"]["channels"], layer["input"]["channels"]
    blocks = channels // 4 + channels % 4
    pixels = layer["output"]["height"] * layer["output"]["width"]
    runs = rows if layer["window"]["dilation_width"] == 1 else taps
    return Counter(
        {
            "layer": 1,
            "pixel": pixels,
            "block": pixels * blocks,
            "run": runs * blocks,
            "product of 4": taps * depth * (channels // 4),
            "product": taps * depth * (channels % 4),
            "output": pixels * channels,
        }
    )


def depthwise_conv_2d(layer: Mapping[str, Any], build: Build) -> Counter[str]:
    """depthwise_conv_2d.h and int16_depthwise_conv_2d.h."""
    window = layer["window"]
    taps, rows = _taps(layer)
    channels = layer["output"]["channels"]
    fours, singles = divmod(channels, 4) if layer["depth_multiplier"] == 1 else (0, channels)
    pixels = layer["output"]["height"] * layer["output"]["width"]
    cut = taps < pixels * window["height"] * window["width"]
    # Loops over windows that no border cuts have a known length.
    kind = "cut " if cut and build.knows_sizes else ""
    return Counter(
        {
            "layer": 1,
            "pixel": pixels,
            f"{kind}block of 4": pixels * fours,
            f"{kind}block": pixels * singles,
            f"{kind}row": rows * (fours + singles),
            f"{kind}tap of 4": taps * fours,
            f"{kind}tap": taps * singles,
            "output": pixels * channels,
        }
    )


def fully_connected(layer: Mapping[str, Any]) -> Counter[str]:
    """fully_connected.h."""
    fours, singles = divmod(layer["output_depth"], 4)
    rows, depth = layer["rows"], layer["input_depth"]
    return Counter(
        {
            "layer": 1,
            "block": rows * (fours + singles),
            "product of 4": rows * fours * depth,
            "product": rows * singles * depth,
            "output": rows * layer["output_depth"],
        }
    )


def pool_2d(layer: Mapping[str, Any], build: Build) -> Counter[str]:
    """MAX_POOL_2D of pool_2d.h."""
    window = {**layer["window"], "dilation_height": 1, "dilation_width": 1}
    taps, rows = _taps({**layer, "window": window})
    pixels, channels = layer["output"]["height"] * layer["output"]["width"], layer["output"]["channels"]
    area = window["height"] * window["width"]
    # The loops over windows that no border cuts have a known length, and are unrolled if that is little.
    kind = "cut " if taps < pixels * area else "short " if area <= _SHORT_WINDOW else ""
    kind *= build.knows_sizes
    return Counter(
        {
            "layer": 1,
            "pixel": pixels,
            f"{kind}row": rows * channels,
            f"{kind}tap": taps * channels,
            f"{kind}output": pixels * channels,
        }
    )


def average_pool_2d(layer: Mapping[str, Any], build: Build) -> Counter[str]:
    """AVERAGE_POOL_2D of pool_2d.h."""
    output = layer["output"]
    return pool_2d(layer, build) + Counter(
        {"division": output["height"] * output["width"] * output["channels"]}
    )


def average_pool_channels(layer: Mapping[str, Any]) -> Counter[str]:
    """average_pool_channels.h."""
    output, groups = layer["output"], layer["output"]["channels"] // 4
    taps, rows = _taps({**layer, "window": {**layer["window"], "dilation_height": 1, "dilation_width": 1}})
    pixels = output["height"] * output["width"]
    # Rows of full width are one run.
    joined = output["width"] == 1 and layer["window"]["width"] >= layer["input"]["width"]
    return Counter(
        {
            "layer": 1,
            "pixel": pixels,
            "run": groups * (output["height"] if joined else rows),
            "tap": groups * taps,
            "output": pixels * output["channels"],
        }
    )


def mean(layer: Mapping[str, Any]) -> Counter[str]:
    """mean.h and reduce_max.h."""
    outputs = layer["outer"] * layer["middle"] * layer["inner"]
    rows = outputs * layer["reduced_outer"]
    # Where they begin takes a multiplication, or a shift.
    step = layer["middle"] * layer["reduced_inner"] * layer["inner"]
    kind = "multiplied row" if step & (step - 1) else "row"
    return Counter({"layer": 1, "output": outputs, kind: rows, "tap": rows * layer["reduced_inner"]})


def arg_max(layer: Mapping[str, Any]) -> Counter[str]:
    """arg_max.h."""
    outputs = layer["outer"] * layer["inner"]
    return Counter(
        {"layer": 1, "row": layer["outer"], "output": outputs, "tap": outputs * (layer["depth"] - 1)}
    )


def clamped(layer: Mapping[str, Any], outputs: int) -> Counter[str]:
    """aot_clamp_all() over so many outputs: once for each bound that int8 does not have already."""
    bounds = (layer["min"] > -128) + (layer["max"] < 127)
    return Counter(
        {
            "clamp": bounds,
            "limited 16": bounds * (outputs // 16),
            "clamped rest": outputs % 16 * (bounds > 0),
        }
    )


def add_affine(layer: Mapping[str, Any]) -> Counter[str]:
    """add_affine.h."""
    clamped = layer["min"] > -128 or layer["max"] < 127
    return elements(layer) + Counter({"clamped output": layer["elements"] * clamped})


def add_elements(layer: Mapping[str, Any]) -> Counter[str]:
    """add_elements.h."""
    elements = layer["elements"]
    clamped = layer["min"] > -128 or layer["max"] < 127
    return Counter(
        {
            "layer": 1,
            "element": elements,
            "tie": elements * (layer["fine_ties"] + layer["ties"]),
            "clamped output": elements * clamped,
        }
    )


def elements(layer: Mapping[str, Any]) -> Counter[str]:
    """Kernels of one loop over all elements."""
    return Counter({"layer": 1, "element": layer["elements"]})


def loops(layer: Mapping[str, Any]) -> Counter[str]:
    """Kernels of nested loops, the innermost over neighbours."""
    sizes = layer["size"]
    return Counter({"layer": 1, "row": math.prod(sizes[:-1]), "element": math.prod(sizes)})


def pairs(layer: Mapping[str, Any]) -> Counter[str]:
    """Kernels of pairs.h."""
    return loops(layer["pairs"])
