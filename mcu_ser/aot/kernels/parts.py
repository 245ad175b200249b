# SPDX-License-Identifier: Apache-2.0
"""CONCATENATION, PACK, SPLIT, SPLIT_V and UNPACK: a tensor and its parts along an axis, one copy per part."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from mcu_ser.aot.ir import Graph, Operator, PartsOptions, Tensor
from mcu_ser.aot.kernels import copy_block
from mcu_ser.aot.kernels.copy_block import CopyBlock, Loop
from mcu_ser.aot.kernels.kernel_call import KernelCall

# Place of the axis among the operands; the other operators have it among their options.
AXIS_OPERAND = {"SPLIT": 0, "SPLIT_V": 2}
JOINING = frozenset({"CONCATENATION", "PACK"})
# Their parts lack the dimension along which they are put together.
STACKING = frozenset({"PACK", "UNPACK"})


@dataclass(frozen=True)
class Parts:
    """The whole tensor and its parts in order. `axis` may be negative."""

    whole: Tensor
    parts: tuple[Tensor, ...]
    axis: int

    def length(self, part: Tensor) -> int:
        """Indices of the axis that a part covers."""
        return part.shape[self.axis] if len(part.shape) == len(self.whole.shape) else 1


def parts_of(graph: Graph, operator: Operator) -> Parts:
    """Whole, parts and axis of an operator of this family."""
    place = AXIS_OPERAND.get(operator.opcode)
    if place is None:
        assert isinstance(operator.options, PartsOptions)
        axis = operator.options.axis
    else:
        data = graph.tensors[operator.inputs[place]].data
        assert data is not None
        axis = int(data.reshape(-1)[0])
    inputs = tuple(graph.tensors[i] for i in operator.inputs)
    if operator.opcode in JOINING:
        return Parts(graph.results(operator)[0], inputs, axis)
    return Parts(inputs[1 if place == 0 else 0], graph.results(operator), axis)


def call(graph: Graph, operator: Operator) -> KernelCall:
    """The kernel calls of a supported operator of this family, one per part."""
    layer = parts_of(graph, operator)
    shape = layer.whole.shape
    axis = layer.axis % len(shape)
    inner = math.prod(shape[axis + 1 :])
    calls = []
    start = 0
    for part in layer.parts:
        run = layer.length(part) * inner
        step = shape[axis] * inner
        outer = math.prod(shape[:axis])
        if operator.opcode in JOINING:
            block = CopyBlock((Loop(outer, run, step), Loop(run, 1, 1)), write_start=start)
            calls.append(copy_block.call(part.index, layer.whole.index, block))
        else:
            block = CopyBlock((Loop(outer, step, run), Loop(run, 1, 1)), read_start=start)
            calls.append(copy_block.call(layer.whole.index, part.index, block))
        start += run
    return replace(calls[0], more=tuple(calls[1:]))
