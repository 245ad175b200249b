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
    "direct channel": 23,
    "signed channel": 35,
    "channel of passes": 4,
    "pass": 4,
}
_SPARSE_SINGLE_CHAIN = {
    **_CLAMP,
    "step": 8,
    "direct channel": 11,
    "signed channel": 14,
    "channel of passes": 4,
    "pass": 4,
}
_UNSTRUCTURED_CHAIN = {
    **_CLAMP,
    "step": 17,
    "four wide": 64,
    "direct channel": 56,
    "signed channel": 80,
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
    0.026,
    {
        "16 wide": 16.8,
        "16 wide run": 18.8,
        "4 wide": 8.48,
        "border tap": 51.9,
        "bordered row": 61.5,
        "bordered word": 8.36,
        "chain": 52.6,
        "copied row": 4.46,
        "pair": 95.2,
    },
)

KERNEL_COSTS: Mapping[str, KernelCost] = {
    "aot_add": _cost("aot_add", 0.000, {"element": 49, "layer": 0.101, "row": 10.1}),
    "aot_add_affine": _cost(
        "aot_add_affine", 0.008, {"clamped output": 6.04, "element": 7.62, "layer": 14.7}
    ),
    "aot_add_elements": _cost("aot_add_elements", 0.035, {"element": 3, "layer": 38.5, "tie": 6}),
    "aot_average_pool_2d": _cost(
        "aot_average_pool_2d",
        0.116,
        {
            "cut output": 5.84,
            "cut tap": 10.5,
            "division": 3.05,
            "layer": 186,
            "row": 14.8,
            "short output": 0.77,
            "short row": 1.54,
            "short tap": 3.08,
            "tap": 4.78,
        },
    ),
    "aot_average_pool_channels": _cost(
        "aot_average_pool_channels", 0.019, {"layer": 71.5, "output": 19.2, "pixel": 30.8, "tap": 3.95}
    ),
    "aot_conv_2d": _cost(
        "aot_conv_2d", 0.075, {"output": 35.3, "product": 5.48, "product of 4": 11.8, "run": 11.3}
    ),
    "aot_conv_2d_bytes": _WINDOW_PAIRS,
    "aot_conv_2d_copied": _WINDOW_PAIRS,
    "aot_conv_2d_matmul": _WINDOW_PAIRS,
    "aot_conv_2d_narrow": _cost(
        "aot_conv_2d_narrow",
        0.010,
        {
            "constant word": 26.8,
            "copied word": 5.24,
            "four of a row": 8.27,
            "layer": 550,
            "pair": 17,
            "rest of 1": 4.7,
            "rest of 2": 8.14,
            "rest of 3": 10.9,
        },
    ),
    "aot_conv_2d_sparse": _cost(
        "aot_conv_2d_sparse",
        0.011,
        {"border tap": 84.8, "chain": 339, "clamp": 100, "inside row": 33.4, "layer": 68.9},
    ),
    "aot_conv_2d_unstructured": _cost(
        "aot_conv_2d_unstructured", 0.007, {"border tap": 162, "chain": 592, "clamp": 315, "inside row": 62.7}
    ),
    "aot_conv_2d_walk": _cost(
        "aot_conv_2d_walk",
        0.002,
        {
            "border row": 104,
            "border tap": 23.7,
            "border word": 3.12,
            "chain": 36.1,
            "copied word": 2.18,
            "inside row": 22.1,
            "inside word": 7.17,
            "pair": 31.5,
            "rest output": 18.3,
        },
    ),
    "aot_conv_2d_winograd": _cost(
        "aot_conv_2d_winograd",
        0.003,
        {
            "clamp": 216,
            "column": 63,
            "column word": 25,
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
            "band": 23,
            "border word": 7.97,
            "channel": 92.1,
            "clamp": 174,
            "layer": 31.9,
            "plane word": 5.48,
            "row": 0.415,
            "shifted output": 9.17,
            "signed output": 12,
            "spread half": 12.3,
            "spread pair": 16.6,
            "tile": 16.3,
            "wide row": 5.81,
        },
    ),
    "aot_depthwise_conv_2d": _cost("aot_depthwise_conv_2d", 0.220, {"block": 120, "tap of 4": 27.1}),
    "aot_fully_connected": _cost(
        "aot_fully_connected", 0.006, {"output": 36.5, "product": 4.25, "product of 4": 11.2}
    ),
    "aot_fully_connected_direct": _cost("aot_fully_connected_direct", 0.000, {"chain": 23, "layer": 23}),
    "aot_fully_connected_matmul": _cost(
        "aot_fully_connected_matmul",
        0.012,
        {
            "4 wide": 6.05,
            "clamp": 1.61,
            "clamped rest": 12.9,
            "layer": 115,
            "rest input": 34.2,
            "rest output": 34,
        },
    ),
    "aot_fully_connected_sparse": _cost(
        "aot_fully_connected_sparse",
        0.000,
        {"chain": 22.5, "clamp": 1.09, "clamped rest": 13.1, "four wide": 11, "layer": 22.5},
    ),
    "aot_lstm": _cost(
        "aot_lstm",
        0.033,
        {"gate": 223, "layer": 51.1, "output": 56.3, "paired quad": 16.2, "quad": 25.8, "widened": 6.08},
    ),
    "aot_max_pool_2d": _cost(
        "aot_max_pool_2d",
        0.116,
        {
            "cut output": 5.84,
            "cut tap": 10.5,
            "division": 3.05,
            "layer": 186,
            "row": 14.8,
            "short output": 0.77,
            "short row": 1.54,
            "short tap": 3.08,
            "tap": 4.78,
        },
    ),
    "aot_mean": _cost("aot_mean", 0.033, {"layer": 80, "output": 30.1, "row": 1.94, "tap": 1.94}),
    "aot_minimum_maximum": _cost("aot_minimum_maximum", 0.001, {"element": 8, "row": 7.01}),
    "aot_mul": _cost("aot_mul", 0.000, {"element": 29, "layer": 3.88, "row": 7.1}),
    "aot_prelu": _cost("aot_prelu", 0.005, {"element": 12, "row": 5.18}),
    "aot_reduce_max": _cost(
        "aot_reduce_max", 0.051, {"layer": 378, "output": 5.39, "row": 2.81, "tap": 2.81}
    ),
    "aot_relu": _cost("aot_relu", 0.001, {"element": 14, "layer": 11}),
    "aot_relu6": _cost("aot_relu6", 0.001, {"element": 10, "layer": 6.96}),
    "aot_rows_matmul": _cost(
        "aot_rows_matmul",
        0.004,
        {
            "16 wide": 24.2,
            "4 wide": 10.4,
            "chain": 78,
            "layer": 48.2,
            "ragged pair": 73.8,
            "rest output": 3.46,
        },
    ),
    "aot_rows_sparse": _cost("aot_rows_sparse", 0.000, {"chain": 63, "clamp": 22.7, "layer": 26.1}),
    "aot_rows_unstructured": _cost(
        "aot_rows_unstructured", 0.000, {"chain": 108, "clamp": 22.7, "layer": 28.7}
    ),
    "aot_softmax": _cost("aot_softmax", 0.756, {"element": 73.1, "layer": 261, "row": 524}),
    "aot_table": _cost("aot_table", 0.191, {"element": 3.82, "layer": 30}),
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
