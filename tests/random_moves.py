# SPDX-License-Identifier: Apache-2.0
"""As `random_layers`, for operators that move or reduce elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
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


def _quantised(d: Drawer) -> dict[str, Any]:
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


def _reshaped(d: Drawer, shape: tuple[int, ...], like: dict[str, Any], source: int | None = None) -> int:
    """A tensor of any shape, batch or not, made from a flat input, and a flat output made from it."""
    flat = (1, int(np.prod(shape)))
    x = d.model.tensor(flat, **like) if source is None else source
    y = d.model.tensor(shape if source is None else flat, **like)
    target = shape if source is None else flat
    d.model.operator("RESHAPE", [x, d.model.tensor((len(target),), "INT32", data=target)], [y])
    return y


def _free(
    shape: tuple[int, ...], output: tuple[int, ...], opcode: str, constants: list[Any], **options: Any
) -> Callable[[Drawer], bytes]:
    """Builds flat input, RESHAPE, the operator between any two shapes, RESHAPE."""

    def build(d: Drawer) -> bytes:
        like = _quantised(d)
        source = _reshaped(d, shape, like)
        numbers = [d.model.tensor((len(c),), "INT32", data=c) for c in constants]
        moved = d.model.tensor(output, **like)
        d.model.operator(opcode, [source, *numbers], [moved], **options)
        return d.model.build([0], [_reshaped(d, output, like, moved)])

    return build


def _any_shape(d: Drawer, most: int, largest: int) -> tuple[int, ...]:
    return tuple(d.draw(st.lists(st.integers(1, largest), min_size=1, max_size=most)))


def _slice(d: Drawer) -> bytes:
    shape = _any_shape(d, 5, 5)
    begins = [d.integer(0, size - 1) for size in shape]
    sizes = [d.integer(1, size - begin) for size, begin in zip(shape, begins, strict=True)]
    rest = [
        -1 if size == extent - begin and d.draw(st.booleans()) else size
        for extent, begin, size in zip(shape, begins, sizes, strict=True)
    ]
    return _free(shape, tuple(sizes), "SLICE", [begins, rest])(d)


def _strided_slice(d: Drawer) -> bytes:
    """Begins and ends anywhere, also far outside; numpy says what is left."""
    shape = _any_shape(d, 4, 6)
    masks = {"BeginMask": 0, "EndMask": 0, "ShrinkAxisMask": 0}
    begins, ends, steps, taken = [], [], [], []
    for axis, size in enumerate(shape):
        kind = d.draw(st.sampled_from(["slice", "slice", "slice", "index"]))
        begin, end = d.integer(-size, size - 1), d.integer(-size - 3, size + 3)
        step = d.draw(st.sampled_from([1, 1, 2, 3, -1, -2]))
        if kind == "index":
            step = abs(step)
            masks["ShrinkAxisMask"] |= 1 << axis
            taken.append(begin)
        else:
            open_begin, open_end = d.draw(st.booleans()), d.draw(st.booleans())
            if not range(size)[slice(None if open_begin else begin, None if open_end else end, step)]:
                open_begin, open_end = True, True
            masks["BeginMask"] |= open_begin << axis
            masks["EndMask"] |= open_end << axis
            taken.append(slice(None if open_begin else begin, None if open_end else end, step))
        begins.append(begin)
        ends.append(end)
        steps.append(step)
    if all(isinstance(index, int) for index in taken):
        masks["ShrinkAxisMask"] -= 1
        taken[0] = slice(None, None, steps[0])
        masks["BeginMask"] |= 1
        masks["EndMask"] |= 1
    output = np.empty(shape, np.int8)[tuple(taken)].shape
    return _free(shape, output, "STRIDED_SLICE", [begins, ends, steps], **masks)(d)


def _transpose(d: Drawer) -> bytes:
    shape = _any_shape(d, 5, 5)
    order = d.draw(st.permutations(range(len(shape))))
    return _free(shape, tuple(shape[axis] for axis in order), "TRANSPOSE", [order])(d)


def _reverse(d: Drawer) -> bytes:
    shape = _any_shape(d, 6, 4)
    first = d.integer(0, len(shape) - 1)
    axes = d.draw(st.permutations(range(first, d.integer(first, len(shape) - 1) + 1)))
    named = [axis if d.draw(st.booleans()) else axis - len(shape) for axis in axes]
    return _free(shape, shape, "REVERSE_V2", [named])(d)


def _expand_dims(d: Drawer) -> bytes:
    shape = _any_shape(d, 5, 4)
    axis = d.integer(-len(shape) - 1, len(shape))
    place = axis % (len(shape) + 1)
    return _free(shape, (*shape[:place], 1, *shape[place:]), "EXPAND_DIMS", [[axis]])(d)


def _squeeze(d: Drawer) -> bytes:
    shape = (*_any_shape(d, 5, 2), 2)
    ones = [axis for axis, size in enumerate(shape) if size == 1]
    named = d.draw(st.lists(st.sampled_from(ones), unique=True)) if ones else []
    output = tuple(s for axis, s in enumerate(shape) if axis not in (named or ones))
    axes = [axis if d.draw(st.booleans()) else axis - len(shape) for axis in named]
    return _free(shape, output, "SQUEEZE", [], SqueezeDims=axes)(d)


def _reduction(d: Drawer, opcode: str) -> bytes:
    shape = _shape(d, 2, 4, 6)
    axes = d.draw(st.lists(st.integers(-len(shape), len(shape) - 1), min_size=1, max_size=len(shape)))
    reduced = {axis % len(shape) for axis in axes}
    keep = d.draw(st.booleans())
    kept = tuple(1 if i in reduced else size for i, size in enumerate(shape))
    output = kept if keep else tuple(size for i, size in enumerate(shape) if i not in reduced) or (1,)
    like = _quantised(d)
    x = d.model.tensor(shape, **like)
    axis = d.model.tensor((len(axes),), "INT32", data=axes)
    if opcode == "SUM":
        count = int(np.prod([shape[i] for i in reduced]))
        spread = d.draw(st.sampled_from([1, 1, count, count**0.5, 1 / 300, 2.0**-10, 2.0**20]))
        like = {"scale": like["scale"] * float(np.float32(spread)), "zero_point": d.draw(ZERO_POINTS)}
    y = d.model.tensor((1, *output), **like)
    d.model.operator(opcode, [x, axis], [y], KeepDims=keep)
    return d.model.build([x], [y])


def _arg_max(d: Drawer) -> bytes:
    # The output of a model has a batch of 1, or one dimension.
    shape = (1, *_shape(d, 1, 3, 6))
    axis = d.integer(1, len(shape) - 1)
    if len(shape) == 2 and d.draw(st.booleans()):
        shape, axis = shape[::-1], 0
    output = (*shape[:axis], *shape[axis + 1 :])
    x = d.model.tensor(shape, **_quantised(d))
    given = axis if d.draw(st.booleans()) else axis - len(shape)
    place = d.model.tensor(d.draw(st.sampled_from([(), (1,)])), "INT32", data=[given])
    y = d.model.tensor(output, "INT32")
    d.model.operator("ARG_MAX", [x, place], [y], OutputType=2)
    return d.model.build([x], [y])


def _l2_normalization(d: Drawer) -> bytes:
    shape = _shape(d, 2, 4)
    if d.draw(st.booleans()):
        shape = (1, d.draw(st.sampled_from([1, 40, 600])))
    x = d.model.tensor(shape, **_quantised(d))
    y = d.model.tensor(shape, scale=1 / 128, zero_point=0)
    d.model.operator("L2_NORMALIZATION", [x], [y])
    return d.model.build([x], [y])


def _resize(d: Drawer) -> bytes:
    height, width, channels = d.integer(1, 9), d.integer(1, 9), d.integer(1, 5)
    kind = d.draw(st.sampled_from(["multiple", "any"]))
    size = (height * d.integer(1, 3), width * d.integer(1, 3))
    if kind == "any":
        size = (d.integer(1, 19), d.integer(1, 19))
    like = _quantised(d)
    x = d.model.tensor((1, height, width, channels), **like)
    y = d.model.tensor((1, *size, channels), **like)
    options = {"AlignCorners": d.draw(st.booleans()), "HalfPixelCenters": d.draw(st.booleans())}
    d.model.operator("RESIZE_NEAREST_NEIGHBOR", [x, d.model.tensor((2,), "INT32", data=size)], [y], **options)
    return d.model.build([x], [y])


MOVES: dict[str, SearchStrategy[LayerModel]] = {
    "ARG_MAX": layer_strategy(_arg_max),
    "CONCATENATION": layer_strategy(_concatenation),
    "EXPAND_DIMS": layer_strategy(_expand_dims),
    "L2_NORMALIZATION": layer_strategy(_l2_normalization),
    "PACK": layer_strategy(_pack),
    "REDUCE_MAX": layer_strategy(lambda d: _reduction(d, "REDUCE_MAX")),
    "RESIZE_NEAREST_NEIGHBOR": layer_strategy(_resize),
    "SLICE": layer_strategy(_slice),
    "SPLIT": layer_strategy(lambda d: _divided(d, "SPLIT")),
    "SPLIT_V": layer_strategy(lambda d: _divided(d, "SPLIT_V")),
    "SQUEEZE": layer_strategy(_squeeze),
    "STRIDED_SLICE": layer_strategy(_strided_slice),
    "SUM": layer_strategy(lambda d: _reduction(d, "SUM")),
    "REVERSE_V2": layer_strategy(_reverse),
    "TRANSPOSE": layer_strategy(_transpose),
    "UNPACK": layer_strategy(lambda d: _divided(d, "UNPACK")),
}
