# SPDX-License-Identifier: Apache-2.0
"""What engine tflm needs of a board for a model, before anything is generated: flash, arena, a fit library.

The generator and `inspect` ask the same function, so they cannot disagree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcu_ser.aot.ir import BatchMatmulOptions, LstmOptions
from mcu_ser.generate.byte_arrays import estimate_arena
from mcu_ser.tflm.layer_shapes import check_layers
from mcu_ser.tflm.runtime_support import Refusal, Runtime, find_refusals

if TYPE_CHECKING:
    from mcu_ser.aot.ir import Graph, Operator


@dataclass(frozen=True)
class TflmRequirements:
    """Needs of one model.

    Attributes:
        flash_bytes: The model as an array; the library's code comes on top.
        arena_bytes: Estimate for a 32-bit core, a multiple of 16.
        arena_peak: Index of the layer with the most live activations; None for a model without layers.
        macs: Multiply-accumulates of one inference.
        refusals: The layers that the library cannot run right.
    """

    flash_bytes: int
    arena_bytes: int
    arena_peak: int | None
    macs: int
    refusals: tuple[Refusal, ...]


def tflm_requirements(model: bytes, graph: Graph, runtime: Runtime) -> TflmRequirements:
    """The needs of `model`, of which `graph` is what `tflite_reader` reads in it.

    Raises:
        ModelError: A layer lacks operands or dimensions that it must have.
    """
    check_layers(graph)
    arena = estimate_arena(graph)
    return TflmRequirements(
        flash_bytes=len(model),
        arena_bytes=arena.arena_bytes,
        arena_peak=arena.peak_layer,
        macs=sum(operator_macs(graph, operator) for operator in graph.operators),
        refusals=find_refusals(graph, runtime),
    )


def operator_macs(graph: Graph, operator: Operator) -> int:
    """Multiply-accumulates, counted as `aot` counts them: every tap of a kernel, padding included."""
    if operator.opcode == "BATCH_MATMUL" and isinstance(operator.options, BatchMatmulOptions):
        first = graph.tensors[operator.inputs[0]].shape
        depth = first[-2 if operator.options.first_swapped else -1] if len(first) > 1 else 0
        return graph.results(operator)[0].elements * depth
    if isinstance(operator.options, LstmOptions):
        steps, states = graph.tensors[operator.inputs[0]].shape, graph.results(operator)[0].shape
        # Four gates see input and output of each step.
        return 4 * math.prod(states) * (steps[-1] + states[-1]) if steps and states else 0
    if operator.opcode not in {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"}:
        return 0
    weights = graph.operands(operator)[1]
    if weights is None or not weights.shape:
        return 0
    if operator.opcode == "TRANSPOSE_CONV":
        # Each input meets every window, whose last dimension is that of the inputs.
        data = graph.operands(operator)[2:3]
        return math.prod(weights.shape[:-1]) * sum(tensor.elements for tensor in data if tensor)
    outputs = graph.results(operator)[0].elements
    # Depthwise weights are (1, height, width, channels), the others (channels, taps ...).
    taps = weights.shape[:-1] if operator.opcode == "DEPTHWISE_CONV_2D" else weights.shape[1:]
    return outputs * math.prod(taps)
