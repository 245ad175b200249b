# SPDX-License-Identifier: Apache-2.0
"""Turns a graph into the buffers of the arena and the layers during which each must keep its content.

A buffer is one computed tensor together with the tensors that alias it (`passes.find_aliases`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mcu_ser.aot.ir import Graph


@dataclass(frozen=True)
class Buffer:
    """Bytes that must not be overwritten from layer `first` to layer `last`, both included.

    These are places in the order in which the layers run, which need not be that of their indices. `tensor`
    is the index of the tensor that the buffer was made for, or `scratch_index` of a layer for what only its
    kernel uses. The model's input lives from layer -1, its output to the number of layers.
    """

    tensor: int
    bytes: int
    first: int
    last: int

    @property
    def is_scratch(self) -> bool:
        return self.tensor < 0


def scratch_index(layer: int) -> int:
    """Stands for the tensor index of the scratch of the layer with this index; apart from all tensors."""
    return -1 - layer


def find_buffers(
    graph: Graph, aliases: Mapping[int, int], scratch_bytes: Mapping[int, int] | None = None
) -> tuple[Buffer, ...]:
    """The buffers of a graph, in the order in which they come to life.

    Args:
        graph: The model.
        aliases: Tensor index -> index of the tensor whose buffer it uses.
        scratch_bytes: Index of a layer -> bytes that its kernel needs while it runs, where it needs any.
    """

    def buffer_of(tensor: int) -> int:
        return aliases.get(tensor, tensor)

    first = {buffer_of(index): -1 for index in graph.inputs}
    last: dict[int, int] = {}
    places = {}
    for place, operator in enumerate(graph.operators):
        places[operator.index] = place
        for index in operator.outputs:
            first.setdefault(buffer_of(index), place)
        for index in (*operator.inputs, *operator.outputs):
            if index >= 0 and graph.tensors[index].data is None:
                last[buffer_of(index)] = place
    for index in graph.outputs:
        last[buffer_of(index)] = len(graph.operators)
    # An input that nothing reads still has to be written to somewhere.
    tensors = [
        Buffer(index, graph.tensors[index].bytes, start, last.get(index, start))
        for index, start in sorted(first.items(), key=lambda item: (item[1], item[0]))
    ]
    scratch = [
        Buffer(scratch_index(index), count, places[index], places[index])
        for index, count in (scratch_bytes or {}).items()
        if count
    ]
    return tuple(sorted([*tensors, *scratch], key=lambda b: (b.first, b.is_scratch)))
