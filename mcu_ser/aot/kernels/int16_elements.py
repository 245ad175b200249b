# SPDX-License-Identifier: Apache-2.0
"""ADD, MEAN, SOFTMAX and pools of 16-bit activations."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from mcu_ser.aot.int16 import INT16_MAX, INT16_MIN, int16_range
from mcu_ser.aot.ir import AddOptions, Graph, Operator, PoolOptions, SoftmaxOptions
from mcu_ser.aot.kernels.add import LOOPS, AddMultipliers, loops_of
from mcu_ser.aot.kernels.images import image, window_struct
from mcu_ser.aot.kernels.kernel_call import KernelCall, Struct, Table, struct
from mcu_ser.aot.kernels.mean import loops_of as mean_loops_of
from mcu_ser.aot.kernels.mean import mean_multiplier
from mcu_ser.aot.requantize import Multiplier, quantize_multiplier
from mcu_ser.aot.window import window_of

FRACTION_BITS = 15

# Differences of inputs from the greatest are mapped from -10 .. 0 to so many steps; exp(-10) counts as 0.
_SOFTMAX_STEPS = 65535
_SOFTMAX_REACH = 10.0

# Steps of an interpolated table.
_STEPS = 512


def add_multipliers(graph: Graph, operator: Operator) -> AddMultipliers:
    """The three multipliers of an ADD."""
    first, second = (graph.tensors[i] for i in operator.inputs)
    common = 2 * max(first.scale, second.scale)
    return AddMultipliers(
        quantize_multiplier(first.scale / common),
        quantize_multiplier(second.scale / common),
        quantize_multiplier(common / ((1 << FRACTION_BITS) * graph.results(operator)[0].scale)),
    )


def add(graph: Graph, operator: Operator) -> KernelCall:
    """The kernel call of a supported ADD."""
    assert isinstance(operator.options, AddOptions)
    loops = loops_of(graph, operator)
    missing = LOOPS - len(loops.sizes)
    multipliers = add_multipliers(graph, operator)
    low, high = int16_range(operator.options.activation, graph.results(operator)[0])
    pairs = struct(
        size=(1,) * missing + loops.sizes,
        first_step=(0,) * missing + loops.first_steps,
        second_step=(0,) * missing + loops.second_steps,
    )
    return KernelCall(
        header="int16_add.h",
        kernel="aot_int16_add",
        struct_name="aot_int16_add",
        description=struct(
            pairs=pairs,
            first=_factor(multipliers.first),
            second=_factor(multipliers.second),
            sum=_factor(multipliers.output),
            min=low,
            max=high,
        ),
        inputs=operator.inputs,
        output=operator.outputs[0],
        included=("int16.h", "pairs.h"),
    )


def _factor(multiplier: Multiplier) -> Struct:
    return struct(multiplier=multiplier.mantissa, shift=multiplier.shift)


def mean(graph: Graph, operator: Operator) -> KernelCall:
    """The kernel call of a supported MEAN."""
    outer, reduced_outer, middle, reduced_inner, inner = mean_loops_of(graph, operator).runs
    multiplier = mean_multiplier(graph, operator)
    return KernelCall(
        header="int16_mean.h",
        kernel="aot_int16_mean",
        struct_name="aot_int16_mean",
        description=struct(
            outer=outer,
            reduced_outer=reduced_outer,
            middle=middle,
            reduced_inner=reduced_inner,
            inner=inner,
            multiplier=multiplier.mantissa,
            shift=multiplier.shift,
        ),
        inputs=operator.inputs[:1],
        output=operator.outputs[0],
        included=("int16.h",),
    )


def pool_2d(graph: Graph, operator: Operator) -> KernelCall:
    """The kernel call of a supported pool."""
    assert isinstance(operator.options, PoolOptions)
    output = graph.results(operator)[0]
    low, high = int16_range(operator.options.activation, output)
    return KernelCall(
        header="int16_pool_2d.h",
        kernel="aot_int16_pool_2d",
        struct_name="aot_int16_pool_2d",
        description=struct(
            input=image(graph.tensors[operator.inputs[0]]),
            output=image(output),
            window=window_struct(window_of(graph, operator)),
            average=int(operator.opcode == "AVERAGE_POOL_2D"),
            min=low,
            max=high,
        ),
        inputs=operator.inputs,
        output=output.index,
        included=("int16.h",),
    )


def softmax_multiplier(graph: Graph, operator: Operator) -> Multiplier:
    """Multiplier from a difference of inputs to steps of the exponential's table."""
    assert isinstance(operator.options, SoftmaxOptions)
    scale = graph.tensors[operator.inputs[0]].scale
    return quantize_multiplier(scale * operator.options.beta / (_SOFTMAX_REACH / _SOFTMAX_STEPS))


