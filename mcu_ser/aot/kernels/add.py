# SPDX-License-Identifier: Apache-2.0
"""ADD and SUB, with broadcasting."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mcu_ser.aot.ir import AddOptions, Graph, Operator, Tensor
from mcu_ser.aot.kernels.add_affine import INPUTS, Int64Array, find_affine, scaled
from mcu_ser.aot.kernels.kernel_call import KernelCall, Struct, struct
from mcu_ser.aot.requantize import INT8_MIN, Multiplier, activation_range, quantize_multiplier

FRACTION_BITS = 20
LOOPS = 4

# Exactly 1/2: mantissa 2^30 of 2^31.
_HALF = Multiplier(1 << 30, 0)

# Sums stay below 2^29 and products below 2^28; with this shift the zero point and the half do not matter.
_MOST_SHIFT = 21


@dataclass(frozen=True)
class AddMultipliers:
    """Multipliers of both inputs to twice the larger input scale, and from there to the output."""

    first: Multiplier
    second: Multiplier
    output: Multiplier


def add_multipliers(graph: Graph, operator: Operator) -> AddMultipliers:
    """The three multipliers of an ADD or SUB of three per-tensor quantised tensors."""
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
    """The loops of a layer of two inputs whose shapes are compatible."""
    first, second = (graph.tensors[i].shape for i in operator.inputs)
    return broadcast_loops(graph.results(operator)[0].shape, first, second)


def _second_sign(operator: Operator) -> int:
    return -1 if operator.opcode == "SUB" else 1


def call(graph: Graph, operator: Operator) -> KernelCall:
    """The kernel call of a supported ADD or SUB."""
    return _affine(graph, operator) or _elements(graph, operator) or _plain(graph, operator)


def _are_elementwise(graph: Graph, operator: Operator) -> bool:
    """Whether both inputs are walked as the output is."""
    loops = loops_of(graph, operator)
    return loops.first_steps in ((1,), ()) and loops.second_steps == loops.first_steps


def all_outputs(graph: Graph, operator: Operator) -> Int64Array:
    """The specification's output for every first and second input, (256, 256) from -128 up."""
    assert isinstance(operator.options, AddOptions)
    first, second = (graph.tensors[i] for i in operator.inputs)
    output = graph.results(operator)[0]
    multipliers = add_multipliers(graph, operator)
    a = scaled((INPUTS - first.zero_point) << FRACTION_BITS, multipliers.first)
    b = scaled((INPUTS - second.zero_point) << FRACTION_BITS, multipliers.second)
    sums = a[:, None] + _second_sign(operator) * b[None, :]
    low, high = activation_range(operator.options.activation, output.scale, output.zero_point)
    return np.clip(scaled(sums, multipliers.output) + output.zero_point, low, high)


def _affine(graph: Graph, operator: Operator) -> KernelCall | None:
    """The kernel with one rounding; None where it would not be exact."""
    assert isinstance(operator.options, AddOptions)
    first, second = (graph.tensors[i] for i in operator.inputs)
    output = graph.results(operator)[0]
    if not _are_elementwise(graph, operator) or add_multipliers(graph, operator).output.shift > 0:
        return None
    low, high = activation_range(operator.options.activation, output.scale, output.zero_point)
    factors = first.scale / output.scale, _second_sign(operator) * second.scale / output.scale
    found = find_affine(all_outputs(graph, operator), factors, low, high)
    if found is None:
        return None
    return KernelCall(
        header="add_affine.h",
        kernel="aot_add_affine",
        struct_name="aot_add_affine",
        description=struct(
            elements=output.elements,
            first_factor=found.first_factor,
            second_factor=found.second_factor,
            constant=found.constant,
            shift=found.shift,
            min=low,
            max=high,
        ),
        inputs=operator.inputs,
        output=operator.outputs[0],
        included=("dsp.h",),
    )


def _elements(graph: Graph, operator: Operator) -> KernelCall | None:
    """The fast kernel for inputs of one shape; None where it would not be exact."""
    if not _are_elementwise(graph, operator):
        return None
    description = _element_constants(graph, operator)
    if description is None:
        return None
    return KernelCall(
        header="add_elements.h",
        kernel="aot_add_elements",
        struct_name="aot_add_elements",
        description=description,
        inputs=operator.inputs,
        output=operator.outputs[0],
        included=("dsp.h",),
    )


def _element_constants(graph: Graph, operator: Operator) -> Struct | None:
    """The struct aot_add_elements of a layer; None where its shifts are beyond the kernel's."""
    assert isinstance(operator.options, AddOptions)
    inputs = [graph.tensors[i] for i in operator.inputs]
    output = graph.results(operator)[0]
    multipliers = add_multipliers(graph, operator)
    # The input of the larger scale has the factor 1/2.
    coarse_is_second = multipliers.second == _HALF
    coarse, fine = inputs[int(coarse_is_second)], inputs[int(not coarse_is_second)]
    fine_multiplier = multipliers.first if coarse_is_second else multipliers.second
    low, high = activation_range(operator.options.activation, output.scale, output.zero_point)
    fine_sign, coarse_sign = 1, _second_sign(operator)
    if not coarse_is_second:
        fine_sign, coarse_sign = coarse_sign, fine_sign
    fine_shift, shift = -fine_multiplier.shift, -multipliers.output.shift
    if not (0 <= fine_shift <= _MOST_SHIFT and 1 <= shift <= _MOST_SHIFT):
        return None
    return struct(
        elements=output.elements,
        coarse_is_second=int(coarse_is_second),
        fine_sign=fine_sign,
        coarse_sign=coarse_sign,
        fine_offset=-fine.zero_point << (FRACTION_BITS + 1),
        fine_multiplier=fine_multiplier.mantissa,
        fine_shift=fine_shift,
        fine_half=(1 << fine_shift) >> 1,
        fine_ties=int(fine_shift > 0 and fine.zero_point > INT8_MIN),
        coarse_offset=(-coarse.zero_point * coarse_sign) << FRACTION_BITS,
        multiplier=multipliers.output.mantissa,
        constant=(1 << (shift - 1)) + (output.zero_point << shift),
        shift=shift,
        ties=int(low != output.zero_point),
        min=low,
        max=high,
    )


def _plain(graph: Graph, operator: Operator) -> KernelCall:
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
            second_sign=_second_sign(operator),
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
