# SPDX-License-Identifier: Apache-2.0
"""A small int8 classifier, for tests of what is done with a model rather than of the model."""

from __future__ import annotations

import numpy as np

from tests.tflite_builder import TfliteBuilder

INPUT_SHAPE = (1, 6, 5, 2)
CLASSES = 3


def tiny_classifier(
    *, channels: int = 4, seed: int = 1, shape: tuple[int, ...] = INPUT_SHAPE, scale: float = 0.5
) -> bytes:
    """CONV_2D (per channel, fused ReLU), RESHAPE, FULLY_CONNECTED, SOFTMAX."""
    rng = np.random.default_rng(seed)

    def weights(*shape: int) -> np.ndarray:
        return rng.integers(-127, 128, shape, dtype=np.int8)

    model = TfliteBuilder()
    _, height, width, depth = shape
    flat = height * width * channels
    scales = np.linspace(0.01, 0.02, channels, dtype=np.float32)
    x = model.tensor(shape, scale=scale, zero_point=-3, name="log_mel")
    kernel = model.tensor(
        (channels, 3, 3, depth), scale=scales, data=weights(channels, 3, 3, depth), name="conv/kernel"
    )
    bias = model.tensor(
        (channels,), "INT32", scale=scales * scale, data=np.zeros(channels, np.int32), name="conv/bias"
    )
    features = model.tensor((1, height, width, channels), scale=0.25, zero_point=-128, name="conv")
    shape = model.tensor((2,), "INT32", data=[1, flat], name="flat/shape")
    flattened = model.tensor((1, flat), scale=0.25, zero_point=-128, name="flat")
    matrix = model.tensor((CLASSES, flat), scale=0.01, data=weights(CLASSES, flat), name="dense/kernel")
    logits = model.tensor((1, CLASSES), scale=0.5, zero_point=7, name="dense")
    scores = model.tensor((1, CLASSES), scale=1 / 256, zero_point=-128, name="emotion")
    model.operator(
        "CONV_2D", [x, kernel, bias], [features], StrideH=1, StrideW=1, DilationHFactor=1, DilationWFactor=1,
        FusedActivationFunction=1,
    )  # fmt: skip
    model.operator("RESHAPE", [features, shape], [flattened])
    model.operator("FULLY_CONNECTED", [flattened, matrix, -1], [logits])
    model.operator("SOFTMAX", [logits], [scores], Beta=1.0)
    return model.build([x], [scores])
