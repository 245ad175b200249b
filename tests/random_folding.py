# SPDX-License-Identifier: Apache-2.0
"""Hypothesis strategy that draws whole small models with channels that are constant, or that nothing needs.

Such channels come from filters of zeros, from biases that no sum makes up for, from scales far too narrow or
wide, and from weights that ignore a channel of their input.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.random_layers import RELU, SAME, VALID, Drawer, LayerModel

# 2^20 times a sum's usual size leaves no other bias's filter a choice, and still fits the rules.
_OVERWHELMING = 1 << 23


class ModelDrawer(Drawer):
    """Draws one layer after the other; `at` is the tensor that the next layer reads."""

    def __init__(self, draw: DrawFn) -> None:
        super().__init__(draw)
        self.shape: tuple[int, ...] = (1, self.integer(3, 7), self.integer(3, 7), self.integer(1, 6))
        self.step = 0.05
        self.zero_point = self.draw(st.sampled_from([-128, 0, 5]))
        self.source = self.at = self.model.tensor(self.shape, scale=self.step, zero_point=self.zero_point)

    def draw_model(self) -> bytes:
        """A few layers on images, then the end of a network or none."""
        self._convolution()
        for _ in range(self.integer(1, 5)):
            self.draw(st.sampled_from(_BLOCKS))(self)
        self.draw(st.sampled_from(_ENDS))(self)
        return self.model.build([self.source], [self.at])

    def follow(self, opcode: str, operands: list[int], shape: tuple[int, ...], **options: object) -> None:
        """A layer without weights, whose output has the quantisation of its input."""
        output = self.model.tensor(shape, scale=self.step, zero_point=self.zero_point)
        self.model.operator(opcode, operands, [output], **options)
        self.at, self.shape = output, shape

    def multiply(
        self, opcode: str, weights: tuple[int, ...], axis: int, shape: tuple[int, ...], **options: object
    ) -> None:
        """A layer with weights, some of whose channels are constant and some of whose inputs are ignored."""
        count, values = weights[axis], self.rng.integers(-127, 128, weights)
        kinds = self.rng.choice(["usual", "zeros", "low", "high", "still"], count, p=self._odds())
        by_channel = np.moveaxis(values, axis, 0)
        by_channel[kinds == "zeros"] = 0
        if opcode != "DEPTHWISE_CONV_2D":
            values[..., self.rng.random(weights[-1]) < self.draw(st.sampled_from([0, 0, 0.4]))] = 0
        taps = int(np.prod(weights)) // count
        bias = self.rng.integers(-3000, 3001, count)
        bias[kinds == "low"] = -_OVERWHELMING
        bias[kinds == "high"] = _OVERWHELMING
        scales = np.where(kinds == "still", 1e-14, 0.01 * 2.0 ** self.rng.uniform(-2, 1, count))
        scales = scales.astype(np.float32)
        typical = float(self.step * 0.01 * 74 * 74 * taps**0.5)
        operands = [self.at, self.model.tensor(weights, scale=scales.tolist(), axis=axis, data=values)]
        if opcode == "DEPTHWISE_CONV_2D" or self.draw(st.sampled_from([True, True, False])):
            product = (np.float32(self.step) * scales).tolist()
            operands.append(self.model.tensor((count,), "INT32", scale=product, data=bias))
        fused, self.zero_point = self.draw(st.sampled_from([(RELU, -128), (RELU, -128), (RELU, 3), (0, -9)]))
        self.step = float(np.float32(typical / self.draw(st.sampled_from([40, 40, 200]))))
        self.at = self.model.tensor(shape, scale=self.step, zero_point=self.zero_point)
        self.shape = shape
        self.model.operator(opcode, operands, [self.at], FusedActivationFunction=fused, **options)

    def _odds(self) -> list[float]:
        return self.draw(
            st.sampled_from([[1.0, 0, 0, 0, 0], [0.4, 0.15, 0.2, 0.1, 0.15], [0, 0, 0.8, 0.2, 0]])
        )

    def _window(self, most: int) -> tuple[tuple[int, int], tuple[int, int], dict[str, int]]:
        """Window that fits the image, output size, and options."""
        _, height, width, _ = self.shape
        window = self.integer(1, min(most, height)), self.integer(1, min(most, width))
        stride = self.integer(1, 2), self.integer(1, 2)
        padding = self.draw(st.sampled_from([SAME, VALID]))
        image = height, width
        output = [
            -(-image[i] // stride[i]) if padding == SAME else (image[i] - window[i]) // stride[i] + 1
            for i in (0, 1)
        ]
        options = {"Padding": padding, "StrideH": stride[0], "StrideW": stride[1]}
        return window, (output[0], output[1]), options

    def _convolution(self) -> None:
        window, output, options = self._window(self.draw(st.sampled_from([1, 3])))
        count = self.draw(st.sampled_from([4, 8, 12, 7]))
        self.multiply("CONV_2D", (count, *window, self.shape[3]), 0, (1, *output, count), **options)

    def _depthwise(self) -> None:
        window, output, options = self._window(3)
        channels, multiplier = self.shape[3], self.draw(st.sampled_from([1, 1, 1, 2]))
        outputs = channels * multiplier
        shapes = (1, *window, outputs), 3, (1, *output, outputs)
        self.multiply("DEPTHWISE_CONV_2D", *shapes, DepthMultiplier=multiplier, **options)

    def _pool(self) -> None:
        window, output, options = self._window(2)
        opcode = self.draw(st.sampled_from(["AVERAGE_POOL_2D", "MAX_POOL_2D"]))
        sizes = {"FilterHeight": window[0], "FilterWidth": window[1]}
        self.follow(opcode, [self.at], (1, *output, self.shape[3]), **sizes, **options)

    def _function(self) -> None:
        opcode = self.draw(st.sampled_from(["RELU", "RELU6", "HARD_SWISH", "LEAKY_RELU", "QUANTIZE"]))
        self.follow(opcode, [self.at], self.shape, **({"Alpha": 0.3} if opcode == "LEAKY_RELU" else {}))

    def _residual(self) -> None:
        """A branch of convolutions that returns to the tensor that it has left."""
        kept, quantisation = self.at, (self.step, self.zero_point)
        channels, image = self.shape[3], self.shape[1:3]
        window = self.draw(st.sampled_from([1, 3]))
        options = {"Padding": SAME, "StrideH": 1, "StrideW": 1}
        shape = (1, *image, channels)
        self.multiply("CONV_2D", (channels, window, window, channels), 0, shape, **options)
        self.step = float(np.float32(max(self.step, quantisation[0])))
        opcode = self.draw(st.sampled_from(["ADD", "SUB", "ADD"]))
        operands = [kept, self.at] if self.draw(st.booleans()) else [self.at, kept]
        self.follow(opcode, operands, shape, FusedActivationFunction=self.draw(st.sampled_from([0, RELU])))

    def _pad(self) -> None:
        counts = [[0, 0], [self.integer(0, 1), 1], [1, self.integer(0, 1)], [0, 0]]
        _, height, width, channels = self.shape
        shape = (1, height + sum(counts[1]), width + sum(counts[2]), channels)
        self.follow("PAD", [self.at, self.model.tensor((4, 2), "INT32", data=counts)], shape)

    def _concatenation(self) -> None:
        """A tensor beside what a layer makes of it: used twice."""
        first = self.at
        self.follow("RELU", [self.at], self.shape)
        shape = (*self.shape[:3], 2 * self.shape[3])
        self.follow("CONCATENATION", [first, self.at], shape, Axis=3)

    def _nothing(self) -> None:
        pass

    def _mean(self) -> None:
        axes = self.model.tensor((2,), "INT32", data=[1, 2])
        self.follow("MEAN", [self.at, axes], (1, self.shape[3]))
        self._connected()

    def _flat(self) -> None:
        self.follow("RESHAPE", [self.at], (1, int(np.prod(self.shape))))
        self._connected()

    def _connected(self) -> None:
        for _ in range(self.integer(1, 2)):
            count = self.draw(st.sampled_from([4, 8, 5]))
            self.multiply("FULLY_CONNECTED", (count, int(np.prod(self.shape))), 0, (1, count))


_BLOCKS: tuple[Callable[[ModelDrawer], None], ...] = (
    *(ModelDrawer._convolution, ModelDrawer._depthwise, ModelDrawer._pool, ModelDrawer._function),
    *(ModelDrawer._convolution, ModelDrawer._depthwise, ModelDrawer._residual, ModelDrawer._residual),
    *(ModelDrawer._pad, ModelDrawer._concatenation),
)
_ENDS: tuple[Callable[[ModelDrawer], None], ...] = (
    *(ModelDrawer._nothing, ModelDrawer._convolution, ModelDrawer._mean, ModelDrawer._flat),
    ModelDrawer._connected,
)


@st.composite
def foldable_models(draw: DrawFn) -> LayerModel:
    """Models of which some channels, mostly, need not be computed."""
    return LayerModel(ModelDrawer(draw).draw_model())
