# SPDX-License-Identifier: Apache-2.0
"""Limits of the engine on TRANSPOSE_CONV and BATCH_MATMUL; see `rules`."""

from __future__ import annotations

from mcu_ser.aot.ir import Graph, Operator
from mcu_ser.aot.kernels import batch_matmul, transpose_conv
from mcu_ser.aot.requantize import INT8_MAX, INT8_MIN, scale_fits
from mcu_ser.aot.rules import data_tensors

# Of the oracle.
MAX_STACK_RANK = 5


def shape_operand_is_that_of_the_output(graph: Graph, operator: Operator) -> str | None:
    """The shape that the first operand holds must be the output's."""
    # The oracle does not look at it.
    stated = graph.tensors[operator.inputs[0]].data
    assert stated is not None
    output = graph.results(operator)[0]
    sizes = tuple(stated.reshape(-1).tolist())
    return None if sizes == output.shape else f"it is {sizes} for {output.shape_text}"


def input_follows_padding(graph: Graph, operator: Operator) -> str | None:
    """Height and width of the input must be those that padding and stride make of the output."""
    # TensorFlow's rule: the layer transposes a convolution from its output to its input.
    input_, _ = data_tensors(graph, operator)
    expected = transpose_conv.window_on_output(graph, operator).output
    return None if input_.shape[1:3] == expected else f"they are {input_.shape[1:3]} and should be {expected}"


def operands_are_stacks(graph: Graph, operator: Operator) -> str | None:
    """Both inputs must have 2 to 5 dimensions."""
    # The oracle's limit.
    ranks = [len(tensor.shape) for tensor in data_tensors(graph, operator)[:2]]
    return (
        None if all(2 <= rank <= MAX_STACK_RANK for rank in ranks) else f"they have {ranks[0]} and {ranks[1]}"
    )


def matrices_make_output(graph: Graph, operator: Operator) -> str | None:
    """The matrices must fit each other and make those of the output; other dimensions may be broadcast."""
    first, second, output = data_tensors(graph, operator)
    matrices = batch_matmul.matrices_of(graph, operator)
    product = (matrices.rows, matrices.columns)
    rank = max(len(first.shape), len(second.shape))
    stacks = [(1,) * (rank - len(t.shape)) + t.shape[:-2] for t in (first, second)]
    broadcast = all(1 in pair or pair[0] == pair[1] for pair in zip(*stacks, strict=True))
    made = (*(max(pair) for pair in zip(*stacks, strict=True)), *product)
    if matrices.depth == matrices.second_depth and broadcast and made == output.shape:
        return None
    return f"{first.shape_text} and {second.shape_text} to {output.shape_text}"


def sums_of_products_fit_int32(graph: Graph, operator: Operator) -> str | None:
    """No int8 inputs may overflow the int32 sum of their products or its rescaling."""
    first, second, output = data_tensors(graph, operator)
    depth = batch_matmul.matrices_of(graph, operator).depth
    spans = [(INT8_MIN - tensor.zero_point, INT8_MAX - tensor.zero_point) for tensor in (first, second)]
    products = [a * b * depth for a in spans[0] for b in spans[1]]
    multiplier = batch_matmul.matmul_multiplier(graph, operator)
    if scale_fits(min(products), max(products), multiplier, output.zero_point):
        return None
    return f"they reach {min(products)} .. {max(products)} with shift {multiplier.shift}"
