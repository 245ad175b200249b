# SPDX-License-Identifier: Apache-2.0
"""Counts how often each part of a kernel runs for one layer: what `cost` puts a price on.

A part is a piece of the kernel's code between whose instructions nothing depends on the layer, such as a step
of the matrix product or the way from a sum to int8. The counts follow the loops of the C in
firmware_templates/runtime/kernels for a core with DSP instructions, and read nothing but the description that
the kernel itself gets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

import numpy as np

from mcu_ser.aot import (
    compact_kernel_work,
    depthwise_kernel_work,
    int16_kernel_work,
    move_kernel_work,
    plain_kernel_work,
    sparse_kernel_work,
)
from mcu_ser.aot.kernel_build import Build
from mcu_ser.aot.kernels.kernel_call import KernelCall, Name, Struct
from mcu_ser.aot.kernels.matmul import pair_steps
from mcu_ser.aot.lstm_work import lstm
from mcu_ser.aot.plain_kernel_work import clamped
from mcu_ser.aot.softmax_work import softmax

Parts = Mapping[str, float]

# Inputs of a step of the chains in matmul_dsp.h, and steps of a pass of that for one position.
_PAIR_DEPTH, _SINGLE_DEPTH = 2, 8
SINGLE_STEPS = 8


def work_of(call: KernelCall, build: Build = Build.SPEED) -> Parts | None:
    """Runs of each part of the call's kernel; None for a kernel whose parts are not known.

    Args:
        call: The call; those that follow it in its layer do not count.
        build: How the kernel is compiled.
    """
    if call.kernel not in counted_kernels(build):
        return None
    by_build = _BY_BUILD.get(call.kernel)
    layer = _members(call)
    parts = _COUNTERS[call.kernel](layer) if by_build is None else by_build(layer, build)
    return {part: runs for part, runs in parts.items() if runs}


@cache
def counted_kernels(build: Build = Build.SPEED) -> frozenset[str]:
    """C functions of all kernels whose parts are known."""
    every = frozenset(_COUNTERS) | frozenset(_BY_BUILD)
    return every - (_FOR_SIZE if build is Build.SPEED else _FOR_SPEED)


def _members(call: KernelCall) -> dict[str, Any]:
    return _plain(call.description)


def _plain(value: Struct) -> dict[str, Any]:
    return {
        name: _plain(member)
        if isinstance(member, Struct)
        else member.text
        if isinstance(member, Name)
        else member
        for name, member in value.members
    }


def _up(count: int, unit: int) -> int:
    return -(-count // unit)


def _matmul(matmul: Mapping[str, Any], calls: int, rows: int) -> Counter[str]:
    """Parts of `calls` runs of matmul.h at `rows` positions each."""
    depth = matmul["depth"]
    chain, unit = (pair_steps(depth), _PAIR_DEPTH) if rows == 2 else (SINGLE_STEPS, _SINGLE_DEPTH)
    whole, rest = divmod(matmul["channels"], 4)
    blocks = calls * (whole + (rest > 0))
    steps = depth // unit
    passes = _up(steps, chain)
    way = "signed" if "SIGNED" in matmul["finish"] else "shifted"
    return Counter(
        {
            "step": blocks * steps,
            f"{way} block": blocks,
            "repeated pass": blocks * passes if passes > 1 else 0,
            "chain": calls * ((whole > 0) + (rest > 0)),
            "rest output": calls * rest * rows,
        }
    )


def _widened(count: int, aligned: bool, times: int) -> Counter[str]:
    """Parts of `times` calls of aot_widen_pair() for `count` bytes."""
    fast = count // 16 if aligned else 0
    return Counter(
        {
            "16 wide": times * fast,
            "16 wide run": times * (fast > 0),
            "4 wide": times * (count // 4 - 4 * fast),
        }
    )


def _rows_matmul(layer: Mapping[str, Any]) -> Counter[str]:
    pairs, depth = _up(layer["rows"], 2), layer["input_depth"]
    work = _matmul(layer["matmul"], pairs, 2)
    work += _widened(depth // 4 * 4, depth % 4 == 0, pairs)
    work += clamped(layer, layer["rows"] * layer["matmul"]["channels"])
    return work + Counter({"layer": 1, "pair": pairs, "ragged pair": pairs * (depth % 4 > 0)})


def _fully_connected_matmul(layer: Mapping[str, Any]) -> Counter[str]:
    work = _matmul(layer["matmul"], 1, 1) + clamped(layer, layer["matmul"]["channels"])
    return work + Counter(
        {"layer": 1, "4 wide": layer["matmul"]["depth"] // 4, "rest input": layer["input_depth"] % 4}
    )


def _fully_connected_direct(layer: Mapping[str, Any]) -> Counter[str]:
    work = _matmul(layer["matmul"], 1, 1) + clamped(layer, layer["matmul"]["channels"])
    return work + Counter({"layer": 1})


def _inside(layer: Mapping[str, Any]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Whether all of its taps are inside the input, for each output pixel in order."""
    window = layer["window"]
    ways = []
    for axis, pad in (("height", "top"), ("width", "left")):
        first = np.arange(layer["output"][axis]) * window[f"stride_{axis}"] - window[f"pad_{pad}"]
        ways.append((first >= 0) & (first + window[axis] <= layer["input"][axis]))
    inside: np.ndarray[Any, np.dtype[np.bool_]] = np.outer(*ways).ravel()
    return inside


