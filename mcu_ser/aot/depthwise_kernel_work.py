# SPDX-License-Identifier: Apache-2.0
"""Counts for `kernel_work` the parts of the fast depthwise kernels.

Each function gets the members of a layer's description and returns how often each part runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from mcu_ser.aot.plain_kernel_work import clamped, taps_inside

# Bytes of the plane from one full tile of depthwise_3x3_dsp.h to the next.
_TILE_BYTES = 12


def depthwise_3x3(layer: Mapping[str, Any]) -> Counter[str]:
    """depthwise_3x3.h."""
    input_, output = layer["input"], layer["output"]
    height, channels, band = output["height"], output["channels"], layer["band"]
    bands = [(first, min(band, height - first)) for first in range(0, height, band)]
    spread = sum(
        min(first - layer["pad_top"] + rows + 2, input_["height"]) - max(first - layer["pad_top"], 0)
        for first, rows in bands
    )
    border = sum(rows + 2 for _, rows in bands) - spread
    groups = channels // 4
    rest = input_["width"] - layer["pad_left"]
    way = "signed" if layer["is_signed"] else "shifted"
    wide = layer["wide_bytes"] // _TILE_BYTES
    work = Counter(
        {
            "layer": 1,
            "plane word": layer["row_words"] * (band + 2),
            "band": len(bands) * groups,
            "border word": border * layer["row_words"] * groups,
            "spread row": spread * groups,
            "spread pair": spread * groups * (rest // 2),
            "spread half": spread * groups * (layer["pad_left"] + rest % 2),
            "channel": len(bands) * channels,
            "row": height * channels,
            "wide row": height * channels * (wide > 0),
            "tile": height * channels * (wide + 1),
            f"{way} output": height * channels * output["width"],
        }
    )
    return work + clamped(layer, height * channels * output["width"])


def depthwise_pairs(layer: Mapping[str, Any]) -> Counter[str]:
    """depthwise_pairs.h."""
    window, output = layer["window"], layer["output"]
    rows, columns = taps_inside(layer)
    whole = columns == window["width"]
    # Where a window and the one before it lie inside, its taps follow from those.
    following = int((rows == window["height"]).sum()) * int((whole[1:] & whole[:-1]).sum())
    pixels = output["height"] * output["width"]
    found = (pixels - following) * window["height"]
    groups = pixels * (output["channels"] // 4)
    way = "signed" if "SIGNED" in layer["groups"] else "shifted"
    work = Counter(
        {
            "layer": 1,
            "row": output["height"],
            "pixel": pixels,
            "found row": found,
            "found tap": found * window["width"],
            f"{way} group": groups,
            "pair": groups * layer["pairs"],
        }
    )
    return work + clamped(layer, pixels * output["channels"])
