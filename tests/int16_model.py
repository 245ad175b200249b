# SPDX-License-Identifier: Apache-2.0
"""A small DS-CNN of 16-bit activations, as TensorFlow Lite's converter makes them; its weights are random."""

import numpy as np

from tests.tflite_builder import TfliteBuilder

_SAME, _VALID = 0, 1
_RELU = 1
_STRIDES = {"StrideH": 1, "StrideW": 1}


INPUT_SCALE = 2.0**-13


class _Layers:
    def __init__(self, seed):
        self.model = TfliteBuilder()
        self.rng = np.random.default_rng(seed)

    def activation(self, shape, scale=INPUT_SCALE):
        return self.model.tensor(shape, "INT16", scale=scale)

    def weighted(self, opcode, x, shapes, axis, **options):
        """A layer with weights and biases, whose outputs fill their range."""
        weights, output = shapes
        taps = int(np.prod(weights)) // weights[axis]
        scales = (2.0**-7 / taps**0.5 * self.rng.uniform(0.5, 2, weights[axis])).astype(np.float32)
        w = self.model.tensor(weights, scale=scales, axis=axis, data=self.rng.integers(-127, 128, weights))
        bias = self.rng.integers(-(1 << 20), 1 << 20, weights[axis])
        b = self.model.tensor((weights[axis],), "INT64", scale=scales * np.float32(INPUT_SCALE), data=bias)
        y = self.activation(output)
        self.model.operator(opcode, [x, w, b], [y], **options)
        return y


def ds_cnn(seed=0):
    """24 x 8 features to 5 probabilities."""
    layers = _Layers(seed)
    model = layers.model
    source = layers.activation((1, 24, 8, 1))
    fused = {"FusedActivationFunction": _RELU}
    x = layers.weighted(
        "CONV_2D", source, ((8, 3, 3, 1), (1, 12, 4, 8)), 0, StrideH=2, StrideW=2, Padding=_SAME, **fused
    )
    x = layers.weighted(
        *("DEPTHWISE_CONV_2D", x, ((1, 3, 3, 8), (1, 12, 4, 8)), 3),
        **(_STRIDES | fused | {"Padding": _SAME, "DepthMultiplier": 1}),
    )
    x = layers.weighted("CONV_2D", x, ((12, 1, 1, 8), (1, 12, 4, 12)), 0, Padding=_VALID, **_STRIDES, **fused)
    other = layers.weighted("CONV_2D", x, ((12, 3, 3, 12), (1, 12, 4, 12)), 0, Padding=_SAME, **_STRIDES)
    total = layers.activation((1, 12, 4, 12), 2.0**-12)
    model.operator("ADD", [x, other], [total], PotScaleInt16=False, **fused)
    pooled = layers.activation((1, 6, 2, 12), 2.0**-12)
    window = {"StrideH": 2, "StrideW": 2, "FilterHeight": 2, "FilterWidth": 2}
    model.operator("AVERAGE_POOL_2D", [total], [pooled], **window)
    mean = layers.activation((1, 1, 1, 12))
    model.operator("MEAN", [pooled, model.tensor((2,), "INT32", data=[1, 2])], [mean], KeepDims=True)
    flat = layers.activation((1, 12))
    model.operator("RESHAPE", [mean, model.tensor((2,), "INT32", data=[1, 12])], [flat])
    scores = layers.weighted("FULLY_CONNECTED", flat, ((5, 12), (1, 5)), 0)
    result = layers.activation((1, 5), 1 / 32768)
    model.operator("SOFTMAX", [scores], [result], Beta=1.0)
    return model.build([source], [result])
