# SPDX-License-Identifier: Apache-2.0
"""Counts for `kernel_work` the parts of the kernels over sparse_matmul.h and unstructured_matmul.h."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

# Positions that are computed at once, and steps of the chains in *_matmul_dsp.h.
_POSITIONS, _UNSTRUCTURED_POSITIONS, STEPS = 4, 8, 16
# Words of a channel in the stream beside its weights.
_WORDS, _UNSTRUCTURED_WORDS = 5, 6


def rows(layer: Mapping[str, Any]) -> Counter[str]:
    """rows_sparse.h."""
    quads = -(-layer["rows"] // _POSITIONS)
    work = _channels(layer["matmul"], quads) + _clamped(layer, layer["rows"])
    return work + Counter({"layer": 1, "four wide": quads * layer["depth"] // 4})


def unstructured_rows(layer: Mapping[str, Any]) -> Counter[str]:
    """rows_unstructured.h."""
    eights = -(-layer["rows"] // _UNSTRUCTURED_POSITIONS)
    work = _channels(layer["matmul"], eights, _UNSTRUCTURED_WORDS) + _clamped(layer, layer["rows"])
    return work + Counter({"layer": 1, "four wide": eights * layer["depth"] // 4})


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


def _channels(matmul: Mapping[str, Any], times: int, words: int = _WORDS) -> Counter[str]:
    stream, channels = matmul["stream"].values, matmul["channels"]
    way = "signed" if "SIGNED" in matmul["finish"] else "shifted"
    work = Counter(
        {
            "step": times * (len(stream) - words * channels),
            f"{way} channel": times * channels,
            "chain": times,
        }
    )
    if "REPEATED" in matmul["chain"]:
        counts = _step_counts(stream, channels, words)
        work["channel of passes"] = times * channels
        work["pass"] = times * sum(max(1, -(-count // STEPS)) for count in counts)
    return work


def _step_counts(stream: np.ndarray[Any, np.dtype[np.uint32]], channels: int, words: int) -> list[int]:
    counts, at = [], 0
    for _ in range(channels):
        counts.append(int(stream[at]) & 0xFFFF)
        at += counts[-1] + words
    return counts


def _clamped(layer: Mapping[str, Any], positions: int) -> Counter[str]:
    outputs = positions * layer["matmul"]["channels"]
    return Counter({"clamped output": outputs if layer["min"] > -128 or layer["max"] < 127 else 0})
