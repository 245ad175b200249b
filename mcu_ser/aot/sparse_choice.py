# SPDX-License-Identifier: Apache-2.0
"""Lets sparse layers have scratch for which the arena has room anyway, and leaves all others as they are."""

from __future__ import annotations

from collections.abc import Mapping

from mcu_ser.aot.ir import Graph
from mcu_ser.aot.kernels import conv_2d, fully_connected
from mcu_ser.aot.kernels.kernel_call import Form, KernelCall
from mcu_ser.aot.kernels.sparse import form_of
from mcu_ser.aot.scratch_room import scratch_rooms

_KERNELS = {"CONV_2D": conv_2d.call, "FULLY_CONNECTED": fully_connected.call}

# With fewer zeros no sparse form takes less.
_LEAST_SPARSITY = 0.25


def with_sparse_room(
    graph: Graph, aliases: Mapping[int, int], calls: Mapping[int, KernelCall]
) -> dict[int, KernelCall]:
    """The calls, those of layers with many zeros sparse where that takes less and the arena has room for it.

    Args:
        graph: The model, in the order of execution.
        aliases: Tensor index -> index of the tensor whose buffer it uses.
        calls: Layer -> its call.
    """
    chosen = dict(calls)
    rooms = scratch_rooms(graph, aliases)
    for operator in graph.operators:
        before = calls.get(operator.index)
        kernel = _KERNELS.get(operator.opcode)
        if before is None or kernel is None or graph.is_int16(operator):
            continue
        if before.sparsity is not None and before.sparsity >= _LEAST_SPARSITY:
            found = kernel(graph, operator, rooms[operator.index])
            if _takes_less(form_of(found), form_of(before)):
                chosen[operator.index] = found
    return chosen


def _takes_less(form: Form, than: Form) -> bool:
    fast, slow = form.predicted_instructions, than.predicted_instructions
    return fast is not None and slow is not None and fast < slow
