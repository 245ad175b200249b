# SPDX-License-Identifier: Apache-2.0
"""Chooses the layers for which scratch is spent on strips of windows, and leaves all others as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mcu_ser.aot import arena, lifetimes
from mcu_ser.aot.cost import predicted_instructions
from mcu_ser.aot.ir import Graph, Operator
from mcu_ser.aot.kernels.conv_2d import call_narrow
from mcu_ser.aot.kernels.kernel_call import Form, KernelCall

# Scratch for a strip, and for a band: with little of it the kernel is called more often.
STRIP_BYTES = (1024, 256)

# A layer may need this much of what the layer with the most tensors needs, with its scratch.
_SPEED_ARENA = 1.2


def with_narrow(
    graph: Graph, aliases: Mapping[int, int], calls: Mapping[int, KernelCall]
) -> dict[int, KernelCall]:
    """The calls, those of convolutions of few channels by strips where that takes fewer instructions.

    Args:
        graph: The model.
        aliases: Tensor index -> index of the tensor whose buffer it uses.
        calls: Layer -> its call.
    """
    chosen = dict(calls)
    tensors = lifetimes.find_buffers(graph, aliases)
    most = _SPEED_ARENA * arena.lower_bound(tensors)
    for operator in graph.operators:
        if operator.opcode == "CONV_2D" and not graph.is_int16(operator):
            room = most - arena.live_bytes(tensors, operator.index)
            chosen[operator.index] = _better(graph, operator, calls[operator.index], room)
    return chosen


def _better(graph: Graph, operator: Operator, before: KernelCall, room: float) -> KernelCall:
    choice = before.sparse_choice
    found = (call_narrow(graph, operator, strip_bytes) for strip_bytes in STRIP_BYTES)
    call = next((call for call in found if call is not None and call.scratch_bytes <= room), None)
    if call is None or (choice is not None and choice.taken):
        return before
    now, then = predicted_instructions(before), predicted_instructions(call)
    if now is None or then is None or then >= now:
        return before
    if choice is None:
        return call
    stored = sum(table.values.nbytes for table in call.tables())
    return replace(call, sparse_choice=replace(choice, dense=Form(call.kernel, stored, then)))
