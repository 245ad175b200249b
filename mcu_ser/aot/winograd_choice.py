# SPDX-License-Identifier: Apache-2.0
"""Chooses the layers for which flash is spent on Winograd's algorithm, and leaves all others as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mcu_ser.aot.cost import predicted_instructions
from mcu_ser.aot.ir import Graph
from mcu_ser.aot.kernels.conv_2d import call_winograd
from mcu_ser.aot.kernels.kernel_call import KernelCall
from mcu_ser.aot.scratch_choice import SPEED_ARENA
from mcu_ser.aot.scratch_room import scratch_rooms


@dataclass(frozen=True)
class _Candidate:
    layer: int
    call: KernelCall
    saved_instructions: int
    more_bytes: int


def with_winograd(
    graph: Graph, aliases: Mapping[int, int], calls: Mapping[int, KernelCall], flash_bytes: int
) -> dict[int, KernelCall]:
    """The calls, some of them by Winograd's algorithm: those first that save most instructions per byte.

    Args:
        graph: The model.
        aliases: Tensor index -> index of the tensor whose buffer it uses.
        calls: Layer -> its call.
        flash_bytes: By how much all constants together may grow.
    """
    chosen = dict(calls)
    left = flash_bytes
    candidates = _candidates(graph, aliases, calls) if flash_bytes > 0 else []
    for candidate in sorted(candidates, key=lambda c: (-c.saved_instructions / c.more_bytes, c.layer)):
        if candidate.more_bytes <= left:
            chosen[candidate.layer] = candidate.call
            left -= candidate.more_bytes
    return chosen


def _candidates(
    graph: Graph, aliases: Mapping[int, int], calls: Mapping[int, KernelCall]
) -> list[_Candidate]:
    rooms = scratch_rooms(graph, aliases, SPEED_ARENA)
    found = []
    for operator in graph.operators:
        if operator.opcode != "CONV_2D" or graph.is_int16(operator):
            continue
        call = call_winograd(graph, operator)
        if call is None or call.scratch_bytes > rooms[operator.index]:
            continue
        before = calls[operator.index]
        now, then = predicted_instructions(before), predicted_instructions(call)
        more = call.constant_bytes - before.constant_bytes
        if now is not None and then is not None and then < now:
            found.append(_Candidate(operator.index, call, now - then, more))
    return found
