# SPDX-License-Identifier: Apache-2.0
"""PAD and PADV2."""

from __future__ import annotations

from dataclasses import dataclass

from mcu_ser.aot.ir import Graph, Operator
from mcu_ser.aot.kernels.kernel_call import KernelCall, struct

LOOPS = 4


@dataclass(frozen=True)
class PadLoops:
    """The input's dimensions, each unpadded one merged into the padded one around it, outermost first."""

    sizes: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]


def pad_loops(shape: tuple[int, ...], paddings: tuple[tuple[int, int], ...]) -> PadLoops:
    """Merge dimensions that need no loop of their own.

    Args:
        shape: Shape of the input.
        paddings: Elements before and after each dimension, not negative.
    """
    sizes: list[int] = []
    before: list[int] = []
    after: list[int] = []
    inner = 1
    for size, (left, right) in reversed(tuple(zip(shape, paddings, strict=True))):
        inner *= size
        if left or right:
            unit = inner // size
            sizes.append(inner)
            before.append(left * unit)
            after.append(right * unit)
            inner = 1
    if inner > 1 or not sizes:
        sizes.append(inner)
        before.append(0)
        after.append(0)
    return PadLoops(tuple(reversed(sizes)), tuple(reversed(before)), tuple(reversed(after)))


def paddings_of(graph: Graph, operator: Operator) -> tuple[tuple[int, int], ...]:
    """The constant paddings of a PAD, before and after each dimension."""
    values = graph.tensors[operator.inputs[1]].data
    assert values is not None
    return tuple((int(left), int(right)) for left, right in values.reshape(-1, 2))


def loops_of(graph: Graph, operator: Operator) -> PadLoops:
    """The loops of a PAD with constant paddings."""
    return pad_loops(graph.tensors[operator.inputs[0]].shape, paddings_of(graph, operator))


def pad_value(graph: Graph, operator: Operator) -> int:
    """The stored int8 value of the border."""
    if len(operator.inputs) == 3:
        constant = graph.tensors[operator.inputs[2]].data
        assert constant is not None
        return int(constant.reshape(-1)[0])
    return graph.results(operator)[0].zero_point


def call(graph: Graph, operator: Operator) -> KernelCall:
    """The kernel call of a supported PAD or PADV2."""
    loops = loops_of(graph, operator)
    missing = LOOPS - len(loops.sizes)
    return KernelCall(
        header="pad.h",
        kernel="aot_pad",
        struct_name="aot_pad",
        description=struct(
            size=(1,) * missing + loops.sizes,
            before=(0,) * missing + loops.before,
            after=(0,) * missing + loops.after,
            value=pad_value(graph, operator),
        ),
        inputs=operator.inputs[:1],
        output=operator.outputs[0],
    )