def softmax(graph: Graph, operator: Operator) -> KernelCall:
    """The kernel call of a supported SOFTMAX."""
    input_ = graph.tensors[operator.inputs[0]]
    depth = input_.shape[-1]
    multiplier = softmax_multiplier(graph, operator)
    return KernelCall(
        header="int16_softmax.h",
        kernel="aot_int16_softmax",
        struct_name="aot_int16_softmax",
        description=struct(
            rows=input_.elements // depth,
            depth=depth,
            multiplier=multiplier.mantissa,
            shift=multiplier.shift,
            exponential=Table("exponential", exponential_table()),
            reciprocal=Table("reciprocal", reciprocal_table()),
        ),
        inputs=(input_.index,),
        output=operator.outputs[0],
        included=("int16.h",),
    )


def exponential_table() -> npt.NDArray[np.int16]:
    """The exponential of -10 .. 0 in Q0.15, 513 values."""
    scale = np.float32(_SOFTMAX_REACH) / np.float32(_SOFTMAX_STEPS)
    return _table(scale, INT16_MAX, lambda x: np.float32(math.exp(x)))


def reciprocal_table() -> npt.NDArray[np.int16]:
    """1 / (1 + x) of 0 .. 1 in Q0.15, 513 values."""
    scale = np.float32(1) / np.float32(_SOFTMAX_STEPS)
    return _table(scale, INT16_MIN, lambda x: np.float32(1) / (np.float32(1) + x))


def _table(
    scale: np.float32, zero_point: int, function: Callable[[np.float32], np.float32]
) -> npt.NDArray[np.int16]:
    """A function over int16 inputs of that quantisation, at 513 places, as the oracle's LUTPopulateInt16.

    All steps are in binary32. Each value is lowered by half the error that interpolation has in the middle.
    """
    least, greatest = (scale * np.float32(end - zero_point) for end in (INT16_MIN, INT16_MAX))
    step = (greatest - least) / np.float32(_STEPS)
    output_scale = np.float32(2) / np.float32(_SOFTMAX_STEPS)
    span = output_scale * np.float32(INT16_MAX) - output_scale * np.float32(INT16_MIN)
    inverse = np.float32(1 << 16) / span

    def value(x: np.float32) -> np.float32:
        result: np.float32 = function(x) * inverse
        return result

    values = []
    for i in range(_STEPS):
        x = least + np.float32(i) * step
        here, after = value(x), value(least + np.float32(i + 1) * step)
        between = _round((after + _round(here)) / np.float32(2))
        error = between - _round(value(x + step / np.float32(2)))
        values.append(_round(here) - _round(error / np.float32(2)))
    values.append(_round(value(greatest)))
    return np.array([min(max(int(x), INT16_MIN), INT16_MAX) for x in values], np.int16)


def _round(x: np.float32) -> np.float32:
    """To the nearest, ties away from zero."""
    rounded: np.float32 = np.float32(math.copysign(math.floor(abs(float(x)) + 0.5), float(x)))
    return rounded
