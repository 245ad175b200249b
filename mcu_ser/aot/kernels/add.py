# SPDX-License-Identifier: Apache-2.0
"""ADD, with broadcasting."""

from __future__ import annotations

from dataclasses import dataclass

from mcu_ser.aot.ir import AddOptions, Graph, Operator, Tensor
from mcu_ser.aot.kernels.kernel_call import KernelCall, Struct, struct
from mcu_ser.aot.requantize import Multiplier, activation_range, quantize_multiplier

FRACTION_BITS = 20
LOOPS = 4


@dataclass(frozen=True)
class AddMultipliers:
    """Multipliers of both inputs to twice the larger input scale, and from there to the output."""

    first: Multiplier
    second: Multiplier
    output: Multiplier


def add_multipliers(graph: Graph, operator: Operator) -> AddMultipliers:
    """The three multipliers of an ADD of three per-tensor quantised tensors."""
    first, second = (graph.tensors[i] for i in operator.inputs)
    output = graph.results(operator)[0]
    common = 2 * max(first.scale, second.scale)
    return AddMultipliers(
        quantize_multiplier(first.scale / common),
        quantize_multiplier(second.scale / common),
        quantize_multiplier(common / ((1 << FRACTION_BITS) * output.scale)),
    )


@dataclass(frozen=True)
class BroadcastLoops:
    """The output's dimensions with neighbours merged where both inputs allow it, outermost first.

    A step is the distance of consecutive elements of an input within a loop, 0 where it is broadcast.
    """

    sizes: tuple[int, ...]
    first_steps: tuple[int, ...]
    second_steps: tuple[int, ...]


def broadcast_loops(
    output: tuple[int, ...], first: tuple[int, ...], second: tuple[int, ...]
) -> BroadcastLoops:
    """Merge the loops over `output` that walk both inputs in one stride."""
    sizes: list[int] = []
    steps: list[list[int]] = []
    strides = [1, 1]
    rank = len(output)
    shapes = [(1,) * (rank - len(shape)) + shape for shape in (first, second)]
    for axis in reversed(range(rank)):
        if output[axis] == 1:
            continue
        step = [strides[i] if shapes[i][axis] > 1 else 0 for i in (0, 1)]
        if sizes and all(step[i] == steps[-1][i] * sizes[-1] for i in (0, 1)):
            sizes[-1] *= output[axis]
        else:
            sizes.append(output[axis])
            steps.append(step)
        strides = [strides[i] * shapes[i][axis] for i in (0, 1)]
    return BroadcastLoops(
        tuple(reversed(sizes)),
        tuple(step[0] for step in reversed(steps)),
        tuple(step[1] for step in reversed(steps)),
    )


def loops_of(graph: Graph, operator: Operator) -> BroadcastLoops:
    """The loops of an ADD whose shapes are compatible."""
    first, second = (graph.tensors[i].shape for i in operator.inputs)
    return broadcast_loops(graph.results(operator)[0].shape, first, second)


def call(graph: Graph, operator: Operator) -> KernelCall:
    """The kernel call of a supported ADD."""
    assert isinstance(operator.options, AddOptions)
    output = graph.results(operator)[0]
    multipliers = add_multipliers(graph, operator)
    loops = loops_of(graph, operator)
    missing = LOOPS - len(loops.sizes)
    low, high = activation_range(operator.options.activation, output.scale, output.zero_point)
    first, second = (graph.tensors[i] for i in operator.inputs)
    return KernelCall(
        header="add.h",
        kernel="aot_add",
        struct_name="aot_add",
        description=struct(
            size=(1,) * missing + loops.sizes,
            first=_input(first, multipliers.first, (0,) * missing + loops.first_steps),
            second=_input(second, multipliers.second, (0,) * missing + loops.second_steps),
            multiplier=multipliers.output.mantissa,
            shift=multipliers.output.shift,
            zero_point=output.zero_point,
            min=low,
            max=high,
        ),
        inputs=operator.inputs,
        output=output.index,
    )


def _input(tensor: Tensor, multiplier: Multiplier, steps: tuple[int, ...]) -> Struct:
    return struct(
        step=steps, offset=-tensor.zero_point, multiplier=multiplier.mantissa, shift=multiplier.shift
    )
