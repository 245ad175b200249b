# SPDX-License-Identifier: Apache-2.0
"""Prices of the parts of each kernel for size (gcc 12.2 -Os), in the place of its only call.

Written by tools/fit_layer_cost.py. Beside the prices stands the greatest relative error over the layers that
were measured.
"""

from __future__ import annotations

from collections.abc import Mapping

from mcu_ser.aot.kernel_cost import KernelCost

SIZE_ALONE_PRICES: Mapping[str, KernelCost] = {
    "aot_add": KernelCost({"element": 98.0, "layer": 0.103, "row": 7.06}, 0.000),
    "aot_add_affine": KernelCost({"clamped output": 4.0, "element": 9.0, "layer": 13.0}, 0.000),
    "aot_add_elements": KernelCost({"element": 3.49, "layer": 12.0, "tie": 6.99}, 0.029),
    "aot_arg_max": KernelCost({"layer": 4.75, "output": 0.0612, "tap": 10.4}, 0.130),
    "aot_average_pool_2d": KernelCost(
        {
            "cut output": 23.6,
            "cut tap": 9.78,
            "division": 33.9,
            "output": 7.7,
            "pixel": 22.8,
            "row": 16.4,
            "short output": 2.61,
            "short row": 5.23,
            "short tap": 10.5,
            "tap": 5.79,
        },
        0.093,
    ),
    "aot_batch_matmul": KernelCost({"output": 43.1, "product": 10.2, "product of 4": 24.7}, 0.068),
    "aot_conv_2d": KernelCost(
        {"block": 409.0, "layer": 254.0, "product": 5.41, "product of 4": 29.2, "run": 28.3}, 0.031
    ),
    "aot_copy": KernelCost(
        {
            "copied run": 15.7,
            "element": 6.28,
            "moved word": 5.1,
            "repeated word": 3.72,
            "single run": 2.57,
            "strided run": 20.2,
        },
        0.252,
    ),
    "aot_depthwise_conv_2d": KernelCost(
        {
            "block": 2.62,
            "block of 4": 3.39,
            "cut block": 65.9,
            "cut block of 4": 4.97,
            "cut tap": 21.3,
            "cut tap of 4": 37.6,
            "layer": 5.18,
            "output": 102.0,
            "pixel": 25.0,
            "row": 18.0,
            "tap": 23.6,
            "tap of 4": 30.5,
        },
        0.001,
    ),
    "aot_fully_connected": KernelCost(
        {"block": 26.7, "layer": 15.7, "output": 78.4, "product": 14.5, "product of 4": 27.8}, 0.001
    ),
    "aot_int16_add": KernelCost({"element": 95.1, "row": 6.8}, 0.025),
    "aot_int16_conv_2d": KernelCost(
        {
            "border": 282.0,
            "copied run": 44.7,
            "moved run": 0.414,
            "moved word": 1.66,
            "output": 53.2,
            "products of 4": 30.5,
            "row": 94.6,
            "set run": 760.0,
            "set word": 15.7,
            "window row": 0.159,
        },
        0.096,
    ),
    "aot_int16_depthwise_conv_2d": KernelCost(
        {
            "block": 105.0,
            "block of 4": 14.4,
            "cut block": 66.4,
            "cut row": 23.7,
            "cut tap": 19.6,
            "cut tap of 4": 31.3,
            "layer": 0.824,
            "output": 83.6,
            "pixel": 63.1,
            "row": 20.4,
            "tap": 14.1,
            "tap of 4": 31.1,
        },
        0.010,
    ),
    "aot_int16_mean": KernelCost(
        {"layer": 1.7, "multiplied row": 1.62, "output": 37.7, "row": 1.68, "tap": 3.3}, 0.006
    ),
    "aot_int16_pool_2d": KernelCost(
        {
            "compared tap": 1.64,
            "cut output": 41.3,
            "cut tap": 5.97,
            "division": 4.92,
            "layer": 129.0,
            "output": 34.3,
            "pixel": 151.0,
            "row": 6.35,
            "short output": 3.17,
            "short row": 6.34,
            "short tap": 12.7,
            "tap": 7.66,
        },
        0.100,
    ),
    "aot_int16_rows": KernelCost({"block": 249.0, "products of 4": 26.4}, 0.197),
    "aot_int16_softmax": KernelCost({"left element": 70.6, "right element": 82.7, "row": 165.0}, 0.011),
    "aot_l2_normalization": KernelCost(
        {"layer": 1.59, "left element": 27.0, "right element": 40.0, "row": 377.0, "step": 4.73}, 0.002
    ),
    "aot_lstm": KernelCost(
        {"gate": 555.0, "layer": 446.0, "output": 20.1, "paired quad": 17.8, "quad": 29.7, "widened": 8.65},
        0.016,
    ),
    "aot_max_pool_2d": KernelCost(
        {
            "cut output": 38.6,
            "cut tap": 14.3,
            "output": 36.8,
            "pixel": 4.5,
            "row": 14.9,
            "short output": 4.53,
            "short row": 9.07,
            "short tap": 18.1,
            "tap": 8.12,
        },
        0.085,
    ),
    "aot_mean": KernelCost(
        {"layer": 23.2, "multiplied row": 3.87, "output": 33.1, "row": 1.09, "tap": 4.96}, 0.065
    ),
    "aot_minimum_maximum": KernelCost({"element": 8.13, "row": 52.1}, 0.083),
    "aot_mul": KernelCost({"element": 38.2, "row": 51.2}, 0.019),
    "aot_pad": KernelCost(
        {"copied run": 78.1, "filled run": 36.0, "layer": 64.1, "moved word": 3.76, "set word": 1.17}, 0.150
    ),
    "aot_prelu": KernelCost({"element": 22.2, "row": 29.2}, 0.032),
    "aot_reduce_max": KernelCost({"layer": 28.4, "multiplied row": 4.31, "row": 2.24, "tap": 6.55}, 0.104),
    "aot_relu": KernelCost({"element": 35.0, "layer": 9.0}, 0.000),
    "aot_relu6": KernelCost({"element": 11.0, "layer": 9.0}, 0.000),
    "aot_resize_nearest": KernelCost(
        {"layer": 459.0, "moved word": 4.2, "row": 12.4, "single run": 3.37}, 0.007
    ),
    "aot_softmax": KernelCost({"element": 23.6, "exponential": 161.0, "factor": 10.0, "row": 124.0}, 0.032),
    "aot_table": KernelCost({"element": 7.31, "layer": 4.94}, 0.087),
    "aot_transpose_conv": KernelCost(
        {"block": 217.0, "product": 9.1, "product of 4": 28.7, "row": 68.8, "tap": 23.0}, 0.129
    ),
}
