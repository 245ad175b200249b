# SPDX-License-Identifier: Apache-2.0
"""What an LSTM layer of int8 activations computes, for its rules, its kernel and the interpreter's needs.

At every step each of the four gates adds two products: weights times input, with a bias, and recurrent
weights times the output of the step before. Each is rescaled to int16 in Q3.12, for itself; their sum is
the argument of the logistic function, or of tanh in the cell gate, whose values are in Q0.15. The cell state
is an int16 whose scale is a power of 2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mcu_ser.aot.ir import Graph, LstmOptions, Operator, Tensor
from mcu_ser.aot.requantize import INT8_MAX, INT8_MIN, Multiplier, quantize_multiplier

# Of the gates' sums, and of their values.
GATE_FRACTION_BITS, VALUE_FRACTION_BITS = 12, 15

# The gates, in the order of their operands.
GATES = ("input", "forget", "cell", "output")

# Places among the operands.
INPUT_WEIGHTS = range(1, 5)
RECURRENT_WEIGHTS = range(5, 9)
PEEPHOLES = range(9, 12)
BIASES = range(12, 16)
PROJECTION = range(16, 18)
OUTPUT_STATE, CELL_STATE = 18, 19
NORMALISATION = range(20, 24)

# What a plain LSTM has, and what it has not.
REQUIRED = (0, *INPUT_WEIGHTS, *RECURRENT_WEIGHTS, *BIASES, OUTPUT_STATE, CELL_STATE)
FOREIGN = {"peephole weights": PEEPHOLES, "a projection": PROJECTION, "layer normalisation": NORMALISATION}

Int64Array = npt.NDArray[np.int64]


# Sums, shifted left as their multiplier says, stay below; the engine's own limit.
SUM_LIMIT = 1 << 29


@dataclass(frozen=True)
class GateRescale:
    """From sums x to Q3.12: (high half of (x << left) * multiplier, + constant, + tie if x < 0) >> right.

    Both roundings of a `Multiplier` are floors but for ties of negative sums, and floors nest (`finish`).
    """

    left: int
    multiplier: int
    constant: int
    tie: int
    right: int


def gate_rescale(multiplier: Multiplier) -> GateRescale:
    """The constants for sums below `SUM_LIMIT`, after the multiplier's left shift."""
    # One bit below the point of the first rounding makes all constants whole.
    exponent = max(-multiplier.shift, 0)
    if exponent > 30:
        # No such sum comes to a half.
        return GateRescale(left=2, multiplier=0, constant=0, tie=0, right=1)
    return GateRescale(
        left=2 + max(multiplier.shift, 0),
        multiplier=multiplier.mantissa,
        constant=1 + (1 << exponent if exponent else 0),
        tie=-2 if exponent else 0,
        right=exponent + 1,
    )


@dataclass(frozen=True, eq=False)
class GateProduct:
    """Weights of one gate (cells, inputs) times the step's input, or times the output before; and a bias."""

    gate: str
    source: Tensor
    weights: Tensor
    bias: Tensor | None

    @property
    def biases(self) -> Int64Array:
        """One per cell, 0 without a bias."""
        if self.bias is None or self.bias.data is None:
            return np.zeros(self.weights.shape[0], np.int64)
        return self.bias.data.reshape(-1).astype(np.int64)

    @property
    def scale(self) -> float:
        """Of a sum; a binary64, as the oracle computes it."""
        return self.source.scale * self.weights.scale

    @property
    def multiplier(self) -> Multiplier:
        """From a sum to Q3.12."""
        return quantize_multiplier(self.scale * 2.0**GATE_FRACTION_BITS)

    @property
    def range(self) -> tuple[int, int]:
        """Least and greatest sum of any cell, at every step of the sum."""
        low, high = self._ranges()
        return int((self.biases + low).min()), int((self.biases + high).max())

    @property
    def product_range(self) -> tuple[int, int]:
        """The same without the biases."""
        low, high = self._ranges()
        return int(low.min()), int(high.max())

    def _ranges(self) -> tuple[Int64Array, Int64Array]:
        assert self.weights.data is not None
        least, greatest = INT8_MIN - self.source.zero_point, INT8_MAX - self.source.zero_point
        positive = np.maximum(self.weights.data, 0).sum(axis=1, dtype=np.int64)
        negative = np.minimum(self.weights.data, 0).sum(axis=1, dtype=np.int64)
        low = positive * min(least, 0) + negative * max(greatest, 0)
        high = positive * max(greatest, 0) + negative * min(least, 0)
        return low, high


@dataclass(frozen=True, eq=False)
class Lstm:
    """An LSTM layer that has its operands."""

    input: Tensor
    output: Tensor
    output_state: Tensor
    cell_state: Tensor
    input_products: tuple[GateProduct, ...]
    recurrent_products: tuple[GateProduct, ...]
    options: LstmOptions

    @property
    def products(self) -> tuple[GateProduct, ...]:
        """All eight."""
        return (*self.input_products, *self.recurrent_products)

    @property
    def steps(self) -> int:
        return self.input.shape[0 if self.options.time_major else 1]

    @property
    def batch(self) -> int:
        return self.input.shape[1 if self.options.time_major else 0]

    @property
    def inputs(self) -> int:
        """Of a step."""
        return self.input.shape[2]

    @property
    def cells(self) -> int:
        return self.output.shape[2]

    @property
    def macs(self) -> int:
        return self.batch * self.steps * self.cells * len(GATES) * (self.inputs + self.cells)

    @cached_property
    def cell_fraction_bits(self) -> int | None:
        """The cell state's scale is 2 to minus this; None if it is no power of 2."""
        fraction, exponent = math.frexp(self.cell_state.scale)
        return 1 - exponent if fraction == 0.5 else None

    @property
    def cell_multiplier(self) -> Multiplier:
        """From a product of two gates' values to the cell state."""
        return quantize_multiplier(2.0 ** (-2 * VALUE_FRACTION_BITS) / self.cell_state.scale)

    @property
    def output_multiplier(self) -> Multiplier:
        """From a product of the output gate's value and tanh of the cell state to the output."""
        return quantize_multiplier(2.0 ** (-2 * VALUE_FRACTION_BITS) / self.output_state.scale)

    @property
    def cell_limits(self) -> tuple[int, int]:
        """Least and greatest cell state; `cell_clip` is finite."""
        if self.options.cell_clip <= 0:
            return -(1 << 15), (1 << 15) - 1
        limit = int(min(self.options.cell_clip / self.cell_state.scale, (1 << 15) - 1))
        return -limit, limit


def lstm(graph: Graph, operator: Operator) -> Lstm:
    """The layer of a UNIDIRECTIONAL_SEQUENCE_LSTM that has the operands `REQUIRED`."""
    assert isinstance(operator.options, LstmOptions)

    def operand(place: int) -> Tensor:
        return graph.tensors[operator.inputs[place]]

    input_, state = operand(0), operand(OUTPUT_STATE)
    from_input = zip(GATES, INPUT_WEIGHTS, BIASES, strict=True)
    recurrent = zip(GATES, RECURRENT_WEIGHTS, strict=True)
    return Lstm(
        input=input_,
        output=graph.results(operator)[0],
        output_state=state,
        cell_state=operand(CELL_STATE),
        input_products=tuple(GateProduct(g, input_, operand(w), operand(b)) for g, w, b in from_input),
        recurrent_products=tuple(GateProduct(g, state, operand(w), None) for g, w in recurrent),
        options=operator.options,
    )
