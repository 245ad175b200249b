# SPDX-License-Identifier: Apache-2.0
"""Counts for `kernel_work` the parts of the kernels over sparse_matmul.h."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

# Positions that are computed at once, and steps of the chain in sparse_matmul_dsp.h.
_POSITIONS, STEPS = 4, 16
# Words of a channel in the stream beside its blocks.
_WORDS = 5


def rows(layer: Mapping[str, Any]) -> Counter[str]:
    """rows_sparse.h."""
    quads = -(-layer["rows"] // _POSITIONS)
    work = _channels(layer["matmul"], quads) + _clamped(layer, layer["rows"])
    return work + Counter({"layer": 1, "four wide": quads * layer["depth"] // 4})


def windows(layer: Mapping[str, Any]) -> Counter[str]:
    """conv_2d_sparse.h."""
    window, output = layer["window"], layer["output"]
    pixels = output["height"] * output["width"]
    first = np.minimum(np.arange(0, pixels, _POSITIONS), pixels - _POSITIONS)
    quads = first[:, None] + np.arange(_POSITIONS)
    inside = np.ones(quads.shape, bool)
    for axis, pad, at in (
        ("height", "top", quads // output["width"]),
        ("width", "left", quads % output["width"]),
    ):
        start = at * window[f"stride_{axis}"] - window[f"pad_{pad}"]
        inside &= (start >= 0) & (start + window[axis] <= layer["input"][axis])
    count, direct = len(quads), int(inside.all(axis=1).sum())
    taps = window["height"] * window["width"]
    work = _channels(layer["matmul"], count) + _clamped(layer, pixels)
    return work + Counter(
        {
            "layer": 1,
            "inside row": direct * window["height"],
            "border tap": (count - direct) * taps,
            "four wide": count * taps * layer["input"]["channels"] // 4,
        }
    )


def single(layer: Mapping[str, Any]) -> Counter[str]:
    """fully_connected_sparse.h."""
    work = _channels(layer["matmul"], 1) + _clamped(layer, 1)
    return work + Counter({"layer": 1, "four wide": layer["depth"] // 4})


def _channels(matmul: Mapping[str, Any], quads: int) -> Counter[str]:
    stream, channels = matmul["stream"].values, matmul["channels"]
    way = "signed" if "SIGNED" in matmul["finish"] else "shifted"
    work = Counter(
        {
            "step": quads * (len(stream) - _WORDS * channels),
            f"{way} channel": quads * channels,
            "chain": quads,
        }
    )
    if "REPEATED" in matmul["chain"]:
        work["channel of passes"] = quads * channels
        work["pass"] = quads * sum(max(1, -(-count // STEPS)) for count in _block_counts(stream, channels))
    return work


def _block_counts(stream: np.ndarray[Any, np.dtype[np.uint32]], channels: int) -> list[int]:
    counts, at = [], 0
    for _ in range(channels):
        counts.append(int(stream[at]) & 0xFFFF)
        at += counts[-1] + _WORDS
    return counts


def _clamped(layer: Mapping[str, Any], positions: int) -> Counter[str]:
    outputs = positions * layer["matmul"]["channels"]
    return Counter({"clamped output": outputs if layer["min"] > -128 or layer["max"] < 127 else 0})
