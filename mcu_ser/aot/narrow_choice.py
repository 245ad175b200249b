# SPDX-License-Identifier: Apache-2.0
"""Chooses the layers for which scratch is spent on strips of windows, and leaves all others as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mcu_ser.aot import arena, lifetimes
from mcu_ser.aot.cost import predicted_instructions
from mcu_ser.aot.dying_inputs import needed_bytes
from mcu_ser.aot.ir import Graph
from mcu_ser.aot.kernels.conv_2d import call_narrow
from mcu_ser.aot.kernels.kernel_call import KernelCall
from mcu_ser.aot.kernels.sparse import form_of
from mcu_ser.aot.scratch_choice import SPEED_ARENA

# Scratch for a strip, and for a band: with little of it the kernel is called more often.
STRIP_BYTES = (1024, 256)

# The arena may be so much larger than it would be otherwise.
_GROWTH = 1.1


def with_narrow(
    graph: Graph, aliases: Mapping[int, int], calls: Mapping[int, KernelCall]
) -> dict[int, KernelCall]:
    """The calls, those of convolutions of few channels by strips where that takes fewer instructions.

    Args:
        graph: The model, in the order of execution.
        aliases: Tensor index -> index of the tensor whose buffer it uses.
        calls: Layer -> its call.
    """
    chosen = dict(calls)
    before = needed_bytes(graph, aliases, calls)
    tensors = arena.lower_bound(lifetimes.find_buffers(graph, aliases))
    most = max(before, min(SPEED_ARENA * tensors, _GROWTH * before))
    for operator in graph.operators:
        if operator.opcode != "CONV_2D" or graph.is_int16(operator):
            continue
        for strip_bytes in STRIP_BYTES:
            call = _faster(call_narrow(graph, operator, strip_bytes), chosen[operator.index])
            if call is None:
                break
            tried = {**chosen, operator.index: call}
            if needed_bytes(graph, aliases, tried) <= most:
                chosen = tried
                break
    return chosen


def _faster(call: KernelCall | None, before: KernelCall) -> KernelCall | None:
    """The call, if it takes fewer instructions than the one before."""
    choice = before.sparse_choice
    if call is None or (choice is not None and choice.taken):
        return None
    now, then = predicted_instructions(before), predicted_instructions(call)
    if now is None or then is None or then >= now:
        return None
    if choice is None:
        return call
    return replace(call, sparse_choice=replace(choice, dense=form_of(call)))