def _conv_2d_matmul(layer: Mapping[str, Any], *, copies: bool = False) -> Counter[str]:
    window, channels = layer["window"], layer["input"]["channels"]
    height, run = window["height"], window["width"] * channels
    inside = np.ones(layer["output"]["height"] * layer["output"]["width"], bool) if copies else _inside(layer)
    pairs = _up(len(inside), 2)
    both = int((inside[::2] & np.resize(np.append(inside, inside[-1]), 2 * pairs)[1::2]).sum())
    work = _matmul(layer["matmul"], pairs, 2) + clamped(layer, len(inside) * layer["matmul"]["channels"])
    work += Counter({"layer": 1, "pair": pairs})
    direct = both if run % 4 == 0 else 0
    if run == 4:
        work += Counter({"column pair": direct, "column": direct * height})
    else:
        work += Counter({"window row": direct * height}) + _widened(run, channels % 4 == 0, direct * height)
    if channels % 4 == 0:
        taps = (pairs - direct) * height * window["width"]
        work += Counter({"border tap": taps}) + _widened(channels, True, taps)
    elif direct < pairs:
        kind = "copied" if copies else "bordered"
        rows = 2 * (pairs - direct) * height
        work += Counter({f"{kind} row": rows, f"{kind} word": rows * _up(run, 4)})
        work += _widened(layer["matmul"]["depth"], True, pairs - direct)
    copy = layer["copied_size"]
    words = copy["height"] * copy["width"] * copy["channels"] // 4
    return work + Counter({"copy word": words if copies else 0})


