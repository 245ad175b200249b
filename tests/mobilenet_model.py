# SPDX-License-Identifier: Apache-2.0
"""A model shaped as MobileNetV1 with a quarter of its channels, for images of 96 x 96; weights are random."""

from __future__ import annotations

import numpy as np

from tests.tflite_builder import TfliteBuilder

# Channels after each pointwise convolution, and the stride of the depthwise one before it.
BLOCKS = ((16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *((128, 1),) * 5, (256, 2), (256, 1))
SAME, RELU = 0, 1


def mobilenet_model(classes: int = 2) -> bytes:
    """The file: 27 convolutions, a pool, a fully connected layer and SOFTMAX; about 215,000 weights."""
    rng = np.random.default_rng(0)
    model = TfliteBuilder()

    def layer(
        opcode: str, x: int, shapes: tuple[tuple[int, ...], tuple[int, ...]], axis: int, **options: int
    ) -> int:
        weights, output = shapes
        channels = weights[axis]
        scales = (0.005 * 2.0 ** rng.uniform(-1, 0, channels)).astype(np.float32)
        values = rng.integers(-127, 128, weights, np.int8)
        w = model.tensor(weights, scale=scales.tolist(), axis=axis, data=values)
        bias = rng.integers(-500, 500, channels, np.int32)
        b = model.tensor((channels,), "INT32", scale=(scales * np.float32(0.05)).tolist(), data=bias)
        y = model.tensor(output, scale=0.05, zero_point=-128)
        model.operator(opcode, [x, w, b], [y], FusedActivationFunction=RELU, **options)
        return y

    image = 48
    x = first = model.tensor((1, 96, 96, 3), scale=0.05, zero_point=-128)
    window = {"Padding": SAME, "DilationHFactor": 1, "DilationWFactor": 1}
    shapes = (8, 3, 3, 3), (1, image, image, 8)
    x = layer("CONV_2D", x, shapes, 0, StrideH=2, StrideW=2, **window)
    channels = 8
    for outputs, stride in BLOCKS:
        image = -(-image // stride)
        shapes = (1, 3, 3, channels), (1, image, image, channels)
        x = layer(
            "DEPTHWISE_CONV_2D", x, shapes, 3, StrideH=stride, StrideW=stride, DepthMultiplier=1, **window
        )
        shapes = (outputs, 1, 1, channels), (1, image, image, outputs)
        x = layer("CONV_2D", x, shapes, 0, StrideH=1, StrideW=1, **window)
        channels = outputs
    pooled = model.tensor((1, 1, 1, channels), scale=0.05, zero_point=-128)
    options = {"FilterHeight": image, "FilterWidth": image, "StrideH": 1, "StrideW": 1, "Padding": 1}
    model.operator("AVERAGE_POOL_2D", [x], [pooled], **options)
    flat = model.tensor((1, channels), scale=0.05, zero_point=-128)
    target = model.tensor((2,), "INT32", data=(1, channels))
    model.operator("RESHAPE", [pooled, target], [flat])
    logits = layer("FULLY_CONNECTED", flat, ((classes, channels), (1, classes)), 0)
    scores = model.tensor((1, classes), scale=1 / 256, zero_point=-128)
    model.operator("SOFTMAX", [logits], [scores], Beta=1.0)
    return model.build([first], [scores])
