# SPDX-License-Identifier: Apache-2.0
"""Prices of the parts of each kernel for size (gcc 12.2 -Os), as one function for several layers.

Written by tools/fit_layer_cost.py. Beside the prices stands the greatest relative error over the layers that
were measured.
"""

from __future__ import annotations

from collections.abc import Mapping

from mcu_ser.aot.kernel_cost import KernelCost

SIZE_PRICES: Mapping[str, KernelCost] = {
    "aot_add": KernelCost({"element": 116.0, "layer": 0.274, "row": 28.7}, 0.003),
    "aot_add_affine": KernelCost({"clamped output": 3.0, "element": 21.0, "layer": 20.0}, 0.000),
    "aot_add_elements": KernelCost({"element": 7.0, "layer": 22.0, "tie": 14.0}, 0.000),
    "aot_arg_max": KernelCost({"layer": 18.0, "output": 14.0, "row": 13.0, "tap": 11.0}, 0.000),
    "aot_average_pool_2d": KernelCost(
        {"division": 14.1, "layer": 37.2, "output": 14.1, "pixel": 108.0, "row": 11.1, "tap": 13.0}, 0.001
    ),
    "aot_batch_matmul": KernelCost(
        {
            "block": 117.0,
            "layer": 40.8,
            "matrix": 27.5,
            "output": 32.0,
            "product": 22.0,
            "product of 4": 40.0,
            "row": 16.3,
        },
        0.000,
    ),
    "aot_compact": KernelCost(
        {
            "block": 70.6,
            "channels": 67.2,
            "layer": 51.1,
            "output": 14.1,
            "pixel": 105.0,
            "row": 21.1,
            "row of taps": 24.1,
        },
        0.009,
    ),
    "aot_compact_gathered": KernelCost(
        {
            "block": 44.8,
            "copied run": 21.3,
            "filled run": 63.8,
            "layer": 59.9,
            "output": 14.4,
            "pixel": 63.8,
            "row": 44.8,
        },
        0.004,
    ),
    "aot_conv_2d": KernelCost({"output": 102.0, "product": 23.5, "product of 4": 36.4, "run": 18.1}, 0.015),
    "aot_conv_2d_sparse": KernelCost(
        {"border tap": 97.2, "chain": 271.0, "clamp": 14.7, "inside row": 42.4, "layer": 158.0}, 0.003
    ),
    "aot_conv_2d_unstructured": KernelCost(
        {"border tap": 183.0, "chain": 492.0, "clamp": 114.0, "inside row": 75.4, "layer": 112.0}, 0.002
    ),
    "aot_copy": KernelCost(
        {"copied run": 38.0, "element": 9.01, "layer": 49.7, "strided run": 31.9, "turn": 8.51}, 0.001
    ),
    "aot_depthwise_conv_2d": KernelCost(
        {
            "block": 58.3,
            "block of 4": 6.16,
            "layer": 2.37,
            "output": 82.9,
            "pixel": 84.3,
            "row": 31.0,
            "tap": 18.9,
            "tap of 4": 41.2,
        },
        0.000,
    ),
    "aot_fully_connected": KernelCost(
        {"block": 41.6, "layer": 45.1, "output": 60.5, "product": 14.4, "product of 4": 28.9}, 0.001
    ),
    "aot_fully_connected_sparse": KernelCost(
        {"chain": 27.7, "clamp": 1.05, "clamped rest": 12.6, "four wide": 12.1, "layer": 27.7}, 0.001
    ),
    "aot_int16_add": KernelCost({"element": 105.0, "layer": 30.0, "row": 33.0}, 0.000),
    "aot_int16_conv_2d": KernelCost(
        {
            "block": 228.0,
            "copied run": 46.2,
            "layer": 48.7,
            "output": 42.5,
            "products of 4": 35.4,
            "row": 102.0,
        },
        0.026,
    ),
    "aot_int16_depthwise_conv_2d": KernelCost(
        {"block": 82.3, "output": 78.6, "pixel": 89.8, "row": 37.0, "tap": 14.8, "tap of 4": 32.8}, 0.005
    ),
    "aot_int16_mean": KernelCost(
        {"layer": 25.9, "multiplied row": 6.83, "output": 61.4, "row": 7.07, "tap": 13.9}, 0.022
    ),
    "aot_int16_pool_2d": KernelCost(
        {
            "compared tap": 3.0,
            "division": 7.01,
            "layer": 41.2,
            "output": 25.3,
            "pixel": 107.0,
            "row": 11.0,
            "tap": 12.0,
        },
        0.002,
    ),
    "aot_int16_rows": KernelCost(
        {"block": 176.0, "layer": 9.62, "output": 54.5, "products of 4": 35.0, "row": 30.8}, 0.008
    ),
    "aot_int16_softmax": KernelCost({"left element": 70.0, "right element": 85.1, "row": 196.0}, 0.006),
    "aot_l2_normalization": KernelCost(
        {"layer": 26.2, "left element": 27.9, "right element": 43.0, "row": 387.0, "step": 4.47}, 0.001
    ),
    "aot_lstm": KernelCost(
        {"gate": 577.0, "layer": 834.0, "output": 68.7, "paired quad": 17.5, "quad": 30.5, "widened": 10.1},
        0.005,
    ),
    "aot_max_pool_2d": KernelCost(
        {"layer": 37.2, "output": 21.2, "pixel": 108.0, "row": 11.0, "tap": 16.0}, 0.002
    ),
    "aot_mean": KernelCost(
        {"layer": 18.0, "multiplied row": 6.89, "output": 63.1, "row": 7.05, "tap": 13.9}, 0.023
    ),
    "aot_minimum_maximum": KernelCost({"element": 17.0, "layer": 26.0, "row": 33.0}, 0.000),
    "aot_mul": KernelCost({"element": 51.1, "layer": 28.8, "row": 33.8}, 0.002),
    "aot_pad": KernelCost({"copied run": 44.0, "layer": 128.0, "turn": 22.7}, 0.000),
    "aot_prelu": KernelCost({"element": 37.0, "layer": 29.0, "row": 35.0}, 0.000),
    "aot_reduce_max": KernelCost(
        {"layer": 14.7, "multiplied row": 6.55, "output": 38.0, "row": 6.73, "tap": 13.3}, 0.024
    ),
    "aot_relu": KernelCost({"element": 40.1, "layer": 20.7}, 0.003),
    "aot_relu6": KernelCost({"element": 11.1, "layer": 17.7}, 0.010),
    "aot_resize_nearest": KernelCost({"copied run": 21.0, "layer": 17.7, "row": 11.0}, 0.000),
    "aot_rows_sparse": KernelCost({"chain": 76.2, "clamp": 15.1, "layer": 52.3}, 0.000),
    "aot_rows_unstructured": KernelCost({"chain": 123.0, "clamp": 17.5, "layer": 38.8}, 0.000),
    "aot_softmax": KernelCost({"element": 30.1, "exponential": 169.0, "factor": 8.81, "row": 160.0}, 0.025),
    "aot_table": KernelCost({"element": 8.0, "layer": 15.0}, 0.000),
    "aot_transpose_conv": KernelCost(
        {
            "block": 65.0,
            "output": 67.6,
            "pixel": 61.4,
            "product": 18.9,
            "product of 4": 38.1,
            "row": 34.7,
            "tap": 22.3,
        },
        0.005,
    ),
}
