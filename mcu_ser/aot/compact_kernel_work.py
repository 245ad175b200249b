# SPDX-License-Identifier: Apache-2.0
"""Counts for `kernel_work` the parts of the kernels of compact.h, which a build for size has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from mcu_ser.aot import move_kernel_work
from mcu_ser.aot.kernel_build import Build
from mcu_ser.aot.plain_kernel_work import taps_inside

# Channels of a block, and inputs of a step of products.
_BLOCK, _STEP = 4, 4


def compact(layer: Mapping[str, Any]) -> Counter[str]:
    """aot_compact() and aot_compact_gathered() of compact.h."""
    heights, widths = taps_inside(layer)
    pixels, lines = len(heights) * len(widths), int(heights.sum()) * len(widths)
    taps = int(heights.sum()) * int(widths.sum())
    channels, gathered = layer["output"]["channels"], layer["gathered"]
    blocks = -(-channels // _BLOCK)
    work = Counter({"layer": 1, "pixel": pixels, "output": pixels * channels})
    if layer["block"] == "aot_compact_depthwise":
        return work + Counter(
            {"channels": pixels * blocks, "row of taps": lines * blocks, "tap": taps * blocks}
        )
    depth = layer["input"]["channels"]
    if gathered:
        work += move_kernel_work.filled(gathered, pixels, Build.SIZE)
        work += Counter({"copied run": lines, "copied byte": taps * depth})
        lines, inputs = pixels, pixels * gathered
    else:
        inputs = taps * depth
    steps = inputs // _STEP * blocks
    return work + Counter({"block": pixels * blocks, "row": lines * blocks, "product step": steps})
