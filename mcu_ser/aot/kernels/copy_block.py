# SPDX-License-Identifier: Apache-2.0
"""The kernel of all operators that only move elements: a block of nested loops from one tensor to another."""

from __future__ import annotations

from dataclasses import dataclass

from mcu_ser.aot.kernels.kernel_call import KernelCall, struct

LOOPS = 5


@dataclass(frozen=True)
class Loop:
    """A loop of a copy; steps are elements from one index to the next, negative where it runs backwards."""

    size: int
    read_step: int
    write_step: int


@dataclass(frozen=True)
class CopyBlock:
    """A copy: its loops, outermost first, and the elements with which reading and writing start."""

    loops: tuple[Loop, ...]
    read_start: int = 0
    write_start: int = 0


def strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Elements from one index to the next, per dimension of a dense tensor."""
    steps = [1]
    for size in reversed(shape[1:]):
        steps.append(steps[-1] * size)
    return tuple(reversed(steps[: len(shape)]))


def merged(loops: tuple[Loop, ...]) -> tuple[Loop, ...]:
    """The same copy with loops of one pass left out and neighbours joined where both tensors allow it."""
    result: list[Loop] = []
    for loop in reversed(loops):
        if loop.size == 1:
            continue
        inner = result[-1] if result else None
        if inner and (loop.read_step, loop.write_step) == (
            inner.read_step * inner.size,
            inner.write_step * inner.size,
        ):
            result[-1] = Loop(loop.size * inner.size, inner.read_step, inner.write_step)
        else:
            result.append(loop)
    return tuple(reversed(result))


def call(source: int, target: int, block: CopyBlock) -> KernelCall:
    """The kernel call of a copy from tensor `source` to tensor `target` that merges into at most 5 loops."""
    loops = merged(block.loops)
    loops = (Loop(1, 1, 1),) * (LOOPS - len(loops)) + loops
    assert len(loops) == LOOPS
    return KernelCall(
        header="copy.h",
        kernel="aot_copy",
        struct_name="aot_copy",
        description=struct(
            size=tuple(loop.size for loop in loops),
            read_step=tuple(loop.read_step for loop in loops),
            write_step=tuple(loop.write_step for loop in loops),
            read_start=block.read_start,
            write_start=block.write_start,
        ),
        inputs=(source,),
        output=target,
    )
