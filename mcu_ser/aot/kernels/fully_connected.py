# SPDX-License-Identifier: Apache-2.0
"""FULLY_CONNECTED: as a matrix product of widened rows, or row by row in plain C."""

from __future__ import annotations

from collections.abc import Iterator

from mcu_ser.aot.finish import Output
from mcu_ser.aot.ir import FullyConnectedOptions, Graph, Operator
from mcu_ser.aot.kernels import compact, sparse, unstructured
from mcu_ser.aot.kernels.kernel_call import KernelCall, Table, bias_and_offset, rescale, struct
from mcu_ser.aot.kernels.matmul import HEADERS, SINGLE_MULTIPLE, Matmul, matmul, rows_call, scratch_is_worth
from mcu_ser.aot.overlap import after_copy
from mcu_ser.aot.requantize import activation_range
from mcu_ser.aot.weighted import Weighted, weighted

MATMUL_KERNEL = "aot_fully_connected_matmul"


def call(graph: Graph, operator: Operator, room: int = 0) -> KernelCall:
    """The kernel call of a supported FULLY_CONNECTED.

    Args:
        graph: The model.
        operator: The layer.
        room: Bytes of scratch that a sparse kernel may have even if they are many for the layer.
    """
    layer, output = _layer(graph, operator)
    return sparse.better(_fast(layer, output) or _plain(layer, output), *_sparse(layer, output, room))


def call_compact(graph: Graph, operator: Operator) -> KernelCall:
    """The kernel call of a supported FULLY_CONNECTED in a build for size."""
    layer, output = _layer(graph, operator)
    return compact.rows(layer, output) or _plain(layer, output)


def sparse_calls(graph: Graph, operator: Operator, room: int = 0) -> Iterator[KernelCall | None]:
    """The calls of a supported FULLY_CONNECTED that leave zeros out; None for a form that there is not."""
    return _sparse(*_layer(graph, operator), room)


def _layer(graph: Graph, operator: Operator) -> tuple[Weighted, Output]:
    assert isinstance(operator.options, FullyConnectedOptions)
    layer = weighted(graph, operator)
    low, high = activation_range(operator.options.activation, layer.output.scale, layer.output.zero_point)
    return layer, Output(layer.output.zero_point, low, high)


def _sparse(layer: Weighted, output: Output, room: int = 0) -> Iterator[KernelCall | None]:
    rows = _rows(layer)
    if rows > 1:
        for group in (sparse.GROUP, unstructured.GROUP):
            yield group.rows_call(layer, output, rows, room)
    else:
        yield sparse.single_call(layer, output, room)


def _fast(layer: Weighted, output: Output) -> KernelCall | None:
    rows = _rows(layer)
    if rows > 1:
        return rows_call(layer, output, rows)
    fast = matmul(layer, output, SINGLE_MULTIPLE)
    if fast is None or not scratch_is_worth(_scratch_bytes(fast), layer):
        return None
    return _as_matmul(layer, output, fast)


def _scratch_bytes(fast: Matmul) -> int:
    return 2 * fast.depth


def _rows(layer: Weighted) -> int:
    return layer.input.elements // layer.weights.shape[1]


def _as_matmul(layer: Weighted, output: Output, fast: Matmul) -> KernelCall:
    return KernelCall(
        header="fully_connected_matmul.h",
        kernel=MATMUL_KERNEL,
        struct_name=MATMUL_KERNEL,
        description=struct(
            input_depth=layer.weights.shape[1],
            matmul=fast.description("SINGLE"),
            min=output.min,
            max=output.max,
        ),
        inputs=(layer.input.index,),
        output=layer.output.index,
        macs=layer.weights.elements,
        included=HEADERS,
        scratch_bytes=_scratch_bytes(fast),
        overlap=after_copy(layer.input),
        sparsity=layer.sparsity,
    )


def call_direct(graph: Graph, operator: Operator) -> KernelCall | None:
    """Another call of a supported FULLY_CONNECTED, slower and without scratch; None where there is none."""
    layer, output = _layer(graph, operator)
    fast = matmul(layer, output, SINGLE_MULTIPLE) if _rows(layer) == 1 else None
    if fast is None or fast.depth != layer.weights.shape[1]:
        return None
    return KernelCall(
        header="fully_connected_direct.h",
        kernel="aot_fully_connected_direct",
        struct_name="aot_fully_connected_direct",
        description=struct(matmul=fast.description("SINGLE"), min=output.min, max=output.max),
        inputs=(layer.input.index,),
        output=layer.output.index,
        macs=layer.weights.elements,
        included=HEADERS,
        sparsity=layer.sparsity,
    )


def _plain(layer: Weighted, output: Output) -> KernelCall:
    assert layer.weights.data is not None
    output_depth, input_depth = layer.weights.shape
    bias, input_offset = bias_and_offset(layer, foldable=True)
    return KernelCall(
        header="fully_connected.h",
        kernel="aot_fully_connected",
        struct_name="aot_fully_connected",
        description=struct(
            rows=_rows(layer),
            input_depth=input_depth,
            output_depth=output_depth,
            input_offset=input_offset,
            weights=Table("weights", layer.weights.data),
            bias=bias,
            rescale=rescale(layer, output.min, output.max),
        ),
        inputs=(layer.input.index,),
        output=layer.output.index,
        macs=_rows(layer) * layer.weights.elements,
        sparsity=layer.sparsity,
    )
