# SPDX-License-Identifier: Apache-2.0
"""LSTM layers as converters make them, with random weights that use the range of the gates."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tests.tflite_builder import TfliteBuilder

TANH = 4

_INPUT = {"scale": 0.03, "zero_point": -4}
_STATE = {"scale": 1 / 128, "zero_point": 3}


def add_lstm(
    model: TfliteBuilder, x: int, cells: int, *, scale: float, seed: int = 5, least: bool = False
) -> int:
    """A layer over the sequence `x` of that scale; returns the tensor of its outputs.

    With `least` it has a weight -128 beside one below 0, which the faster form of the kernel does not take.
    """
    rng = np.random.default_rng(seed)
    _, steps, inputs = model.shape(x)
    operands = [x]
    for depth in (inputs, cells):
        for _ in range(4):
            weights = rng.integers(-127, 128, (cells, depth), np.int8)
            if least:
                weights[:2, 0] = -1, -128
            operands.append(model.tensor((cells, depth), scale=0.006, data=weights))
    operands += [-1] * 3
    for _ in range(4):
        bias = rng.integers(-3000, 3000, cells)
        operands.append(model.tensor((cells,), "INT32", scale=0.006 * scale, data=bias))
    operands += [-1] * 2
    operands.append(model.tensor((1, cells), variable=True, **_STATE))
    operands.append(model.tensor((1, cells), "INT16", scale=2.0**-13, variable=True))
    y = model.tensor((1, steps, cells), **_STATE)
    model.operator(
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        [*operands, *[-1] * 4],
        [y],
        FusedActivationFunction=TANH,
        CellClip=10.0,
    )
    return y


def lstm_layer(steps: int, inputs: int, cells: int, *, least: bool = False) -> bytes:
    """A model of one LSTM; `least` as for `add_lstm`."""
    model = TfliteBuilder()
    x = model.tensor((1, steps, inputs), **_INPUT)
    return model.build([x], [add_lstm(model, x, cells, scale=_INPUT["scale"], least=least)])


def lstm_shapes() -> Iterator[bytes]:
    """Layers whose shapes together tell what every part of the kernel costs."""
    for steps, inputs, cells in (
        *((49, 40, 32), (1, 40, 32), (20, 8, 32), (20, 40, 8), (10, 13, 13), (10, 13, 14), (4, 64, 64)),
        *((10, 4, 4), (1, 100, 7), (30, 1, 5)),
    ):
        yield lstm_layer(steps, inputs, cells)
        yield lstm_layer(steps, inputs, cells, least=True)


def two_lstms() -> bytes:
    """A model of two LSTMs, of sizes that are no multiples of 4."""
    model = TfliteBuilder()
    x = model.tensor((1, 6, 10), **_INPUT)
    first = add_lstm(model, x, 13, scale=_INPUT["scale"])
    return model.build([x], [add_lstm(model, first, 6, scale=_STATE["scale"], seed=6)])
