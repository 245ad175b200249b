# SPDX-License-Identifier: Apache-2.0
"""As `random_layers`, for UNIDIRECTIONAL_SEQUENCE_LSTM."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.random_layers import ZERO_POINTS, Drawer, LayerModel, layer_strategy

TANH = 4

# Sizes of usual differences from a zero point, and of usual weights.
_USUAL = 74 * 74


def _size(d: Drawer) -> int:
    return d.draw(st.one_of(st.integers(1, 9), st.sampled_from([4, 8, 12, 13, 40])))


def _weight_scale(d: Drawer, source_scale: float, depth: int) -> float:
    """A scale at which a gate's sums leave its curve's middle a little, far, or not at all."""
    reach = d.draw(st.sampled_from([0.5, 1, 2, 2, 6, 40, 0.01]))
    return float(np.float32(reach * d.rng.uniform(0.7, 1) / (source_scale * _USUAL * depth**0.5)))


def _gates(d: Drawer, scales: tuple[float, float], inputs: int, cells: int) -> list[int]:
    """Operands from the weights to the biases."""
    operands = []
    for source_scale, depth in zip(scales, (inputs, cells), strict=True):
        for _ in range(4):
            weights = d.weights((cells, depth))
            weight_scale = _weight_scale(d, source_scale, depth)
            operands.append(d.model.tensor(weights.shape, scale=weight_scale, data=weights))
    operands += [-1] * 3
    for _ in range(4):
        reach = d.draw(st.sampled_from([0, 100, _USUAL]))
        bias = d.rng.integers(-reach, reach + 1, cells)
        operands.append(d.model.tensor((cells,), "INT32", scale=scales[0], data=bias))
    return operands


def _lstm(d: Drawer) -> bytes:
    model, steps, inputs, cells = d.model, d.integer(1, 8), _size(d), _size(d)
    time_major = d.draw(st.booleans())
    sequence = (steps, 1) if time_major else (1, steps)
    like_input: dict[str, Any] = {"scale": d.scale(), "zero_point": d.draw(ZERO_POINTS)}
    state_scale = float(np.float32(2.0 ** d.draw(st.floats(-10, -5))))
    like_output: dict[str, Any] = {"scale": state_scale, "zero_point": d.draw(ZERO_POINTS)}
    # The model's own input and output have the batch first.
    first = model.tensor((1, steps, inputs), **like_input)
    swap = model.tensor((3,), "INT32", data=[1, 0, 2])
    x = model.tensor((*sequence, inputs), **like_input)
    # The state's scale and zero point are what counts.
    told: dict[str, Any] = d.draw(st.sampled_from([like_output, {"scale": 0.5, "zero_point": 9}]))
    y, last = model.tensor((*sequence, cells), **told), model.tensor((1, steps, cells), **told)
    gates = _gates(d, (like_input["scale"], state_scale), inputs, cells)
    # Converters choose 9 .. 15.
    bits = d.draw(st.one_of(st.integers(9, 15), st.integers(-2, 29)))
    states = [
        model.tensor((1, cells), variable=True, **like_output),
        model.tensor((1, cells), "INT16", scale=2.0**-bits, variable=True),
    ]
    clip = d.draw(st.sampled_from([10.0, 10.0, 0.0, 0.6, 2.0**-bits * 20_000]))
    options = {"FusedActivationFunction": TANH, "CellClip": clip, "TimeMajor": time_major}
    if time_major:
        model.operator("TRANSPOSE", [first, swap], [x])
    else:
        first, last = x, y
    operands = [x, *gates, -1, -1, *states, *[-1] * 4]
    model.operator("UNIDIRECTIONAL_SEQUENCE_LSTM", operands, [y], **options)
    if time_major:
        model.operator("TRANSPOSE", [y, swap], [last])
    return model.build([first], [last])


RECURRENT: dict[str, SearchStrategy[LayerModel]] = {"UNIDIRECTIONAL_SEQUENCE_LSTM": layer_strategy(_lstm)}
