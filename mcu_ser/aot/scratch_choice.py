# SPDX-License-Identifier: Apache-2.0
"""Gives up scratch that would make the arena much larger than its tensors, for somewhat slower kernels."""

from __future__ import annotations

from collections.abc import Mapping

from mcu_ser.aot.ir import Graph
from mcu_ser.aot.kernels.fully_connected import MATMUL_KERNEL, call_direct
from mcu_ser.aot.kernels.kernel_call import KernelCall
from mcu_ser.aot.scratch_room import scratch_rooms

# In a build for speed the arena may be so much larger than what the layer with the most tensors needs.
SPEED_ARENA = 1.2

# Scratch of so many bytes is little on any board.
_LITTLE_SCRATCH = 512


def without_much_scratch(
    graph: Graph, aliases: Mapping[int, int], calls: Mapping[int, KernelCall]
) -> dict[int, KernelCall]:
    """The calls, those of FULLY_CONNECTED that widen large inputs without scratch where the arena is small.

    Args:
        graph: The model, in the order of execution.
        aliases: Tensor index -> index of the tensor whose buffer it uses.
        calls: Layer -> its call.
    """
    chosen = dict(calls)
    rooms = scratch_rooms(graph, aliases, SPEED_ARENA)
    for operator in graph.operators:
        call = calls.get(operator.index)
        if call is None or call.kernel != MATMUL_KERNEL or call.scratch_bytes <= _LITTLE_SCRATCH:
            continue
        if call.scratch_bytes > rooms[operator.index]:
            chosen[operator.index] = call_direct(graph, operator) or call
    return chosen
