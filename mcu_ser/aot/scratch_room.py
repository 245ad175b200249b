# SPDX-License-Identifier: Apache-2.0
"""How much scratch each layer may have, for those who choose among its kernels."""

from __future__ import annotations

from collections.abc import Mapping

from mcu_ser.aot import arena, lifetimes
from mcu_ser.aot.ir import Graph


def scratch_rooms(graph: Graph, aliases: Mapping[int, int], growth: float = 1.0) -> dict[int, int]:
    """Layer -> bytes that it may have beside its tensors, negative where those are too large already.

    Args:
        graph: The model, in the order of execution.
        aliases: Tensor index -> index of the tensor whose buffer it uses.
        growth: The arena may be this many times what the layer with the most tensors needs.
    """
    tensors = lifetimes.find_buffers(graph, aliases)
    most = growth * arena.lower_bound(tensors)
    return {
        operator.index: int(most - arena.live_bytes(tensors, place))
        for place, operator in enumerate(graph.operators)
    }
