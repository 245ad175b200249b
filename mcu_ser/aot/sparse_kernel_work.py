# SPDX-License-Identifier: Apache-2.0
"""Counts for `kernel_work` the parts of the kernels over sparse_matmul.h and unstructured_matmul.h."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from mcu_ser.aot.plain_kernel_work import clamped

# Positions that are computed at once, and steps of the chains in *_matmul_dsp.h.
_POSITIONS, _UNSTRUCTURED_POSITIONS, STEPS = 4, 8, 16
Stream: TypeAlias = np.ndarray[Any, np.dtype[np.uint32]]
_Counted: TypeAlias = Callable[[Stream, int], list[int]]


def rows(layer: Mapping[str, Any]) -> Counter[str]:
    """rows_sparse.h."""
    quads = -(-layer["rows"] // _POSITIONS)
    work = _channels(layer["matmul"], quads, _block_counts) + _clamped(layer, layer["rows"])
    return work + Counter({"layer": 1, "four wide": quads * layer["depth"] // 4})


def unstructured_rows(layer: Mapping[str, Any]) -> Counter[str]:
    """rows_unstructured.h."""
    eights = -(-layer["rows"] // _UNSTRUCTURED_POSITIONS)
    work = _channels(layer["matmul"], eights, _pair_counts) + _clamped(layer, layer["rows"])
    return work + Counter({"layer": 1, "four wide": eights * layer["depth"] // 4})


def windows(layer: Mapping[str, Any]) -> Counter[str]:
    """conv_2d_sparse.h."""
    return _windows(layer, _POSITIONS, _block_counts)


def unstructured_windows(layer: Mapping[str, Any]) -> Counter[str]:
    """conv_2d_unstructured.h."""
    return _windows(layer, _UNSTRUCTURED_POSITIONS, _pair_counts)


def _windows(layer: Mapping[str, Any], positions: int, counted: _Counted) -> Counter[str]:
    window, input_, output = (layer["images"][name] for name in ("window", "input", "output"))
    pixels = output["height"] * output["width"]
    first = np.minimum(np.arange(0, pixels, positions), pixels - positions)
    together = first[:, None] + np.arange(positions)
    inside = np.ones(together.shape, bool)
    for axis, pad, at in (
        ("height", "top", together // output["width"]),
        ("width", "left", together % output["width"]),
    ):
        start = at * window[f"stride_{axis}"] - window[f"pad_{pad}"]
        inside &= (start >= 0) & (start + window[axis] <= input_[axis])
    count, direct = len(together), int(inside.all(axis=1).sum())
    taps = window["height"] * window["width"]
    work = _channels(layer["matmul"], count, counted) + _clamped(layer, pixels)
    return work + Counter(
        {
            "layer": 1,
            "inside row": direct * window["height"],
            "border tap": (count - direct) * taps,
            "four wide": count * taps * input_["channels"] // 4,
        }
    )


def single(layer: Mapping[str, Any]) -> Counter[str]:
    """fully_connected_sparse.h."""
    work = _channels(layer["matmul"], 1, _block_counts) + _clamped(layer, 1)
    return work + Counter({"layer": 1, "four wide": layer["depth"] // 4})


def _channels(matmul: Mapping[str, Any], times: int, counted: _Counted) -> Counter[str]:
    channels = matmul["channels"]
    counts = counted(matmul["stream"].values, channels)
    way = "signed" if "SIGNED" in matmul["finish"] else "direct"
    work = Counter({"step": times * sum(counts), f"{way} channel": times * channels, "chain": times})
    if "REPEATED" in matmul["chain"]:
        work["channel of passes"] = times * channels
        work["pass"] = times * sum(max(1, -(-count // STEPS)) for count in counts)
    return work


def _block_counts(stream: Stream, channels: int) -> list[int]:
    """Words of weights of each channel in a stream of sparse_matmul.h."""
    return _counts(stream, channels, 4)


def _pair_counts(stream: Stream, channels: int) -> list[int]:
    """Words of weights of each channel in a stream of unstructured_matmul.h."""
    return _counts(stream, channels, 5)


def _counts(stream: Stream, channels: int, others: int) -> list[int]:
    """The counts in the heads, with so many other words of each channel between two of them."""
    counts, at = [], 0
    for _ in range(channels):
        counts.append(int(stream[at]) >> 8 & 0x1FFF)
        at += counts[-1] + others
    return counts


def _clamped(layer: Mapping[str, Any], positions: int) -> Counter[str]:
    return clamped(layer, positions * layer["matmul"]["channels"])
