# SPDX-License-Identifier: Apache-2.0
"""As `plain_layers`, for UNIDIRECTIONAL_SEQUENCE_LSTM: a plain model, and ones that break rules.

And for REVERSE_V2, which converters put before an LSTM that runs backwards.
"""

from __future__ import annotations

import numpy as np

from tests.plain_layers import layer
from tests.plain_moves import numbers
from tests.tflite_builder import TfliteBuilder

TANH = 4
STEPS, INPUTS, CELLS = 3, 4, 2

_OUTPUT = {"scale": 1 / 128, "zero_point": 3}


def operands_of():
    """The operands by place; what is not among them is not given."""
    steps, inputs, cells = STEPS, INPUTS, CELLS
    weights = {"scale": 0.01, "name": "w"}
    operands = {0: {"shape": (1, steps, inputs), "scale": 0.02, "zero_point": -5, "name": "in"}}
    for place in range(1, 5):
        operands[place] = {"shape": (cells, inputs), "data": np.full((cells, inputs), 10 * place), **weights}
    for place in range(5, 9):
        operands[place] = {"shape": (cells, cells), "data": np.full((cells, cells), -10 * place), **weights}
    for place in range(12, 16):
        bias = {"dtype": "INT32", "scale": 0.0002, "data": np.full(cells, 100 * place), "name": "b"}
        operands[place] = {"shape": (cells,), **bias}
    operands[18] = {"shape": (1, cells), "variable": True, "name": "h", **_OUTPUT}
    operands[19] = {"shape": (1, cells), "dtype": "INT16", "scale": 2.0**-14, "variable": True, "name": "c"}
    return operands


def lstm(changes=None, *, y=None, options=None, count=24, same=None, without_input=False):
    """A model of one LSTM.

    `changes`: place of an operand -> what is different about it, or None to leave it out. `same`: place of an
    operand -> that of the one that it is. `count`: operands.
    """
    model = TfliteBuilder()
    operands = operands_of()
    for place, change in (changes or {}).items():
        operands[place] = None if change is None else operands.get(place, {}) | change
    places = [-1] * count
    for place, tensor in operands.items():
        if tensor is not None and place < count:
            places[place] = model.tensor(**tensor)
    for place, other in (same or {}).items():
        places[place] = places[other]
    shape = (*operands[0]["shape"][:2], operands[5]["shape"][0]) if operands[5] else (1, STEPS, CELLS)
    output = model.tensor(**{"shape": shape, "name": "out", **_OUTPUT, **(y or {})})
    chosen = {"FusedActivationFunction": TANH, "CellClip": 10.0, **(options or {})}
    input_ = places[0]
    places[0] = -1 if without_input else input_
    model.operator("UNIDIRECTIONAL_SEQUENCE_LSTM", places, [output], **chosen)
    return model.build([input_], [output])


def turned(axes=(2,), x=(1, 2, 3), y=(1, 2, 3)):
    return layer("REVERSE_V2", x={"shape": x}, y={"shape": y}, constants=[numbers(axes)])


VALID = {"REVERSE_V2": turned(), "UNIDIRECTIONAL_SEQUENCE_LSTM": lstm()}

_GIVEN = "weights and biases of all four gates and both states must be given"
_PLAIN = "it must have no peephole weights, no projection and no layer normalisation"
_TYPES = "weights must be INT8, biases INT32, the output state INT8 and the cell state INT16"
_CONSTANT = "weights and biases must be constants, and states variables"
_SEQUENCE = "the input must be one sequence, steps x inputs, and the output steps x cells, with a batch of 1"
_FIT = "weights must be cells x inputs and cells x cells, with one bias and one of each state per cell"
_SYMMETRIC = "weights must be quantised with one scale and zero point 0"
_STATE = "the output state must have one scale above 2^-29, at most 2, and one zero point of -128 .. 127"
_POWER = "the cell state's scale must be a power of 2 of 2^-29 .. 4, its zero point 0"
_TANH = "the activation must be TANH, the limit of the cell state at least 0 (without limit) and finite"
_INT32 = "no int8 input may make a gate's sum 2^29, shifted as its scale says"

_EXTRA = {"shape": (CELLS,), "dtype": "INT16", "scale": 1.0, "data": np.ones(CELLS)}

