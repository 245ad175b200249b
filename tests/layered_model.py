# SPDX-License-Identifier: Apache-2.0
"""A small model of seven layers, for tests of what is said of each; and how its constants are spoilt."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from tests.tflite_builder import TfliteBuilder

INPUT_SHAPE = (1, 8, 8, 4)
CHANNELS = 8
CLASSES = 4
# Indices of the layers with weights.
FIRST, DEPTHWISE, MIDDLE, DENSE = 0, 1, 2, 5
# Weights of MIDDLE have this scale, which occurs nowhere else in the file.
MIDDLE_SCALE = 0.0123
OPERATORS = (
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "CONV_2D",
    "AVERAGE_POOL_2D",
    "RESHAPE",
    "FULLY_CONNECTED",
    "SOFTMAX",
)


def layered_model(seed: int = 3, dead: Sequence[int] = ()) -> bytes:
    """CONV_2D 3x3, DEPTHWISE_CONV_2D 3x3, CONV_2D 1x1, AVERAGE_POOL_2D, RESHAPE, FULLY_CONNECTED, SOFTMAX.

    The `dead` channels of the first layer are zero for every input; so the second's are constant, too.
    """
    rng = np.random.default_rng(seed)
    model = TfliteBuilder()

    def weights(*shape: int, scale: float) -> int:
        return model.tensor(shape, scale=scale, data=rng.integers(-127, 128, shape, np.int8))

    def biases(count: int, scale: float) -> int:
        return model.tensor((count,), "INT32", scale=scale, data=rng.integers(-500, 500, count, np.int32))

    stride = {"StrideH": 1, "StrideW": 1}
    window = stride | {"DilationHFactor": 1, "DilationWFactor": 1, "FusedActivationFunction": 1}
    _, height, width, depth = INPUT_SHAPE
    image = (1, height, width, CHANNELS)
    x = model.tensor(INPUT_SHAPE, scale=0.05, zero_point=-3)
    first = model.tensor(image, scale=0.1, zero_point=-128, name="first")
    second = model.tensor(image, scale=0.1, zero_point=-128, name="second")
    middle = model.tensor(image, scale=0.15, zero_point=-10, name="middle")
    pooled = model.tensor((1, 1, 1, CHANNELS), scale=0.15, zero_point=-10, name="pooled")
    flat = model.tensor((1, CHANNELS), scale=0.15, zero_point=-10, name="flat")
    logits = model.tensor((1, CLASSES), scale=0.1, zero_point=7, name="logits")
    scores = model.tensor((1, CLASSES), scale=1 / 256, zero_point=-128, name="scores")
    values = rng.integers(-127, 128, (CHANNELS, 3, 3, depth), np.int8)
    offsets = rng.integers(-500, 500, CHANNELS, np.int32)
    values[list(dead)], offsets[list(dead)] = 0, -9
    kernel = model.tensor(values.shape, scale=0.004, data=values)
    bias = model.tensor(offsets.shape, "INT32", scale=0.05 * 0.004, data=offsets)
    model.operator("CONV_2D", [x, kernel, bias], [first], **window)
    kernel = weights(1, 3, 3, CHANNELS, scale=0.005)
    bias = biases(CHANNELS, 0.1 * 0.005)
    model.operator("DEPTHWISE_CONV_2D", [first, kernel, bias], [second], DepthMultiplier=1, **window)
    kernel = weights(CHANNELS, 1, 1, CHANNELS, scale=MIDDLE_SCALE)
    bias = biases(CHANNELS, 0.1 * MIDDLE_SCALE)
    model.operator("CONV_2D", [second, kernel, bias], [middle], **(window | {"FusedActivationFunction": 0}))
    model.operator("AVERAGE_POOL_2D", [middle], [pooled], FilterHeight=height, FilterWidth=width, Padding=1,
        **stride)  # fmt: skip
    shape = model.tensor((2,), "INT32", data=[1, CHANNELS])
    model.operator("RESHAPE", [pooled, shape], [flat])
    matrix = weights(CLASSES, CHANNELS, scale=0.01)
    model.operator("FULLY_CONNECTED", [flat, matrix, biases(CLASSES, 0.15 * 0.01)], [logits])
    model.operator("SOFTMAX", [logits], [scores], Beta=1.0)
    return model.build([x], [scores])


@contextmanager
def changed_words(path: Path, layer: int, changes: dict[int, int]) -> Iterator[None]:
    """Within it, words of a layer's stream in aot_weights.c have something added: index -> what.

    A stream (matmul.h) has, for each block of four channels, four first sums, as many words of weights as the
    depth, and multiplier, constant and shift of each channel.
    """
    text = path.read_text()
    array = re.search(rf"layer_{layer:02d}_\w+_stream\[\d+\][^{{]*{{([^}}]*)}}", text)
    assert array, f"layer {layer} has no stream"
    words = list(re.finditer(r"0x[0-9a-f]{8}", array.group(1)))
    content = array.group(1)
    for index in sorted(changes, reverse=True):
        value = (int(words[index].group(), 16) + changes[index]) & 0xFFFFFFFF
        content = f"{content[: words[index].start()]}0x{value:08x}{content[words[index].end() :]}"
    path.write_text(text[: array.start(1)] + content + text[array.end(1) :])
    try:
        yield
    finally:
        path.write_text(text)
