# SPDX-License-Identifier: Apache-2.0
"""As `random_layers`, for operators that move elements."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.random_layers import ZERO_POINTS, Drawer, LayerModel, layer_strategy


def _shape(d: Drawer, least: int, most: int, largest: int = 5) -> tuple[int, ...]:
    sizes = st.integers(1, largest)
    return (1, *d.draw(st.lists(sizes, min_size=least - 1, max_size=most - 1)))


def _axis(d: Drawer, rank: int) -> int:
    """Any axis but the batch, which the model's input and output have as 1, counted from either end."""
    axis = d.integer(1, rank - 1)
    return axis if d.draw(st.booleans()) else axis - rank


def _with(shape: tuple[int, ...], axis: int, length: int) -> tuple[int, ...]:
    changed = list(shape)
    changed[axis] = length
    return tuple(changed)


def _quantised(d: Drawer) -> dict[str, object]:
    return {"scale": d.scale(), "zero_point": d.draw(ZERO_POINTS)}


def _concatenation(d: Drawer) -> bytes:
    shape = _shape(d, 2, 5)
    axis = _axis(d, len(shape))
    like = _quantised(d)
    x = d.model.tensor(shape, **like)
    parts, length = [], 0
    for _ in range(d.integer(1, 4)):
        kind = d.draw(st.sampled_from(["input", "computed", "constant"]))
        other = _with(shape, axis, d.integer(1, 4)) if kind == "constant" else shape
        length += other[axis]
        if kind == "constant":
            parts.append(d.model.tensor(other, data=d.rng.integers(-128, 128, other), **like))
        elif kind == "computed":
            parts.append(d.model.tensor(other, **like))
            d.model.operator("RELU", [x], [parts[-1]])
        else:
            parts.append(x)
    if all(part != x for part in parts):
        parts.append(x)
        length += shape[axis]
    y = d.model.tensor(_with(shape, axis, length), **like)
    d.model.operator("CONCATENATION", parts, [y], Axis=axis)
    return d.model.build([x], [y])


def _pack(d: Drawer) -> bytes:
    shape = _shape(d, 1, 4)
    axis, like = _axis(d, len(shape) + 1), _quantised(d)
    x = d.model.tensor(shape, **like)
    constants = [
        d.model.tensor(shape, data=d.rng.integers(-128, 128, shape), **like) for _ in range(d.integer(0, 3))
    ]
    parts = d.draw(st.permutations([x, x, *constants]))
    place = axis % (len(shape) + 1)
    y = d.model.tensor((*shape[:place], len(parts), *shape[place:]), **like)
    d.model.operator("PACK", parts, [y], Axis=axis, ValuesCount=len(parts))
    return d.model.build([x], [y])


def _divided(d: Drawer, opcode: str) -> bytes:
    """The input, divided; the parts are packed again or one of them is the output."""
    count = d.integer(1, 4)
    shape = _shape(d, 2, 5)
    axis, like = _axis(d, len(shape)), _quantised(d)
    even = d.integer(1, 3)
    lengths = [d.integer(1, 3) if opcode == "SPLIT_V" else even for _ in range(count)]
    if opcode == "UNPACK":
        lengths = [1] * count
    shape = _with(shape, axis, sum(lengths))
    x = d.model.tensor(shape, **like)
    place = d.model.tensor((1,), "INT32", data=[axis])
    operands = {
        "SPLIT": [place, x],
        "SPLIT_V": [x, d.model.tensor((count,), "INT32", data=lengths), place],
        "UNPACK": [x],
    }
    shapes = [_with(shape, axis, length) for length in lengths]
    if opcode == "UNPACK":
        rank = len(shape)
        shapes = [tuple(size for i, size in enumerate(s) if i != axis % rank) for s in shapes]
    parts = [d.model.tensor(s, **like) for s in shapes]
    options = {"Axis": axis, "Num": count} if opcode == "UNPACK" else {"NumSplits": count}
    d.model.operator(opcode, operands[opcode], parts, **options)
    order = d.draw(st.permutations(range(count)))
    if opcode == "UNPACK" or d.draw(st.booleans()):
        return d.model.build([x], [parts[order[0]]])
    y = d.model.tensor(shape, **like)
    d.model.operator("CONCATENATION", [parts[i] for i in order], [y], Axis=axis)
    return d.model.build([x], [y])


MOVES: dict[str, SearchStrategy[LayerModel]] = {
    "CONCATENATION": layer_strategy(_concatenation),
    "PACK": layer_strategy(_pack),
    "SPLIT": layer_strategy(lambda d: _divided(d, "SPLIT")),
    "SPLIT_V": layer_strategy(lambda d: _divided(d, "SPLIT_V")),
    "UNPACK": layer_strategy(lambda d: _divided(d, "UNPACK")),
}
