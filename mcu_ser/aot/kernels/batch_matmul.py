# SPDX-License-Identifier: Apache-2.0
"""BATCH_MATMUL: products of two stacks of matrices, either of which may be broadcast or constant."""

from __future__ import annotations

from dataclasses import dataclass

from mcu_ser.aot.ir import BatchMatmulOptions, Graph, Operator
from mcu_ser.aot.kernels.add import BroadcastLoops, broadcast_loops
from mcu_ser.aot.kernels.kernel_call import KernelCall, Struct, struct
from mcu_ser.aot.requantize import Multiplier, quantize_multiplier

# Loops over the matrices of a stack; 5 dimensions have no more.
LOOPS = 3


@dataclass(frozen=True)
class Matrices:
    """Sizes of the two factors of every product, as they are multiplied.

    `first_steps` are the distances of neighbours along a row and along the depth in memory, `second_steps`
    those along a column and along the depth.
    """

    rows: int
    depth: int
    columns: int
    second_depth: int
    first_steps: tuple[int, int]
    second_steps: tuple[int, int]


def matrices_of(graph: Graph, operator: Operator) -> Matrices:
    """The matrices of a BATCH_MATMUL whose operands have at least 2 dimensions."""
    assert isinstance(operator.options, BatchMatmulOptions)
    first, second = (graph.tensors[i].shape[-2:] for i in operator.inputs)
    first_steps, second_steps = (first[1], 1), (1, second[1])
    if operator.options.first_swapped:
        first, first_steps = (first[1], first[0]), (1, first[1])
    if operator.options.second_swapped:
        second, second_steps = (second[1], second[0]), (second[1], 1)
    return Matrices(first[0], first[1], second[1], second[0], first_steps, second_steps)


def matmul_multiplier(graph: Graph, operator: Operator) -> Multiplier:
    """Multiplier from a sum of products to the output."""
    first, second = (graph.tensors[i] for i in operator.inputs)
    return quantize_multiplier(first.scale * second.scale / graph.results(operator)[0].scale)


def call(graph: Graph, operator: Operator) -> KernelCall:
    """The kernel call of a supported BATCH_MATMUL."""
    first, second = (graph.tensors[i] for i in operator.inputs)
    output = graph.results(operator)[0]
    matrices = matrices_of(graph, operator)
    multiplier = matmul_multiplier(graph, operator)
    stacks = broadcast_loops(output.shape[:-2], first.shape[:-2], second.shape[:-2])
    return KernelCall(
        header="batch_matmul.h",
        kernel="aot_batch_matmul",
        struct_name="aot_batch_matmul",
        description=struct(
            stacks=_stacks(stacks, matrices),
            rows=matrices.rows,
            depth=matrices.depth,
            columns=matrices.columns,
            first_row_step=matrices.first_steps[0],
            first_depth_step=matrices.first_steps[1],
            second_column_step=matrices.second_steps[0],
            second_depth_step=matrices.second_steps[1],
            first_offset=-first.zero_point,
            second_offset=-second.zero_point,
            multiplier=multiplier.mantissa,
            shift=multiplier.shift,
            zero_point=output.zero_point,
        ),
        inputs=operator.inputs,
        output=output.index,
        macs=output.elements * matrices.depth,
    )


def _stacks(loops: BroadcastLoops, matrices: Matrices) -> Struct:
    """`struct aot_matrix_stacks`: the loops over the matrices, with steps in elements."""
    missing = LOOPS - len(loops.sizes)
    first = matrices.rows * matrices.depth
    second = matrices.depth * matrices.columns
    return struct(
        size=(1,) * missing + loops.sizes,
        first_step=(0,) * missing + tuple(step * first for step in loops.first_steps),
        second_step=(0,) * missing + tuple(step * second for step in loops.second_steps),
    )
