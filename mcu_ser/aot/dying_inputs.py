# SPDX-License-Identifier: Apache-2.0
"""Finds the layers whose kernels let outputs lie over inputs that die, and what the arena needs then."""

from __future__ import annotations

from collections.abc import Mapping

from mcu_ser.aot import arena, lifetimes
from mcu_ser.aot.ir import Graph
from mcu_ser.aot.kernels.kernel_call import KernelCall
from mcu_ser.aot.overlap import Overlap, find_overlaps


def overlapping(
    graph: Graph, aliases: Mapping[int, int], calls: Mapping[int, KernelCall]
) -> dict[int, tuple[int, int, Overlap]]:
    """The layers whose kernels let the output overlap the input, by their place: for `find_overlaps`."""
    found = {}
    for moment, operator in enumerate(graph.operators):
        call = calls.get(operator.index)
        if call is not None and call.overlap is not None:
            (source,) = call.inputs
            buffers = aliases.get(source, source), aliases.get(call.output, call.output)
            found[moment] = (*buffers, call.overlap)
    return found


def needed_bytes(graph: Graph, aliases: Mapping[int, int], calls: Mapping[int, KernelCall]) -> int:
    """What the arena needs at least, scratch included.

    Args:
        graph: The model, in the order of execution.
        aliases: Tensor index -> index of the tensor whose buffer it uses.
        calls: Layer -> its call.
    """
    scratch = {index: call.scratch_bytes for index, call in calls.items()}
    buffers = lifetimes.find_buffers(graph, aliases, scratch)
    return arena.lower_bound(buffers, find_overlaps(buffers, overlapping(graph, aliases, calls)))
