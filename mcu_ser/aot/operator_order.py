# SPDX-License-Identifier: Apache-2.0
"""Finds an order of the operators in which fewer bytes are alive at once, where branches leave a choice.

What is alive depends on which operators have run, not on their order. So the search walks from one set of
them to the next, never comes back to a set, and lowers the limit to what it has found until no order stays
below. That is exact unless the graph has too many such sets; then it is the best that was found. The order of
the file stands where no other is better.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from mcu_ser.aot.arena import padded_bytes, plan_arena
from mcu_ser.aot.ir import Graph, verify_graph
from mcu_ser.aot.lifetimes import find_buffers

# Sets of operators to look at; a network without branches has as many as it has operators.
MAX_STATES = 4_000


@dataclass(frozen=True)
class Step:
    """One operator. `after` is the set of steps that must run before it, a bit mask as all sets are.

    `reads` and `writes` are sets of buffers; `scratch_bytes` only this step needs.
    """

    after: int
    reads: int
    writes: int
    scratch_bytes: int


@dataclass(frozen=True)
class Schedule:
    """Operators to be put in order, and the buffers that they work on.

    `sizes` are the bytes of the buffers; `given` ones are there before the first step, `wanted` ones must be
    there behind the last.
    """

    steps: tuple[Step, ...]
    sizes: tuple[int, ...]
    given: int
    wanted: int

    def bytes_of(self, buffers: int) -> int:
        """Bytes of a set of buffers."""
        return sum(size for bit, size in enumerate(self.sizes) if buffers >> bit & 1)

    def alive(self, done: int) -> int:
        """Buffers with content that is still needed when the steps of `done` have run."""
        written, needed = self.given, self.wanted
        for place, step in enumerate(self.steps):
            if done >> place & 1:
                written |= step.writes
            else:
                needed |= step.reads
        return written & needed

    def bytes_during(self, alive: int, place: int) -> int:
        """Bytes that a step needs with all that is alive before it."""
        step = self.steps[place]
        return self.bytes_of(alive | step.reads | step.writes) + step.scratch_bytes

    def peak_bytes(self, order: tuple[int, ...]) -> int:
        """Most bytes that are alive at once if the steps run in this order."""
        done, peak = 0, self.bytes_of(self.given)
        for place in order:
            peak = max(peak, self.bytes_during(self.alive(done), place))
            done |= 1 << place
        return peak


def in_best_order(graph: Graph, aliases: Mapping[int, int], scratch_bytes: Mapping[int, int]) -> Graph:
    """The graph with its operators in the order that needs the smallest arena; they keep their indices.

    Args:
        graph: The model.
        aliases: Tensor index -> index of the tensor whose buffer it uses.
        scratch_bytes: Operator index -> bytes that its kernel needs while it runs, where it needs any.
    """
    order = best_order(schedule_of(graph, aliases, scratch_bytes))
    if order == tuple(range(len(order))):
        return graph
    ordered = replace(graph, operators=tuple(graph.operators[place] for place in order))
    verify_graph(ordered)
    # What is alive at once is a lower bound; a plan may miss it.
    before, after = (plan_arena(find_buffers(g, aliases, scratch_bytes)).bytes for g in (graph, ordered))
    return ordered if after < before else graph


def best_order(schedule: Schedule, states: int = MAX_STATES) -> tuple[int, ...]:
    """The order with the least peak, found within so many states; that of the steps where none is better."""
    order = tuple(range(len(schedule.steps)))
    while len(order) > 1:
        found, states = _order_below(schedule, schedule.peak_bytes(order), states)
        if found is None:
            break
        order = found
    return order


def schedule_of(graph: Graph, aliases: Mapping[int, int], scratch_bytes: Mapping[int, int]) -> Schedule:
    """What the search needs to know of a graph; arguments as for `in_best_order`."""
    bits: dict[int, int] = {}
    producer: dict[int, int] = {}
    sizes: list[int] = []

    def buffers(tensors: tuple[int, ...]) -> int:
        found = 0
        for index in tensors:
            if index >= 0 and graph.tensors[index].data is None:
                buffer = aliases.get(index, index)
                if buffer not in bits:
                    bits[buffer] = len(sizes)
                    sizes.append(padded_bytes(graph.tensors[buffer].bytes))
                found |= 1 << bits[buffer]
        return found

    steps = []
    for place, operator in enumerate(graph.operators):
        after = sum({1 << producer[index] for index in operator.inputs if index in producer})
        producer |= dict.fromkeys(operator.outputs, place)
        scratch = padded_bytes(scratch_bytes.get(operator.index, 0))
        steps.append(Step(after, buffers(operator.inputs), buffers(operator.outputs), scratch))
    given, wanted = buffers(graph.inputs), buffers(graph.outputs)
    return Schedule(tuple(steps), tuple(sizes), given, wanted)


def _order_below(schedule: Schedule, limit: int, states: int) -> tuple[tuple[int, ...] | None, int]:
    """An order that needs fewer bytes than `limit`, None if none was found; and how many states are left."""
    everything = (1 << len(schedule.steps)) - 1
    seen = {0}
    path: list[tuple[int, int]] = []
    choices = [_choices(schedule, 0, limit)]
    while choices:
        done = path[-1][1] if path else 0
        if done == everything:
            return tuple(place for place, _ in path), states - len(seen)
        if not choices[-1]:
            choices.pop()
            if path:
                path.pop()
            continue
        place = choices[-1].pop()
        done |= 1 << place
        if done in seen:
            continue
        if len(seen) >= states:
            return None, 0
        seen.add(done)
        path.append((place, done))
        choices.append(_choices(schedule, done, limit))
    return None, states - len(seen)


def _choices(schedule: Schedule, done: int, limit: int) -> list[int]:
    """Steps that may come next below the limit; that which keeps the least alive is last."""
    alive = schedule.alive(done)
    ready = (
        place for place, step in enumerate(schedule.steps) if not done >> place & 1 and not step.after & ~done
    )
    fitting = [place for place in ready if schedule.bytes_during(alive, place) < limit]
    if len(fitting) < 2:
        return fitting
    return sorted(fitting, key=lambda p: (schedule.bytes_of(schedule.alive(done | 1 << p)), p), reverse=True)
