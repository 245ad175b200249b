# SPDX-License-Identifier: Apache-2.0
"""MUL, PRELU, MINIMUM and MAXIMUM: two inputs, with broadcasting."""

from __future__ import annotations

from mcu_ser.aot.ir import AddOptions, Graph, Operator
from mcu_ser.aot.kernels.add import LOOPS, loops_of
from mcu_ser.aot.kernels.kernel_call import KernelCall, Struct, struct
from mcu_ser.aot.requantize import Multiplier, activation_range, quantize_multiplier


def mul_multiplier(graph: Graph, operator: Operator) -> Multiplier:
    """Multiplier from a product of a MUL to its output; also that of the part of a PRELU below zero."""
    first, second = (graph.tensors[i] for i in operator.inputs)
    return quantize_multiplier(first.scale * second.scale / graph.results(operator)[0].scale)


def prelu_multiplier(graph: Graph, operator: Operator) -> Multiplier:
    """Multiplier from inputs of a PRELU that are not below zero to its output."""
    return quantize_multiplier(graph.tensors[operator.inputs[0]].scale / graph.results(operator)[0].scale)


def mul(graph: Graph, operator: Operator) -> KernelCall:
    """The kernel call of a supported MUL."""
    assert isinstance(operator.options, AddOptions)
    first, second = (graph.tensors[i] for i in operator.inputs)
    output = graph.results(operator)[0]
    multiplier = mul_multiplier(graph, operator)
    low, high = activation_range(operator.options.activation, output.scale, output.zero_point)
    description = struct(
        pairs=_pairs(graph, operator),
        first_offset=-first.zero_point,
        second_offset=-second.zero_point,
        multiplier=multiplier.mantissa,
        shift=multiplier.shift,
        zero_point=output.zero_point,
        min=low,
        max=high,
    )
    return _call(operator, "mul", description)


def prelu(graph: Graph, operator: Operator) -> KernelCall:
    """The kernel call of a supported PRELU."""
    input_, alpha = (graph.tensors[i] for i in operator.inputs)
    description = struct(
        pairs=_pairs(graph, operator),
        input_offset=-input_.zero_point,
        alpha_offset=-alpha.zero_point,
        above=_slope(prelu_multiplier(graph, operator)),
        below=_slope(mul_multiplier(graph, operator)),
        zero_point=graph.results(operator)[0].zero_point,
    )
    return _call(operator, "prelu", description)


def minimum_maximum(graph: Graph, operator: Operator) -> KernelCall:
    """The kernel call of a supported MINIMUM or MAXIMUM."""
    description = struct(pairs=_pairs(graph, operator), greater=int(operator.opcode == "MAXIMUM"))
    return _call(operator, "minimum_maximum", description)


def _slope(multiplier: Multiplier) -> Struct:
    return struct(multiplier=multiplier.mantissa, shift=multiplier.shift)


def _pairs(graph: Graph, operator: Operator) -> Struct:
    """`struct aot_pairs` of a layer's two inputs."""
    loops = loops_of(graph, operator)
    missing = LOOPS - len(loops.sizes)
    return struct(
        size=(1,) * missing + loops.sizes,
        first_step=(0,) * missing + loops.first_steps,
        second_step=(0,) * missing + loops.second_steps,
    )


def _call(operator: Operator, kernel: str, description: Struct) -> KernelCall:
    return KernelCall(
        header=f"{kernel}.h",
        kernel=f"aot_{kernel}",
        struct_name=f"aot_{kernel}",
        description=description,
        inputs=operator.inputs,
        output=operator.outputs[0],
        included=("pairs.h",),
    )
