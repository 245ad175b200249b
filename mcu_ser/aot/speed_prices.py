# SPDX-License-Identifier: Apache-2.0
"""Prices of the parts of each kernel for speed (gcc 12.2 -O2).

Written by tools/fit_layer_cost.py. Beside the prices stands the greatest relative error over the layers that
were measured.
"""

from __future__ import annotations

from collections.abc import Mapping

from mcu_ser.aot.kernel_cost import KernelCost

SPEED_PRICES: Mapping[str, KernelCost] = {
    "aot_add": KernelCost({"element": 49.0, "layer": 0.101, "row": 10.1}, 0.000),
    "aot_add_affine": KernelCost({"clamped output": 6.04, "element": 7.62, "layer": 14.7}, 0.008),
    "aot_add_elements": KernelCost({"element": 3.0, "layer": 38.5, "tie": 6.0}, 0.035),
    "aot_arg_max": KernelCost({"layer": 3.01, "output": 6.71, "tap": 8.92}, 0.091),
    "aot_average_pool_2d": KernelCost(
        {
            "cut output": 1.37,
            "cut row": 3.59,
            "cut tap": 9.89,
            "division": 5.12,
            "output": 2.98,
            "row": 6.08,
            "short output": 0.765,
            "short row": 1.53,
            "short tap": 3.06,
            "tap": 6.71,
        },
        0.071,
    ),
    "aot_average_pool_channels": KernelCost(
        {"layer": 71.5, "output": 19.2, "pixel": 30.8, "tap": 3.95}, 0.019
    ),
    "aot_batch_matmul": KernelCost(
        {"output": 30.2, "product": 7.25, "product of 4": 17.6, "row": 4.57}, 0.039
    ),
    "aot_conv_2d": KernelCost(
        {"block": 55.6, "output": 21.7, "product": 4.15, "product of 4": 11.8, "run": 10.1}, 0.083
    ),
    "aot_conv_2d_matmul": KernelCost(
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
        0.026,
    ),
    "aot_conv_2d_narrow": KernelCost(
        {
            "constant word": 26.8,
            "copied word": 5.24,
            "four of a row": 8.27,
            "layer": 550.0,
            "pair": 17.0,
            "rest of 1": 4.7,
            "rest of 2": 8.14,
            "rest of 3": 10.9,
        },
        0.010,
    ),
    "aot_conv_2d_sparse": KernelCost(
        {"border tap": 63.0, "chain": 255.0, "clamp": 4.42, "inside row": 15.3, "layer": 150.0}, 0.013
    ),
    "aot_conv_2d_unstructured": KernelCost(
        {"border tap": 140.0, "chain": 477.0, "clamp": 87.3, "inside row": 38.3, "layer": 109.0}, 0.002
    ),
    "aot_conv_2d_walk": KernelCost(
        {
            "border row": 104.0,
            "border tap": 23.7,
            "border word": 3.12,
            "chain": 36.1,
            "copied word": 2.18,
            "inside row": 22.1,
            "inside word": 7.17,
            "pair": 31.5,
            "rest output": 18.3,
        },
        0.002,
    ),
    "aot_conv_2d_winograd": KernelCost(
        {
            "clamp": 216.0,
            "column": 63.0,
            "column word": 25.0,
            "layer": 552.0,
            "shifted block": 343.0,
            "signed block": 365.0,
            "tile word": 101.0,
        },
        0.003,
    ),
    "aot_copy": KernelCost(
        {
            "copied rest": 15.7,
            "copied run": 21.3,
            "element": 4.17,
            "moved run": 4.3,
            "moved word": 1.69,
            "single run": 3.38,
            "strided run": 7.07,
            "turn": 1.85,
        },
        0.163,
    ),
    "aot_depthwise_3x3": KernelCost(
        {
            "band": 23.0,
            "border word": 7.94,
            "channel": 92.1,
            "clamp": 177.0,
            "layer": 33.3,
            "plane word": 5.44,
            "row": 0.407,
            "shifted output": 9.17,
            "signed output": 12.0,
            "spread half": 12.2,
            "spread pair": 16.6,
            "tile": 16.4,
            "wide row": 5.81,
        },
        0.002,
    ),
    "aot_depthwise_conv_2d": KernelCost(
        {
            "block": 0.883,
            "cut block": 92.8,
            "cut block of 4": 13.5,
            "cut tap of 4": 24.5,
            "output": 38.7,
            "pixel": 3.4,
            "tap": 7.94,
            "tap of 4": 16.6,
        },
        0.074,
    ),
    "aot_depthwise_pairs": KernelCost(
        {
            "clamp": 99.2,
            "clamped rest": 21.0,
            "found row": 25.4,
            "found tap": 11.9,
            "layer": 94.0,
            "pixel": 41.7,
            "row": 48.8,
        },
        0.010,
    ),
    "aot_fully_connected": KernelCost({"output": 36.5, "product": 4.25, "product of 4": 11.2}, 0.006),
    "aot_fully_connected_direct": KernelCost({"chain": 23.0, "layer": 23.0}, 0.000),
    "aot_fully_connected_matmul": KernelCost(
        {
            "4 wide": 6.05,
            "clamp": 1.61,
            "clamped rest": 12.9,
            "layer": 115.0,
            "rest input": 34.2,
            "rest output": 34.0,
        },
        0.012,
    ),
    "aot_fully_connected_sparse": KernelCost(
        {"chain": 23.7, "clamp": 1.1, "clamped rest": 13.2, "four wide": 11.1, "layer": 23.7}, 0.001
    ),
    "aot_int16_add": KernelCost({"element": 26.9, "layer": 2.74, "row": 7.11, "shifted": 5.05}, 0.003),
    "aot_int16_conv_2d": KernelCost(
        {
            "block": 112.0,
            "copied rest": 22.6,
            "copied run": 16.4,
            "filled run": 198.0,
            "layer": 20.2,
            "moved run": 0.385,
            "moved word": 1.54,
            "output": 30.9,
            "products of 4": 23.3,
            "set word": 19.6,
            "window row": 0.148,
        },
        0.026,
    ),
    "aot_int16_depthwise_conv_2d": KernelCost(
        {
            "block of 4": 165.0,
            "cut block": 122.0,
            "cut block of 4": 168.0,
            "cut tap of 4": 20.1,
            "output": 6.47,
            "tap": 12.3,
            "tap of 4": 18.0,
        },
        0.064,
    ),
    "aot_int16_mean": KernelCost(
        {"layer": 19.6, "multiplied row": 1.74, "output": 22.7, "row": 1.65, "tap": 3.39}, 0.053
    ),
    "aot_int16_pool_2d": KernelCost(
        {
            "compared tap": 2.08,
            "cut output": 3.42,
            "cut tap": 8.68,
            "division": 15.8,
            "layer": 113.0,
            "output": 1.52,
            "pixel": 2.96,
            "row": 11.2,
            "short output": 1.23,
            "short row": 2.47,
            "short tap": 4.94,
            "tap": 3.61,
        },
        0.062,
    ),
    "aot_int16_rows": KernelCost({"block": 121.0, "output": 29.3, "products of 4": 23.2}, 0.041),
    "aot_int16_softmax": KernelCost({"left element": 53.6, "right element": 57.8, "row": 168.0}, 0.014),
    "aot_l2_normalization": KernelCost({"left element": 31.0, "right element": 41.4, "row": 285.0}, 0.011),
    "aot_lstm": KernelCost(
        {"gate": 223.0, "layer": 51.1, "output": 56.3, "paired quad": 16.2, "quad": 25.8, "widened": 6.08},
        0.033,
    ),
    "aot_max_pool_2d": KernelCost(
        {
            "cut output": 3.07,
            "cut tap": 11.0,
            "row": 17.5,
            "short output": 0.85,
            "short row": 1.7,
            "short tap": 3.4,
            "tap": 4.53,
        },
        0.095,
    ),
    "aot_mean": KernelCost(
        {"layer": 0.707, "multiplied row": 1.21, "output": 30.9, "row": 1.4, "tap": 2.61}, 0.054
    ),
    "aot_minimum_maximum": KernelCost({"element": 8.0, "row": 7.01}, 0.001),
    "aot_mul": KernelCost({"element": 29.0, "layer": 3.88, "row": 7.1}, 0.000),
    "aot_pad": KernelCost(
        {
            "copied rest": 9.33,
            "copied run": 16.3,
            "filled run": 31.5,
            "moved run": 1.32,
            "moved word": 2.52,
            "set word": 2.28,
        },
        0.142,
    ),
    "aot_prelu": KernelCost({"element": 12.0, "row": 5.18}, 0.005),
    "aot_reduce_max": KernelCost(
        {"layer": 4.86, "multiplied row": 1.84, "output": 10.9, "row": 2.06, "tap": 3.9}, 0.085
    ),
    "aot_relu": KernelCost({"element": 14.0, "layer": 11.0}, 0.001),
    "aot_relu6": KernelCost({"element": 10.0, "layer": 6.96}, 0.001),
    "aot_resize_nearest": KernelCost(
        {"copied rest": 15.2, "copied run": 26.4, "moved run": 5.07, "moved word": 3.17, "single run": 5.01},
        0.100,
    ),
    "aot_rows_matmul": KernelCost(
        {
            "16 wide": 24.2,
            "4 wide": 10.4,
            "chain": 78.0,
            "layer": 48.2,
            "ragged pair": 73.8,
            "rest output": 3.46,
        },
        0.004,
    ),
    "aot_rows_sparse": KernelCost({"chain": 66.2, "clamp": 18.0, "layer": 44.3}, 0.000),
    "aot_rows_unstructured": KernelCost({"chain": 114.0, "clamp": 20.5, "layer": 32.8}, 0.000),
    "aot_softmax": KernelCost({"element": 23.4, "exponential": 135.0, "factor": 7.21, "row": 91.3}, 0.029),
    "aot_table": KernelCost({"element": 3.82, "layer": 30.0}, 0.191),
    "aot_transpose_conv": KernelCost(
        {"block": 25.0, "output": 26.0, "product": 6.09, "product of 4": 13.6, "row": 14.0, "tap": 7.17},
        0.066,
    ),
}
