# SPDX-License-Identifier: Apache-2.0
"""Chooses the layers of a build for size whose zeros are not stored: where that saves more than its code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mcu_ser.aot.ir import Graph, Operator
from mcu_ser.aot.kernels import conv_2d, fully_connected
from mcu_ser.aot.kernels.kernel_call import KernelCall
from mcu_ser.aot.scratch_room import scratch_rooms

# A layer may need this much of what the layer with the most tensors needs, with its scratch.
_SIZE_ARENA = 1.05

# Code of the kernels that leave zeros out, compiled for size: for each form that a model has.
FORM_BYTES = 3072

_FORMS = {"CONV_2D": conv_2d.sparse_calls, "FULLY_CONNECTED": fully_connected.sparse_calls}


def with_sparse_storage(
    graph: Graph, aliases: Mapping[int, int], calls: Mapping[int, KernelCall]
) -> dict[int, KernelCall]:
    """The calls of a build for size, those that save most bytes by the forms that pay for their code.

    Args:
        graph: The model, in the order of execution.
        aliases: Tensor index -> index of the tensor whose buffer it uses.
        calls: Layer -> its call, which stores zeros.
    """
    rooms = scratch_rooms(graph, aliases, _SIZE_ARENA)
    by_form: dict[str, dict[int, KernelCall]] = {}
    for operator in graph.operators:
        for call in _smaller(graph, operator, calls, rooms[operator.index]):
            by_form.setdefault(call.kernel, {})[operator.index] = call
    chosen = dict(calls)
    # The form that saves most comes first; another one must pay for itself by what it saves beyond.
    for _ in range(len(by_form)):
        saved = {form: _saved(chosen, found) for form, found in by_form.items()}
        best = max(saved, key=lambda form: (saved[form], form))
        if saved[best] <= FORM_BYTES:
            break
        for index, call in by_form.pop(best).items():
            chosen[index] = min(chosen[index], call, key=lambda each: each.constant_bytes)
    return chosen


def _smaller(
    graph: Graph, operator: Operator, calls: Mapping[int, KernelCall], room: int
) -> list[KernelCall]:
    if operator.opcode not in _FORMS or graph.is_int16(operator):
        return []
    found = (call for call in _FORMS[operator.opcode](graph, operator, room) if call is not None)
    return [
        replace(call, for_size=True)
        for call in found
        if call.scratch_bytes <= room and call.constant_bytes < calls[operator.index].constant_bytes
    ]


def _saved(chosen: Mapping[int, KernelCall], found: Mapping[int, KernelCall]) -> int:
    return sum(max(0, chosen[index].constant_bytes - call.constant_bytes) for index, call in found.items())