def _conv_2d_narrow(layer: Mapping[str, Any]) -> Counter[str]:
    window, output, copied = layer["window"], layer["output"], layer["copied_size"]
    height, run = window["height"], window["width"] * copied["channels"]
    band = layer["band"] * output["width"]
    bands, rest = divmod(output["height"] * output["width"], band)
    sizes = [band] * bands + [rest] * (rest > 0)
    pairs = sum(_up(size, 2) for size in sizes)
    strips = sum(_up(size // 2, layer["strip"]) + size % 2 for size in sizes)
    blocks = output["channels"] // 4
    way = "signed" if "SIGNED" in layer["finish"] else "shifted"
    row_words = _up(layer["input"]["width"] * copied["channels"], 4)
    work = Counter(
        {
            "layer": 1,
            "constant block": blocks,
            "constant word": blocks * layer["words"],
            "band": len(sizes),
            "copied row": len(sizes) * copied["height"],
            "copied word": len(sizes) * copied["height"] * row_words,
            "strip": strips,
            "pair": pairs,
            "four of a row": pairs * height * (run // 4),
            f"rest of {run % 4}": pairs * height * (run % 4 > 0),
            f"{way} block": pairs * blocks,
            "step": pairs * blocks * layer["words"],
        }
    )
    return work + clamped(layer, output["height"] * output["width"] * output["channels"])


def _conv_2d_walk(layer: Mapping[str, Any]) -> Counter[str]:
    window, channels, output = layer["window"], layer["input"]["channels"], layer["output"]
    height, step, width = window["height"], window["stride_height"], output["width"]
    kept, run = height - step, window["width"] * channels
    pairs, rows = _up(width, 2), output["height"]
    copies = pairs * (_up(rows, (layer["slots"] - height) // step + 1) - 1)
    columns = np.minimum(np.arange(0, width, 2), width - 2) * window["stride_width"] - window["pad_left"]
    reach = window["stride_width"] + window["width"]
    inside_pairs = int(((columns >= 0) & (columns + reach <= layer["input"]["width"])).sum())
    lines = np.arange(kept + rows * step) - window["pad_top"]
    inside_lines = int(((lines >= 0) & (lines < layer["input"]["height"])).sum())
    inside = inside_pairs * inside_lines
    border = pairs * len(lines) - inside
    work = _matmul(layer["matmul"], pairs * rows, 2) + clamped(layer, rows * width * output["channels"])
    return work + Counter(
        {
            "layer": 1,
            "walk": pairs,
            "pair": pairs * rows,
            "copy": copies,
            "copied word": copies * kept * run // 4,
            "inside row": inside,
            "inside word": inside * (run // 4),
            "border row": border,
            "border tap": border * window["width"],
            "border word": border * (run // 4),
        }
    )


def _conv_2d_winograd(layer: Mapping[str, Any]) -> Counter[str]:
    output, quads = layer["output"], layer["input"]["channels"] // 4
    lines = _up(output["height"], 2)
    pairs = lines * _up(output["width"], 4)
    blocks = pairs * output["channels"] // 2
    columns = lines * (output["width"] + 2)
    way = "shifted" if layer["end_shift"] else "signed"
    work = Counter(
        {
            "layer": 1,
            "pair": pairs,
            "step": blocks * 16 * quads,
            "line": blocks * 16,
            f"{way} block": blocks,
            "tile word": 2 * pairs * quads,
            "column": columns,
            "column word": columns * quads,
        }
    )
    return work + clamped(layer, output["height"] * output["width"] * output["channels"])


_COUNTERS: dict[str, Callable[[Mapping[str, Any]], Mapping[str, float]]] = {
    "aot_add": plain_kernel_work.loops,
    "aot_add_affine": plain_kernel_work.add_affine,
    "aot_add_elements": plain_kernel_work.add_elements,
    "aot_arg_max": plain_kernel_work.arg_max,
    "aot_average_pool_channels": plain_kernel_work.average_pool_channels,
    "aot_batch_matmul": move_kernel_work.batch_matmul,
    "aot_compact": compact_kernel_work.compact,
    "aot_compact_gathered": compact_kernel_work.compact,
    "aot_conv_2d": plain_kernel_work.conv_2d,
    "aot_conv_2d_bytes": _conv_2d_matmul,
    "aot_conv_2d_copied": partial(_conv_2d_matmul, copies=True),
    "aot_conv_2d_matmul": _conv_2d_matmul,
    "aot_conv_2d_narrow": _conv_2d_narrow,
    "aot_conv_2d_sparse": sparse_kernel_work.windows,
    "aot_conv_2d_unstructured": sparse_kernel_work.unstructured_windows,
    "aot_conv_2d_walk": _conv_2d_walk,
    "aot_conv_2d_winograd": _conv_2d_winograd,
    "aot_depthwise_3x3": depthwise_kernel_work.depthwise_3x3,
    "aot_depthwise_pairs": depthwise_kernel_work.depthwise_pairs,
    "aot_fully_connected": plain_kernel_work.fully_connected,
    "aot_fully_connected_direct": _fully_connected_direct,
    "aot_fully_connected_matmul": _fully_connected_matmul,
    "aot_fully_connected_sparse": sparse_kernel_work.single,
    "aot_int16_add": int16_kernel_work.add,
    "aot_int16_mean": plain_kernel_work.mean,
    "aot_int16_rows": int16_kernel_work.rows,
    "aot_int16_softmax": int16_kernel_work.softmax,
    "aot_l2_normalization": move_kernel_work.l2_normalization,
    "aot_lstm": lstm,
    "aot_mean": plain_kernel_work.mean,
    "aot_minimum_maximum": plain_kernel_work.pairs,
    "aot_mul": plain_kernel_work.pairs,
    "aot_prelu": plain_kernel_work.pairs,
    "aot_reduce_max": plain_kernel_work.mean,
    "aot_relu": plain_kernel_work.elements,
    "aot_relu6": plain_kernel_work.elements,
    "aot_rows_matmul": _rows_matmul,
    "aot_rows_sparse": sparse_kernel_work.rows,
    "aot_rows_unstructured": sparse_kernel_work.unstructured_rows,
    "aot_softmax": softmax,
    "aot_table": plain_kernel_work.elements,
    "aot_transpose_conv": move_kernel_work.transpose_conv,
}

# Those that do not exist in a build for size, where other kernels do their work.
_FOR_SPEED = frozenset(
    {
        "aot_average_pool_channels",
        "aot_conv_2d_bytes",
        "aot_conv_2d_copied",
        "aot_conv_2d_matmul",
        "aot_conv_2d_narrow",
        "aot_conv_2d_walk",
        "aot_conv_2d_winograd",
        "aot_depthwise_3x3",
        "aot_depthwise_pairs",
        "aot_fully_connected_direct",
        "aot_fully_connected_matmul",
        "aot_rows_matmul",
    }
)

_FOR_SIZE = frozenset({"aot_compact", "aot_compact_gathered"})

# Those whose parts depend on how they are compiled.
_BY_BUILD: dict[str, Callable[[Mapping[str, Any], Build], Mapping[str, float]]] = {
    "aot_average_pool_2d": plain_kernel_work.average_pool_2d,
    "aot_copy": move_kernel_work.copy,
    "aot_depthwise_conv_2d": plain_kernel_work.depthwise_conv_2d,
    "aot_int16_conv_2d": int16_kernel_work.conv_2d,
    "aot_int16_depthwise_conv_2d": plain_kernel_work.depthwise_conv_2d,
    "aot_int16_pool_2d": int16_kernel_work.pool_2d,
    "aot_max_pool_2d": plain_kernel_work.pool_2d,
    "aot_pad": move_kernel_work.pad,
    "aot_resize_nearest": move_kernel_work.resize_nearest,
}