_NEIGHBOURS = (
    "the axes must be neighbours among at most 6 dimensions, and the output must have the input's shape"
)

BROKEN = {
    "an LSTM of 20 operands": (
        lstm(count=20),
        "its operands must be those that TensorFlow Lite defines (20 inputs, 1 outputs)",
    ),
    "an LSTM without input": (
        lstm(without_input=True),
        "its operands must be those that TensorFlow Lite defines (a tensor is not given)",
    ),
    "an LSTM without a gate's weights": (lstm({2: None}), f"{_GIVEN} (operand 2 is not given)"),
    "an LSTM of coupled gates": (lstm({1: None, 5: None, 12: None}), f"{_GIVEN} (operand 1 is not given)"),
    "an LSTM without a bias": (lstm({15: None}), f"{_GIVEN} (operand 15 is not given)"),
    "an LSTM without a cell state": (lstm({19: None}), f"{_GIVEN} (operand 19 is not given)"),
    "an LSTM with peepholes": (lstm({10: _EXTRA}), f"{_PLAIN} (it has peephole weights)"),
    "an LSTM with a projection": (lstm({16: _EXTRA}), f"{_PLAIN} (it has a projection)"),
    "an LSTM with normalised gates": (lstm({22: _EXTRA}), f"{_PLAIN} (it has layer normalisation)"),
    "an LSTM of diagonals": (
        lstm(options={"DiagonalRecurrentTensors": True}),
        f"{_PLAIN} (its recurrent weights are diagonals)",
    ),
    "an LSTM from 16 bits to 8": (
        lstm({0: {"dtype": "INT16"}}),
        "input and output must be INT8 (in is INT16)",
    ),
    "an LSTM with weights of 16 bits": (lstm({3: {"dtype": "INT16"}}), f"{_TYPES} (w is INT16)"),
    "an LSTM with biases of 64 bits": (lstm({12: {"dtype": "INT64"}}), f"{_TYPES} (b is INT64)"),
    "an LSTM with an output state of 16 bits": (lstm({18: {"dtype": "INT16"}}), f"{_TYPES} (h is INT16)"),
    "an LSTM with a cell state of 8 bits": (lstm({19: {"dtype": "INT8"}}), f"{_TYPES} (c is INT8)"),
    "an LSTM with weights that are computed": (lstm(same={3: 0}), f"{_CONSTANT} (in is computed)"),
    "an LSTM with a constant for a state": (
        lstm({18: {"variable": False, "data": np.zeros(CELLS)}}),
        f"{_CONSTANT} (h is no variable)",
    ),
    "an LSTM of two sequences": (
        lstm({0: {"shape": (2, STEPS, INPUTS)}, 18: {"shape": (2, CELLS)}, 19: {"shape": (2, CELLS)}}),
        f"{_SEQUENCE} (2x3x4 to 2x3x2)",
    ),
    "an LSTM of time before the batch": (
        lstm(options={"TimeMajor": True}),
        f"{_SEQUENCE} (1x3x4 to 1x3x2)",
    ),
    "an LSTM of one step": (
        lstm({0: {"shape": (1, INPUTS)}}, y={"shape": (1, CELLS)}),
        f"{_SEQUENCE} (1x4 to 1x2)",
    ),
    "an LSTM that loses a step": (lstm(y={"shape": (1, 2, CELLS)}), f"{_SEQUENCE} (1x3x4 to 1x2x2)"),
    "an LSTM with weights for other inputs": (
        lstm({4: {"shape": (CELLS, 3), "data": np.ones((CELLS, 3))}}),
        f"{_FIT} (w is 2x3 for 4 inputs, 2 cells)",
    ),
    "an LSTM with too few biases": (
        lstm({13: {"shape": (1,), "data": [1]}}),
        f"{_FIT} (b is 1 for 4 inputs, 2 cells)",
    ),
    "an LSTM with a state of too few cells": (
        lstm({18: {"shape": (1, 1)}}),
        f"{_FIT} (h is 1x1 for 2 cells)",
    ),
    "an LSTM with scales per cell": (lstm({6: {"scale": [0.1, 0.2]}}), f"{_SYMMETRIC} (w has 2 scales)"),
    "an LSTM with weights without scale": (lstm({1: {"scale": None}}), f"{_SYMMETRIC} (w has none)"),
    "an LSTM with weights with a zero point": (
        lstm({1: {"zero_point": 1}}),
        f"{_SYMMETRIC} (w has scale 0.01, zero point 1)",
    ),
    "an LSTM without the state's scale": (
        lstm({18: {"scale": None}}),
        f"{_STATE} (h has no such quantisation)",
    ),
    "an LSTM with the state's scale of 0": (
        lstm({18: {"scale": 0.0}}),
        f"{_STATE} (h has scale 0, zero point 3)",
    ),
    "an LSTM with the state's zero point beyond int8": (
        lstm({18: {"zero_point": 128}}),
        f"{_STATE} (h has scale 0.0078125, zero point 128)",
    ),
    "an LSTM of an odd cell scale": (
        lstm({19: {"scale": 2.0**-14 * 1.5}}),
        f"{_POWER} (scale 9.15527e-05, zero point 0)",
    ),
    "an LSTM of a large cell scale": (lstm({19: {"scale": 8.0}}), f"{_POWER} (scale 8, zero point 0)"),
    "an LSTM of a small cell scale": (
        lstm({19: {"scale": 2.0**-30}}),
        f"{_POWER} (scale 9.31323e-10, zero point 0)",
    ),
    "an LSTM whose cells have a zero point": (
        lstm({19: {"zero_point": 1}}),
        f"{_POWER} (scale 6.10352e-05, zero point 1)",
    ),
    "an LSTM whose cells have no scale": (
        lstm({19: {"scale": None}}),
        f"{_POWER} (it has no such quantisation)",
    ),
    "an LSTM of RELU": (lstm(options={"FusedActivationFunction": 1}), f"{_TANH} (it is RELU)"),
    "an LSTM of a negative limit": (lstm(options={"CellClip": -1.0}), f"{_TANH} (the limit is -1)"),
    "an LSTM of an infinite limit": (
        lstm(options={"CellClip": float("inf")}),
        f"{_TANH} (the limit is inf)",
    ),
    "an LSTM whose sums overflow": (
        lstm({14: {"data": [0, 2**31 - 2000]}}),
        f"{_INT32} (the cell gate reaches -14760 .. 2147497488 with scale 0.0002)",
    ),
    "an LSTM whose sums are scaled up": (
        lstm({8: {"scale": 1e6}}),
        f"{_INT32} (the output gate reaches -19840 .. 20960 with scale 7812.5)",
    ),
    "an LSTM whose sums of 0 are scaled up beyond a register": (
        lstm({8: {"scale": 1e9, "data": np.zeros((CELLS, CELLS))}}),
        f"{_INT32} (the output gate reaches 0 .. 0 with scale 7.8125e+06)",
    ),
    "an LSTM whose scales overflow": (
        lstm({0: {"scale": 1e30}, 1: {"scale": 1e30}}),
        f"{_INT32} (the input gate reaches -3720 .. 6480 with scale 1e+60)",
    ),
    "an LSTM of a small output scale": (
        lstm({18: {"scale": 2.0**-29}}),
        f"{_STATE} (h has scale 1.86265e-09, zero point 3)",
    ),
    "an LSTM of a large output scale": (
        lstm({18: {"scale": 2.1}}),
        f"{_STATE} (h has scale 2.1, zero point 3)",
    ),
}

REVERSALS = {
    "a reversal of dimensions apart": (
        turned((0, 2)),
        f"{_NEIGHBOURS} (they are (0, 2) of 3 dimensions)",
    ),
    "a reversal of no dimension": (
        turned((-4,)),
        f"{_NEIGHBOURS} (they are (-1,) of 3 dimensions)",
    ),
    "a reversal of the same dimension twice": (
        turned((1, -2)),
        f"{_NEIGHBOURS} (they are (1, 1) of 3 dimensions)",
    ),
    "a reversal of seven dimensions": (
        turned((2,), (1, 1, 2, 1, 1, 1, 3), (1, 1, 2, 1, 1, 1, 3)),
        f"{_NEIGHBOURS} (there are 7 dimensions)",
    ),
    "a reversal to another shape": (
        turned(y=(1, 3, 2)),
        f"{_NEIGHBOURS} (1x2x3 to 1x3x2)",
    ),
}
