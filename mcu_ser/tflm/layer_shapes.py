# SPDX-License-Identifier: Apache-2.0
"""What TFLite-Micro takes for granted of a layer: which operands there are, and of how many dimensions.

Its kernels read beyond the operands and shapes of a layer without them, and nothing can be estimated of it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from mcu_ser.aot.ir import short_name
from mcu_ser.aot.rules import OPERANDS, wrong_operands
from mcu_ser.aot.tflite_reader import MAX_RANK
from mcu_ser.errors import ModelError

if TYPE_CHECKING:
    from mcu_ser.aot.ir import Graph, Operator

# The engine's own limit on the parts of a tensor is none of TFLite-Micro.
_MOST_PARTS = sys.maxsize

_ANY = range(MAX_RANK + 1)
_ROWS = range(1, MAX_RANK + 1)
_MATRIX = range(2, 3)
_SEQUENCE = range(3, 4)
_IMAGE = range(4, 5)
_STACK = range(2, 6)

# Operator -> how many dimensions its result and its first operands may have; of others the kernels take any
# number, or look themselves.
_RANKS = {
    "AVERAGE_POOL_2D": (_IMAGE, _IMAGE),
    "BATCH_MATMUL": (_STACK, _STACK, _STACK),
    "CONV_2D": (_IMAGE, _IMAGE, _IMAGE),
    "DEPTHWISE_CONV_2D": (_IMAGE, _IMAGE, _IMAGE),
    "FULLY_CONNECTED": (_ROWS, _ROWS, _MATRIX),
    "MAX_POOL_2D": (_IMAGE, _IMAGE),
    "TRANSPOSE_CONV": (_IMAGE, _ANY, _IMAGE, _IMAGE),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (_SEQUENCE, _SEQUENCE),
}


def broken_layer(graph: Graph, operator: Operator) -> str | None:
    """What a layer lacks; None for a whole one, and for an operator that is not known."""
    if operator.opcode not in OPERANDS:
        return None
    wrong = wrong_operands(operator, _MOST_PARTS)
    if wrong is not None:
        return f"its operands are not those that TensorFlow Lite defines ({wrong})"
    tensors = (graph.results(operator)[0], *graph.operands(operator))
    for tensor, ranks in zip(tensors, _RANKS.get(operator.opcode, ()), strict=False):
        if tensor is not None and len(tensor.shape) not in ranks:
            limit = f"{ranks[0]}" if len(ranks) == 1 else f"{ranks[0]} .. {ranks[-1]}"
            return f"{short_name(tensor.name)} has {len(tensor.shape)} dimensions, not {limit}"
    return None


def check_layers(graph: Graph) -> None:
    """Check that every layer is whole.

    Raises:
        ModelError: One is not; names all such layers.
    """
    found = [(operator, broken_layer(graph, operator)) for operator in graph.operators]
    lines = "".join(
        f"\n  layer {operator.index}, {operator.opcode} ({short_name(graph.layer_name(operator))}): {broken}"
        for operator, broken in found
        if broken is not None
    )
    if lines:
        problem = f"has layers that are not whole:{lines}"
        raise ModelError(graph.name, problem, hint="converting the model again")
