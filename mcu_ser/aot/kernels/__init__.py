# SPDX-License-Identifier: Apache-2.0
"""One module per operator family; each turns a supported operator into the call of its C kernel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mcu_ser.aot.ir import Graph, Operator
from mcu_ser.aot.kernels import (
    add,
    arg_max,
    batch_matmul,
    conv_2d,
    depthwise_conv_2d,
    fully_connected,
    int16_elements,
    int16_products,
    l2_normalization,
    lstm,
    mean,
    pad,
    pairs,
    parts,
    pool_2d,
    relu,
    resize_nearest,
    slices,
    softmax,
    table,
    transpose_conv,
)
from mcu_ser.aot.kernels.kernel_call import KernelCall
from mcu_ser.aot.optimization import Optimization

# Operators of `passes.ALIASING` are not here: their output is an alias of their input.
KERNELS: dict[str, Callable[[Graph, Operator], KernelCall]] = {
    "ADD": add.call,
    "ARG_MAX": arg_max.call,
    "AVERAGE_POOL_2D": pool_2d.call,
    "BATCH_MATMUL": batch_matmul.call,
    "CONCATENATION": parts.call,
    "CONV_2D": conv_2d.call,
    "DEPTHWISE_CONV_2D": depthwise_conv_2d.call,
    "FULLY_CONNECTED": fully_connected.call,
    "HARD_SWISH": table.call,
    "LEAKY_RELU": table.call,
    "LOGISTIC": table.call,
    "L2_NORMALIZATION": l2_normalization.call,
    "MAXIMUM": pairs.minimum_maximum,
    "MAX_POOL_2D": pool_2d.call,
    "MEAN": mean.call,
    "MINIMUM": pairs.minimum_maximum,
    "MUL": pairs.mul,
    "PACK": parts.call,
    "PAD": pad.call,
    "PADV2": pad.call,
    "PRELU": pairs.prelu,
    "QUANTIZE": table.call,
    "REDUCE_MAX": mean.call_max,
    "RELU": relu.call,
    "RELU6": relu.call,
    "RESIZE_NEAREST_NEIGHBOR": resize_nearest.call,
    "REVERSE_V2": slices.call_reverse,
    "SLICE": slices.call_slice,
    "SOFTMAX": softmax.call,
    "SPLIT": parts.call,
    "SPLIT_V": parts.call,
    "STRIDED_SLICE": slices.call_strided_slice,
    "SUM": mean.call,
    "TRANSPOSE": slices.call_transpose,
    "TRANSPOSE_CONV": transpose_conv.call,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": lstm.call,
    "UNPACK": parts.call,
    "SUB": add.call,
    "TANH": table.call,
}

# As `KERNELS`, in a build for size; what is not here has one kernel for both.
SIZE_KERNELS: dict[str, Callable[[Graph, Operator], KernelCall]] = {
    **KERNELS,
    "AVERAGE_POOL_2D": pool_2d.call_compact,
    "CONV_2D": conv_2d.call_compact,
    "DEPTHWISE_CONV_2D": depthwise_conv_2d.call_compact,
    "FULLY_CONNECTED": fully_connected.call_compact,
}

# As `KERNELS`, for layers of 16-bit activations.
INT16_KERNELS: dict[str, Callable[[Graph, Operator], KernelCall]] = {
    "ADD": int16_elements.add,
    "AVERAGE_POOL_2D": int16_elements.pool_2d,
    "CONV_2D": int16_products.conv_2d,
    "DEPTHWISE_CONV_2D": int16_products.depthwise_conv_2d,
    "FULLY_CONNECTED": int16_products.fully_connected,
    "MAX_POOL_2D": int16_elements.pool_2d,
    "MEAN": int16_elements.mean,
    "SOFTMAX": int16_elements.softmax,
}


def kernel_call(
    graph: Graph, operator: Operator, optimization: Optimization = Optimization.SPEED
) -> KernelCall | None:
    """The kernel call of a supported operator; None where the output is an alias of the input."""
    for_size = optimization is Optimization.SIZE
    kernels = SIZE_KERNELS if for_size else KERNELS
    call = (INT16_KERNELS if graph.is_int16(operator) else kernels).get(operator.opcode)
    return None if call is None else replace(call(graph, operator), for_size=for_size)
