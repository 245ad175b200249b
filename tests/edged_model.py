# SPDX-License-Identifier: Apache-2.0
"""A model whose input and output are float, as converters make them unless they are told not to."""

import numpy as np

from tests.tflite_builder import TfliteBuilder

IN = {"scale": 0.037, "zero_point": -11}
OUT = {"scale": 0.11, "zero_point": 4}


def edged(*, front=True, back=True, stored="INT8", branches=False):
    """A dense layer, a float edge at either end; branches are other readers inside of them."""
    model = TfliteBuilder()
    ends = [model.tensor((1, 6), "FLOAT32", name="features"), model.tensor((1, 3), "FLOAT32", name="scores")]
    zero = {"zero_point": 0} if stored == "INT16" else {}
    x, y = model.tensor((1, 6), stored, **(IN | zero)), model.tensor((1, 3), stored, **(OUT | zero))
    w = model.tensor((3, 6), scale=0.02, data=np.random.default_rng(3).integers(-127, 128, (3, 6)))
    if front:
        model.operator("QUANTIZE", [ends[0]], [x])
    model.operator("FULLY_CONNECTED", [x, w], [y])
    if branches:
        model.operator("RELU", [y], [model.tensor((1, 3), **OUT)])
    if back:
        model.operator("DEQUANTIZE", [y], [ends[1]])
    return model.build([ends[0] if front else x], [ends[1] if back else y])
