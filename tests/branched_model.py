# SPDX-License-Identifier: Apache-2.0
"""A model with branches whose file computes all of them before it makes any smaller: worst for the arena."""

from __future__ import annotations

import numpy as np

from tests.tflite_builder import TfliteBuilder

# Indices of the layers that read the stem's image.
BRANCHES = (1, 2, 3)


def branched_model(seed: int = 5, size: int = 8) -> bytes:
    """A stem, three wide branches, each made small by a pool, their sums, and two classes."""
    rng = np.random.default_rng(seed)
    model = TfliteBuilder()
    strides = {"StrideH": 1, "StrideW": 1}

    def image(channels: int, side: int) -> int:
        return model.tensor((1, side, side, channels), scale=0.5, zero_point=-20)

    def conv(source: int, shape: tuple[int, int]) -> int:
        values = rng.integers(-127, 128, (shape[1], 1, 1, shape[0]))
        weights = model.tensor(values.shape, scale=0.004, data=values)
        result = image(shape[1], size)
        model.operator("CONV_2D", [source, weights], [result], Padding=1, **strides)
        return result

    x = model.tensor((1, size, size, 2), scale=0.5, zero_point=-20)
    stem = conv(x, (2, 4))
    wide = [conv(stem, (4, 16)) for _ in BRANCHES]
    small = []
    for tensor in wide:
        small.append(image(16, 1))
        window = {"FilterHeight": size, "FilterWidth": size}
        model.operator("AVERAGE_POOL_2D", [tensor], [small[-1]], Padding=1, **window, **strides)
    total = small[0]
    for tensor in small[1:]:
        both = image(16, 1)
        model.operator("ADD", [total, tensor], [both])
        total = both
    values = rng.integers(-127, 128, (2, 16))
    y = model.tensor((1, 2), scale=2.0, zero_point=3)
    model.operator("FULLY_CONNECTED", [total, model.tensor((2, 16), scale=0.01, data=values)], [y])
    return model.build([x], [y])
