# SPDX-License-Identifier: Apache-2.0
"""Turns buffers with lifetimes into offsets within one static arena, and checks such a plan by other means.

A network without branches meets its lower bound with buffers at both ends of the arena in turn. Otherwise
placing is greedy: buffers in some order, each into the smallest gap that its lifetime leaves. Several orders
are tried, then the best is improved by moving a buffer at the top of the arena forward in the order. Where a
layer's output may overlap its dying input (`overlap`), greedy placing looks at the places that this allows,
too. `verify_plan` shares no code with the placement and runs on every compile.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from mcu_ser.aot.lifetimes import Buffer
from mcu_ser.aot.overlap import Overlaps
from mcu_ser.errors import ModelError

# Kernels may read four int8 at once; the arena itself is aligned to ARENA_ALIGNMENT.
BUFFER_ALIGNMENT = 4
ARENA_ALIGNMENT = 16

# Improvement steps are quadratic in the number of buffers; this keeps the largest models within a second.
_IMPROVEMENT_BUDGET = 2_000_000
_MAX_IMPROVEMENT_STEPS = 400


@dataclass(frozen=True)
class Plan:
    """Where each buffer lies.

    `offsets`: tensor index of a buffer -> bytes from the start of the arena. `lower_bound` is what the
    buffers alive at the worst layer need, overlapping as far as they may; no plan can be smaller.
    """

    offsets: Mapping[int, int]
    bytes: int
    lower_bound: int


def plan_arena(buffers: Sequence[Buffer], overlaps: Overlaps = MappingProxyType({})) -> Plan:
    """Place all buffers, of which some may overlap; the same buffers always give the same plan."""
    bound = lower_bound(buffers)
    plan = _place_at_both_ends(buffers, bound) or _plan_greedily(buffers, bound, _place)
    if overlaps:
        bound = lower_bound(buffers, overlaps)
        found = _plan_greedily(buffers, bound, _Overlapping(buffers, overlaps).place)
        plan = found if found.bytes < plan.bytes else plan
    return Plan(plan.offsets, plan.bytes, bound)


def live_bytes(buffers: Sequence[Buffer], layer: int, overlaps: Overlaps = MappingProxyType({})) -> int:
    """Bytes of all buffers that are alive at a layer, which is its place in the order of execution."""
    alive = {b.tensor: _padded(b) for b in buffers if b.first <= layer <= b.last}
    saved = sum(
        alive[source] + alive[output] - overlap.least_bytes(alive[source], alive[output])
        for (source, output), overlap in overlaps.items()
        if source in alive and output in alive
    )
    return sum(alive.values()) - saved


def lower_bound(buffers: Sequence[Buffer], overlaps: Overlaps = MappingProxyType({})) -> int:
    """Most bytes alive at any one layer."""
    return max((live_bytes(buffers, b.first, overlaps) for b in buffers), default=0)


def verify_plan(buffers: Sequence[Buffer], plan: Plan, overlaps: Overlaps = MappingProxyType({})) -> None:
    """Check that every buffer is inside the arena, aligned, and apart from all that live at the same time.

    Raises:
        ModelError: The plan is wrong. That is a defect of the planner, not of the model.
    """
    for buffer in buffers:
        offset = plan.offsets.get(buffer.tensor)
        if offset is None:
            raise _wrong(f"tensor {buffer.tensor} has no place")
        if offset % BUFFER_ALIGNMENT:
            raise _wrong(f"tensor {buffer.tensor} is at {offset}, which is not aligned")
        if offset < 0 or offset + buffer.bytes > plan.bytes:
            raise _wrong(
                f"tensor {buffer.tensor} is at {offset} .. {offset + buffer.bytes}, outside of {plan.bytes} B"
            )
    # Two buffers that are ever alive together are so when the later one of them comes to life.
    for moment in {buffer.first for buffer in buffers}:
        alive = [b for b in buffers if b.first <= moment <= b.last]
        alive.sort(key=lambda b: plan.offsets[b.tensor])
        for below, above in itertools.combinations(alive, 2):
            if plan.offsets[below.tensor] + below.bytes <= plan.offsets[above.tensor]:
                continue
            if not (_may_lie(below, above, plan, overlaps) or _may_lie(above, below, plan, overlaps)):
                raise _wrong(f"tensors {below.tensor} and {above.tensor} overlap at layer {moment}")


def _may_lie(source: Buffer, output: Buffer, plan: Plan, overlaps: Overlaps) -> bool:
    overlap = overlaps.get((source.tensor, output.tensor))
    return (
        overlap is not None
        and source.last == output.first
        and overlap.allows(plan.offsets[source.tensor] - plan.offsets[output.tensor])
    )


def _wrong(problem: str) -> ModelError:
    return ModelError("arena plan", problem, hint="report this model as a defect of mcu-ser")


def padded_bytes(count: int) -> int:
    """Bytes that a buffer of `count` bytes takes in the arena."""
    return -(-count // BUFFER_ALIGNMENT) * BUFFER_ALIGNMENT


def _padded(buffer: Buffer) -> int:
    return padded_bytes(buffer.bytes)


def _orders(buffers: Sequence[Buffer]) -> list[list[Buffer]]:
    def size(b: Buffer) -> tuple[int, ...]:
        return (-b.bytes, b.first, b.tensor)

    def area(b: Buffer) -> tuple[int, ...]:
        return (-b.bytes * (b.last - b.first + 1), b.first, b.tensor)

    def lifetime(b: Buffer) -> tuple[int, ...]:
        return (b.first - b.last, -b.bytes, b.first, b.tensor)

    def birth(b: Buffer) -> tuple[int, ...]:
        return (b.first, -b.bytes, b.tensor)

    return [sorted(buffers, key=key) for key in (size, area, lifetime, birth)]


def _occupied(buffer: Buffer, placed: Sequence[Buffer], offsets: Mapping[int, int]) -> list[tuple[int, int]]:
    """Start and end of every placed buffer that is alive together with this one, from the bottom up."""
    return sorted(
        (offsets[other.tensor], offsets[other.tensor] + _padded(other))
        for other in placed
        if other.first <= buffer.last and buffer.first <= other.last
    )


def _place_at_both_ends(buffers: Sequence[Buffer], capacity: int) -> Plan | None:
    """Place buffers by birth, below and above what is alive in turn; None if one does not fit.

    Scratch, which dies with its layer, goes between input and output and does not count as a turn.
    """
    offsets: dict[int, int] = {}
    placed: list[Buffer] = []
    place = -1
    for buffer in sorted(buffers, key=lambda b: (b.first, b.is_scratch, b.tensor)):
        place += not buffer.is_scratch
        size = _padded(buffer)
        gaps = [
            (start, end)
            for start, end in _gaps(_occupied(buffer, placed, offsets), capacity)
            if end - start >= size
        ]
        if not gaps:
            return None
        offsets[buffer.tensor] = gaps[0][0] if place % 2 == 0 else gaps[-1][1] - size
        placed.append(buffer)
    return Plan(offsets, capacity, capacity)


def _place(order: Sequence[Buffer]) -> Plan:
    offsets: dict[int, int] = {}
    placed: list[Buffer] = []
    total = 0
    for buffer in order:
        occupied = _occupied(buffer, placed, offsets)
        offset = _best_gap(occupied, _padded(buffer))
        offsets[buffer.tensor] = offset
        placed.append(buffer)
        total = max(total, offset + _padded(buffer))
    return Plan(offsets, total, 0)


def _gaps(occupied: Sequence[tuple[int, int]], capacity: int) -> Iterator[tuple[int, int]]:
    """Start and end of what is free below `capacity`, from the bottom up."""
    end = 0
    for start, stop in occupied:
        if start > end:
            yield end, start
        end = max(end, stop)
    if capacity > end:
        yield end, capacity


def _best_gap(occupied: Sequence[tuple[int, int]], size: int) -> int:
    """Offset of the smallest gap of at least `size` bytes, or else the end of all that is occupied."""
    top = max((stop for _, stop in occupied), default=0)
    fitting = [(end - start, start) for start, end in _gaps(occupied, top) if end - start >= size]
    return min(fitting)[1] if fitting else top


class _Overlapping:
    """Greedy placement with overlaps: each buffer where the arena grows least, at its lowest such place."""

    def __init__(self, buffers: Sequence[Buffer], overlaps: Overlaps) -> None:
        self._together = {
            b.tensor: [o for o in buffers if o is not b and o.first <= b.last and b.first <= o.last]
            for b in buffers
        }
        self._overlaps = overlaps

    def place(self, order: Sequence[Buffer]) -> Plan:
        """Place the buffers in this order."""
        starts: dict[int, int] = {}
        low = high = 0
        for buffer in order:
            size = _padded(buffer)
            others = [other for other in self._together[buffer.tensor] if other.tensor in starts]
            candidates = {low, high - size}
            for other in others:
                candidates.update(self._beside(buffer, other, starts[other.tensor]))
            growth = [
                (max(high, start + size) - min(low, start), start)
                for start in candidates
                if all(self._fits(buffer, start, other, starts[other.tensor]) for other in others)
            ]
            _, start = min(growth)
            starts[buffer.tensor] = start
            low, high = min(low, start), max(high, start + size)
        # Placing may go below where it began.
        return Plan({tensor: start - low for tensor, start in starts.items()}, high - low, 0)

    def _beside(self, buffer: Buffer, other: Buffer, at: int) -> Iterator[int]:
        """Starts that touch another buffer, or overlap it as far as they may."""
        yield at + _padded(other)
        yield at - _padded(buffer)
        for pair, sign in (((other.tensor, buffer.tensor), -1), ((buffer.tensor, other.tensor), 1)):
            overlap = self._overlaps.get(pair)
            if overlap is not None:
                distances = {padded_bytes(max(overlap.behind, 0)), overlap.exactly}
                yield from (at + sign * distance for distance in distances if distance is not None)

    def _fits(self, buffer: Buffer, start: int, other: Buffer, at: int) -> bool:
        if start >= at + _padded(other) or start + _padded(buffer) <= at:
            return True
        over = self._overlaps.get((other.tensor, buffer.tensor))
        under = self._overlaps.get((buffer.tensor, other.tensor))
        return (over is not None and over.allows(at - start)) or (
            under is not None and under.allows(start - at)
        )


def _plan_greedily(buffers: Sequence[Buffer], bound: int, place: Callable[[Sequence[Buffer]], Plan]) -> Plan:
    """The best of several orders, improved as long as it is worth it."""
    best, best_order = min(
        ((place(order), order) for order in _orders(buffers)), key=lambda placed: placed[0].bytes
    )
    steps = min(_MAX_IMPROVEMENT_STEPS, _IMPROVEMENT_BUDGET // max(1, len(buffers)) ** 2)
    if best.bytes > bound and steps:
        best = _improve(best, best_order, bound, steps, place)
    return best


def _improve(
    best: Plan, order: list[Buffer], bound: int, steps: int, place: Callable[[Sequence[Buffer]], Plan]
) -> Plan:
    # The seed makes the walk, and so the generated code, the same on every run.
    rng = random.Random(0)
    current = list(order)
    for _ in range(steps):
        candidate = list(current)
        top = [i for i, b in enumerate(candidate) if best.offsets[b.tensor] + _padded(b) == best.bytes]
        chosen = rng.choice(top)
        if chosen == 0:
            chosen = rng.randrange(len(candidate))
        candidate.insert(rng.randrange(chosen + 1), candidate.pop(chosen))
        plan = place(candidate)
        if plan.bytes <= best.bytes:
            best, current = plan, candidate
        if best.bytes == bound:
            break
    return best
