# SPDX-License-Identifier: Apache-2.0
"""Predicts how many instructions a layer executes on a Cortex-M4 with DSP instructions.

A kernel's parts (`kernel_work`) have a price each. Those written in assembly cost the instructions that
their source has; the others were measured: tools/fit_layer_cost.py counts the layers of
tests/layer_shapes.py under QEMU's -icount (netduinoplus2, gcc 12.2 -O2), fits the prices, and prints this
table. Beside each kernel stands the greatest relative error over those shapes. Choices among kernels ask
`predicted_instructions`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mcu_ser.aot.kernel_work import work_of
from mcu_ser.aot.kernels.kernel_call import KernelCall

# Sixteen outputs beside a bound.
_CLAMP = {"limited 16": 12}

_PAIR_CHAIN = {**_CLAMP, "step": 12, "shifted block": 50, "signed block": 66, "repeated pass": 4}
_SINGLE_CHAIN = {**_CLAMP, "step": 27, "shifted block": 31, "signed block": 39, "repeated pass": 4}
_SPARSE_CHAIN = {
    **_CLAMP,
    "step": 15,
    "four wide": 16,
    "shifted channel": 30,
    "signed channel": 38,
    "channel of passes": 4,
    "pass": 4,
}
_SPARSE_SINGLE_CHAIN = {
    **_CLAMP,
    "step": 8,
    "shifted channel": 15,
    "signed channel": 17,
    "channel of passes": 4,
    "pass": 4,
}
_UNSTRUCTURED_CHAIN = {
    **_CLAMP,
    "step": 17,
    "four wide": 64,
    "shifted channel": 67,
    "signed channel": 83,
    "channel of passes": 4,
    "pass": 4,
}

_NARROW_CHAIN = {**_CLAMP, "step": 11, "shifted block": 31, "signed block": 49}

ASSEMBLY: Mapping[str, Mapping[str, int]] = {
    "aot_conv_2d_matmul": _PAIR_CHAIN,
    "aot_conv_2d_narrow": _NARROW_CHAIN,
    "aot_conv_2d_walk": _PAIR_CHAIN,
    "aot_conv_2d_winograd": {**_CLAMP, "step": 10, "line": 2},
    "aot_conv_2d_sparse": _SPARSE_CHAIN,
    "aot_conv_2d_unstructured": _UNSTRUCTURED_CHAIN,
    "aot_depthwise_3x3": _CLAMP,
    "aot_fully_connected_direct": {**_SINGLE_CHAIN, "step": 31},
    "aot_fully_connected_matmul": _SINGLE_CHAIN,
    "aot_fully_connected_sparse": _SPARSE_SINGLE_CHAIN,
    "aot_rows_matmul": _PAIR_CHAIN,
    "aot_rows_sparse": _SPARSE_CHAIN,
    "aot_rows_unstructured": _UNSTRUCTURED_CHAIN,
}
"""Instructions of the parts that the headers *_dsp.h have in assembly, by kernel."""


@dataclass(frozen=True)
class KernelCost:
    """Instructions of each part of a kernel, and the greatest relative error of their sum."""

    prices: Mapping[str, float]
    error: float


def _cost(kernel: str, error: float, prices: Mapping[str, float]) -> KernelCost:
    return KernelCost({**ASSEMBLY.get(kernel, {}), **prices}, error)


# The three kernels of conv_2d_matmul.h.
_WINDOW_PAIRS = _cost(
    "aot_conv_2d_matmul",
    0.027,
    {
        "16 wide": 16.7,
        "16 wide run": 18.6,
        "4 wide": 8.41,
        "border tap": 52.1,
        "bordered row": 61.6,
        "bordered word": 8.42,
        "chain": 52.3,
        "copied row": 4.71,
        "pair": 94.3,
    },
)

KERNEL_COSTS: Mapping[str, KernelCost] = {
    "aot_add": _cost("aot_add", 0.000, {"element": 49, "layer": 0.0782, "row": 7.1}),
    "aot_add_affine": _cost("aot_add_affine", 0.008, {"clamped output": 6.04, "element": 7.5, "layer": 14.1}),
    "aot_add_elements": _cost("aot_add_elements", 0.029, {"element": 2.87, "layer": 18, "tie": 5.73}),
    "aot_average_pool_2d": _cost(
        "aot_average_pool_2d",
        0.116,
        {
            "cut output": 6.15,
            "cut tap": 10.4,
            "division": 3.03,
            "layer": 190,
            "row": 14.8,
            "short output": 0.767,
            "short row": 1.53,
            "short tap": 3.07,
            "tap": 4.77,
        },
    ),
    "aot_average_pool_channels": _cost(
        "aot_average_pool_channels", 0.018, {"layer": 77.5, "output": 19.3, "pixel": 30.4, "tap": 3.92}
    ),
    "aot_conv_2d": _cost(
        "aot_conv_2d",
        0.076,
        {"output": 35.2, "pixel": 1.81, "product": 5.51, "product of 4": 11.8, "run": 11.2},
    ),
    "aot_conv_2d_bytes": _WINDOW_PAIRS,
    "aot_conv_2d_copied": _WINDOW_PAIRS,
    "aot_conv_2d_matmul": _WINDOW_PAIRS,
    "aot_conv_2d_narrow": _cost(
        "aot_conv_2d_narrow",
        0.008,
        {
            "constant word": 24.3,
            "copied word": 5,
            "four of a row": 8.11,
            "layer": 539,
            "pair": 17,
            "rest of 1": 5.01,
            "rest of 2": 8.37,
            "rest of 3": 11.3,
        },
    ),
    "aot_conv_2d_sparse": _cost(
        "aot_conv_2d_sparse",
        0.012,
        {"border tap": 84.6, "chain": 341, "clamp": 85.7, "inside row": 33.1, "layer": 62.4},
    ),
    "aot_conv_2d_unstructured": _cost(
        "aot_conv_2d_unstructured",
        0.008,
        {"border tap": 164, "chain": 562, "clamp": 29.2, "inside row": 65.1, "layer": 42.2},
    ),
    "aot_conv_2d_walk": _cost(
        "aot_conv_2d_walk",
        0.002,
        {
            "border row": 104,
            "border tap": 23.7,
            "border word": 3.11,
            "chain": 36,
            "copied word": 2.19,
            "inside row": 22.2,
            "inside word": 7.17,
            "pair": 31.5,
            "rest output": 18.3,
        },
    ),
    "aot_conv_2d_winograd": _cost(
        "aot_conv_2d_winograd",
        0.004,
        {
            "clamp": 214,
            "column": 63,
            "column word": 24.9,
            "layer": 552,
            "shifted block": 343,
            "signed block": 365,
            "tile word": 101,
        },
    ),
    "aot_depthwise_3x3": _cost(
        "aot_depthwise_3x3",
        0.002,
        {
            "band": 23.1,
            "border word": 7.92,
            "channel": 92.2,
            "clamp": 172,
            "layer": 31.3,
            "plane word": 5.5,
            "row": 0.412,
            "shifted output": 9.17,
            "signed output": 12,
            "spread half": 12.3,
            "spread pair": 16.6,
            "tile": 16.3,
            "wide row": 5.81,
        },
    ),
    "aot_depthwise_conv_2d": _cost("aot_depthwise_conv_2d", 0.231, {"block": 120, "tap of 4": 26.8}),
    "aot_fully_connected": _cost(
        "aot_fully_connected", 0.009, {"output": 37.1, "product": 4.16, "product of 4": 11.1}
    ),
    "aot_fully_connected_direct": _cost(
        "aot_fully_connected_direct",
        0.005,
        {"chain": 53, "clamp": 1.08, "clamped rest": 12.9, "layer": 30},
    ),
    "aot_fully_connected_matmul": _cost(
        "aot_fully_connected_matmul",
        0.013,
        {
            "4 wide": 6.29,
            "clamp": 1.51,
            "clamped rest": 12.1,
            "layer": 115,
            "rest input": 32.5,
            "rest output": 32.6,
        },
    ),
    "aot_fully_connected_sparse": _cost(
        "aot_fully_connected_sparse",
        0.117,  # of a layer of one output, which the compiler makes a copy of the kernel for, or does not
        {"chain": 22.5, "clamp": 1.06, "clamped rest": 12.7, "four wide": 11, "layer": 22.5},
    ),
    "aot_max_pool_2d": _cost(
        "aot_max_pool_2d",
        0.116,
        {
            "cut output": 6.15,
            "cut tap": 10.4,
            "division": 3.03,
            "layer": 190,
            "row": 14.8,
            "short output": 0.767,
            "short row": 1.53,
            "short tap": 3.07,
            "tap": 4.77,
        },
    ),
    "aot_mean": _cost("aot_mean", 0.031, {"layer": 71.5, "output": 30.4, "row": 1.94, "tap": 1.94}),
    "aot_minimum_maximum": _cost("aot_minimum_maximum", 0.012, {"element": 8.01, "row": 5.34}),
    "aot_mul": _cost("aot_mul", 0.000, {"element": 29, "layer": 2.88, "row": 7.1}),
    "aot_prelu": _cost("aot_prelu", 0.009, {"element": 12, "row": 4.34}),
    "aot_reduce_max": _cost(
        "aot_reduce_max", 0.052, {"layer": 360, "output": 5.76, "row": 2.81, "tap": 2.81}
    ),
    "aot_relu": _cost("aot_relu", 0.000, {"element": 14, "layer": 9}),
    "aot_relu6": _cost("aot_relu6", 0.000, {"element": 10, "layer": 5}),
    "aot_rows_matmul": _cost(
        "aot_rows_matmul",
        0.004,
        {
            "16 wide": 24.2,
            "4 wide": 10.4,
            "chain": 78,
            "layer": 48.7,
            "ragged pair": 73.8,
            "rest output": 3.47,
        },
    ),
    "aot_rows_sparse": _cost("aot_rows_sparse", 0.000, {"chain": 62.7, "clamp": 26.5, "layer": 24.9}),
    "aot_rows_unstructured": _cost(
        "aot_rows_unstructured", 0.000, {"chain": 108, "clamp": 20.7, "layer": 28.6}
    ),
    "aot_softmax": _cost("aot_softmax", 0.755, {"element": 73.7, "layer": 290, "row": 504}),
    "aot_table": _cost("aot_table", 0.183, {"element": 3.93, "layer": 21.4}),
}
"""By C function; a kernel that is not here was not measured."""


def predicted_instructions(call: KernelCall) -> int | None:
    """Instructions of all calls of a layer; None if one of its kernels was not measured, or not for size."""
    if call.for_size:
        return None
    total = 0.0
    for step in call.steps():
        work, cost = work_of(step), KERNEL_COSTS.get(step.kernel)
        if work is None or cost is None:
            return None
        total += sum(cost.prices.get(part, 0.0) * runs for part, runs in work.items())
    return round(total)
