# SPDX-License-Identifier: Apache-2.0
"""As `plain_layers`, for operators that move or reduce elements: plain models, and ones that break rules."""

import numpy as np

from tests.plain_layers import layer
from tests.tflite_builder import TfliteBuilder


def numbers(values, **changes):
    """A constant INT32 operand."""
    return {"shape": (len(values),), "dtype": "INT32", "data": values, "name": "numbers", **changes}


def joined(opcode="CONCATENATION", *, part=None, y=None, options=None, inputs=(0, 1)):
    """The input and a constant of its shape, put together."""
    shape = {"CONCATENATION": (1, 8), "PACK": (1, 2, 4)}[opcode]
    return layer(
        opcode,
        y={"shape": shape, **(y or {})},
        constants=[{"shape": (1, 4), "scale": 1.0, "data": np.ones((1, 4)), "name": "part", **(part or {})}],
        options={"Axis": 1} | ({"ValuesCount": 2} if opcode == "PACK" else {}) | (options or {}),
        inputs=list(inputs),
    )


def divided(opcode="SPLIT", *, x=(1, 4), parts=((1, 2), (1, 2)), axis=(1,), sizes=(2, 2), **options):
    """The input, divided; the model's output is the last part."""
    model = TfliteBuilder()
    source = model.tensor(x, scale=1.0, name="in")
    operands = [source]
    if opcode != "UNPACK":
        place = model.tensor((len(axis),), "INT32", data=axis)
        operands = [place, source] if opcode == "SPLIT" else [source, model.tensor(**numbers(sizes)), place]
    results = [model.tensor(shape, scale=1.0, name="out") for shape in parts]
    model.operator(opcode, operands, results, **options)
    return model.build([source], [results[-1]])


def unpacked(**changes):
    plain = {"x": (1, 2, 4), "parts": ((1, 4), (1, 4)), "Axis": 1, "Num": 2}
    return divided("UNPACK", **(plain | changes))


def sliced(*, begin=(0, 1), size=(1, 2), y=(1, 2), x=(1, 4), **changes):
    return layer(
        "SLICE",
        x={"shape": x},
        y={"shape": y},
        constants=[numbers(begin, **changes.get("begins", {})), numbers(size)],
    )


def strided(*, begin=(0, 3), end=(1, 0), stride=(1, -2), y=(1, 2), x=(1, 4), **options):
    constants = [numbers(begin), numbers(end), numbers(stride)]
    return layer("STRIDED_SLICE", x={"shape": x}, y={"shape": y}, constants=constants, options=options)


def transposed(permutation=(0, 2, 1), x=(1, 2, 3), y=(1, 3, 2)):
    return layer("TRANSPOSE", x={"shape": x}, y={"shape": y}, constants=[numbers(permutation)])


def expanded(axis=(1,), y=(1, 1, 4)):
    return layer("EXPAND_DIMS", y={"shape": y}, constants=[numbers(axis)])


def squeezed(y=(1, 4), x=(1, 1, 4), axes=(1,)):
    return layer("SQUEEZE", x={"shape": x}, y={"shape": y}, options={"SqueezeDims": axes})


def reduced(opcode, *, y=None, axes=(1,)):
    return layer(opcode, y={"shape": (1, 1), **(y or {})}, constants=[numbers(axes)])


def normalised(**changes):
    return layer("L2_NORMALIZATION", **({"y": {"scale": 1 / 128}} | changes))


def largest(*, x=(1, 4), y=(1,), axes=(1,)):
    """Where the largest element is."""
    model = TfliteBuilder()
    data = model.tensor(x, scale=1.0)
    axis = model.tensor((len(axes),), "INT32", data=axes)
    place = model.tensor(y, "INT32", name="out")
    model.operator("ARG_MAX", [data, axis], [place], OutputType=2)
    return model.build([data], [place])


def beside_arg_max(dtype="INT32"):
    """A model whose output does not need the layer that is refused."""
    model = TfliteBuilder()
    x, y = (model.tensor((1, 4), scale=1.0) for _ in range(2))
    place = model.tensor((1,), dtype, name="out")
    model.operator("ARG_MAX", [x, model.tensor((1,), "INT32", data=[1])], [place])
    model.operator("RELU", [x], [y])
    return model.build([x], [y])


def resized(size=(4, 6), y=(1, 4, 6, 3)):
    return layer(
        "RESIZE_NEAREST_NEIGHBOR",
        x={"shape": (1, 2, 3, 3)},
        y={"shape": y},
        constants=[numbers(size)],
        options={"AlignCorners": False},
    )


_SIZE = "the size must be height and width of the output, and the channels must stay"

VALID = {
    "ARG_MAX": largest(),
    "L2_NORMALIZATION": normalised(),
    "REDUCE_MAX": reduced("REDUCE_MAX"),
    "RESIZE_NEAREST_NEIGHBOR": resized(),
    "SUM": reduced("SUM"),
    "EXPAND_DIMS": expanded(),
    "SLICE": sliced(),
    "SQUEEZE": squeezed(),
    "STRIDED_SLICE": strided(),
    "TRANSPOSE": transposed(),
    "CONCATENATION": joined(),
    "PACK": joined("PACK"),
    "SPLIT": divided(),
    "SPLIT_V": divided("SPLIT_V", parts=((1, 1), (1, 3)), sizes=(1, -1)),
    "UNPACK": unpacked(),
}

_INSIDE = "the slice must lie inside of the input and have the output's shape"
_FILLED = "the parts must have the whole tensor's shape but along the axis, which they fill"

BROKEN = {
    "a split into 65 parts": (
        divided(x=(1, 65), parts=((1, 1),) * 65),
        "its operands must be those that TensorFlow Lite defines (2 inputs, 65 outputs)",
    ),
    "eleven joined tensors": (
        joined(y={"shape": (1, 44)}, inputs=(0,) * 11),
        "its operands must be those that TensorFlow Lite defines (11 inputs, 1 outputs)",
    ),
    "an axis of a concatenation beyond the output": (
        joined(options={"Axis": 2}),
        "the axis must be one dimension of the whole tensor (axis 2 of 2 dimensions)",
    ),
    "a split along two axes": (
        divided(axis=(0, 1)),
        "the axis must be one dimension of the whole tensor (2 axes)",
    ),
    "an unpacking beyond the input": (
        unpacked(Axis=-4),
        "the axis must be one dimension of the whole tensor (axis -4 of 3 dimensions)",
    ),
    "a concatenation of another width": (
        joined(part={"shape": (2, 4), "data": np.ones((2, 4))}),
        f"{_FILLED} (2x4 of 1x8 along axis 1)",
    ),
    "a concatenation of another rank": (
        joined(part={"shape": (1, 4, 1)}),
        f"{_FILLED} (1x4x1 of 1x8 along axis 1)",
    ),
    "a concatenation that does not fill its output": (
        joined(y={"shape": (1, 9)}),
        f"{_FILLED} (8 of 9)",
    ),
    "a pack of another shape": (
        joined("PACK", part={"shape": (1, 3), "data": np.ones(3)}),
        f"{_FILLED} (1x3 of 1x2x4 along axis 1)",
    ),
    "a split that leaves a rest": (
        divided(parts=((1, 1), (1, 2))),
        f"{_FILLED} (3 of 4)",
    ),
    "an uneven split": (
        divided(parts=((1, 1), (1, 3))),
        "the parts must be equally long (1 and 3)",
    ),
    "a pack that counts wrong": (
        joined("PACK", options={"ValuesCount": 3}),
        "the count of parts in the options must be that of the tensors (3 and 2)",
    ),
    "an unpacking that counts wrong": (
        unpacked(Num=1),
        "the count of parts in the options must be that of the tensors (1 and 2)",
    ),
    "sizes of other parts": (
        divided("SPLIT_V", sizes=(1, 3)),
        "the sizes must be those of the parts, or -1 ([1, 3] for [2, 2])",
    ),
    "sizes of more parts": (
        divided("SPLIT_V", sizes=(2, 1, 1)),
        "the sizes must be those of the parts, or -1 ([2, 1, 1] for [2, 2])",
    ),
    "a concatenation of another scale": (
        joined(part={"scale": 0.5}),
        "all inputs must have the scale and zero point of the output (scales 0.5 and 1)",
    ),
    "a concatenation of another zero point": (
        joined(part={"zero_point": 1}),
        "all inputs must have the scale and zero point of the output (zero points 1 and 0)",
    ),
    "a concatenation of seven dimensions": (
        layer(
            "CONCATENATION",
            x={"shape": (1,) * 7},
            y={"shape": (1,) * 6 + (2,)},
            options={"Axis": -1},
            inputs=[0, 0],
        ),
        "the output must have at most 6 dimensions (it has 7)",
    ),
    "a concatenation with an activation": (
        joined(options={"FusedActivationFunction": 1}),
        "no activation may be fused (RELU)",
    ),
    "a slice of six dimensions": (
        sliced(begin=(0,) * 6, size=(1,) * 6, x=(1,) * 6, y=(1,) * 6),
        "the input must have at most 5 dimensions, at most 4 for a STRIDED_SLICE (it has 6)",
    ),
    "a strided slice of five dimensions": (
        strided(begin=(0,) * 5, end=(1,) * 5, stride=(1,) * 5, x=(1,) * 5, y=(1,) * 5),
        "the input must have at most 5 dimensions, at most 4 for a STRIDED_SLICE (it has 5)",
    ),
    "a slice that begins in one dimension": (
        sliced(begin=(1,)),
        "begins, ends, sizes, strides and permutations must be one number per dimension of the input "
        "(numbers is 1, not 2)",
    ),
    "a slice with 64-bit begins": (
        sliced(begins={"dtype": "INT64"}),
        "weights and pad values must be INT8, other parameters INT32 (numbers is INT64)",
    ),
    "a slice beyond the input": (
        sliced(begin=(0, 3)),
        f"{_INSIDE} (2 from 3 on in dimension 1 of 4)",
    ),
    "a slice before the input": (
        sliced(begin=(0, -1)),
        f"{_INSIDE} (2 from -1 on in dimension 1 of 4)",
    ),
    "a slice of nothing": (
        sliced(begin=(0, 4), size=(1, -1)),
        f"{_INSIDE} (0 from 4 on in dimension 1 of 4)",
    ),
    "a slice of another shape": (
        sliced(y=(1, 3)),
        f"{_INSIDE} (it is (1, 2), the output (1, 3))",
    ),
    "a stride of nothing": (
        strided(stride=(1, 0)),
        "strides must not be 0, and above 0 where a dimension is dropped (0 in dimension 1)",
    ),
    "a dimension that is dropped backwards": (
        strided(ShrinkAxisMask=2, y=(1,)),
        "strides must not be 0, and above 0 where a dimension is dropped (-2 in dimension 1)",
    ),
    "an ellipsis and a new axis": (
        strided(EllipsisMask=1, NewAxisMask=2),
        "there must be no ellipsis, no new axis, and no end that counts from the beginning "
        "(an ellipsis, a new axis)",
    ),
    "ends that count from the begins": (
        strided(Offset=True),
        "there must be no ellipsis, no new axis, and no end that counts from the beginning (an offset)",
    ),
    "a strided slice of nothing": (
        strided(end=(1, 3)),
        f"{_INSIDE}, dropped dimensions aside (0 from 3 on in dimension 1 of 4)",
    ),
    "a dropped dimension beyond the input": (
        strided(begin=(0, 4), stride=(1, 1), ShrinkAxisMask=2, y=(1,)),
        f"{_INSIDE}, dropped dimensions aside (1 from 4 on in dimension 1 of 4)",
    ),
    "a strided slice of another shape": (
        strided(y=(2,), ShrinkAxisMask=0),
        f"{_INSIDE}, dropped dimensions aside (it is (1, 2), the output (2,))",
    ),
    "a permutation of one dimension twice": (
        transposed((0, 1, 1)),
        "the permutation must name each dimension once and give the output's shape (it is (0, 1, 1))",
    ),
    "a permutation from the end": (
        transposed((0, 2, -2)),
        "the permutation must name each dimension once and give the output's shape (it is (0, 2, -2))",
    ),
    "a permutation to another shape": (
        transposed((0, 1, 2)),
        "the permutation must name each dimension once and give the output's shape "
        "(it gives (1, 2, 3), the output is (1, 3, 2))",
    ),
    "a squeeze of a dimension of 4": (
        squeezed(axes=(1, -1), y=(1,)),
        "the output must be the input without the dimensions of 1 that are named, or without all of them "
        "(1x1x4 without (1, 2) to 1)",
    ),
    "a squeeze of all that keeps some": (
        squeezed(axes=()),
        "the output must be the input without the dimensions of 1 that are named, or without all of them "
        "(1x1x4 without (0, 1) to 1x4)",
    ),
    "a squeeze of what is not there": (
        squeezed(axes=(3,)),
        "the output must be the input without the dimensions of 1 that are named, or without all of them "
        "(axes (3,) of 3 dimensions)",
    ),
    "an expansion elsewhere": (
        expanded(axis=(-1,)),
        "the output must be the input with a dimension of 1 at the axis (1x4 to 1x1x4 with axis -1)",
    ),
    "an expansion beyond the end": (
        expanded(axis=(3,)),
        "the output must be the input with a dimension of 1 at the axis (axis (3,) of 3 dimensions)",
    ),
    "a sum that overflows": (
        reduced("SUM", y={"scale": 2.0**-26}),
        "no int8 input may overflow the int32 sum or its rescaling (shift 27)",
    ),
    "a greatest element of another scale": (
        reduced("REDUCE_MAX", y={"scale": 0.5}),
        "all inputs must have the scale and zero point of the output (scales 1 and 0.5)",
    ),
    "an axis of a greatest element beyond the input": (
        reduced("REDUCE_MAX", axes=(2,)),
        "the axes must be dimensions of the input (axis 2 of 2 dimensions)",
    ),
    "a norm of five dimensions": (
        normalised(x={"shape": (1,) * 5}, y={"shape": (1,) * 5}),
        "there must be 1 to 4 dimensions, the last of at most 33025 (it has 5)",
    ),
    "a norm of too many elements": (
        normalised(x={"shape": (1, 33026)}, y={"shape": (1, 33026)}),
        "there must be 1 to 4 dimensions, the last of at most 33025 (it is 33026)",
    ),
    "a norm of another output": (
        normalised(y={"scale": 1 / 256}),
        "the norm's output must have scale 1/128 and zero point 0 (scale 0.00390625, zero point 0)",
    ),
    "a norm with an activation": (
        normalised(options={"FusedActivationFunction": 3}),
        "no activation may be fused (RELU6)",
    ),
    "a resizing to another size": (
        resized(size=(4, 5)),
        f"{_SIZE} (it is [4, 5] for 1x4x6x3)",
    ),
    "a resizing in three dimensions": (
        resized(size=(4, 6, 3)),
        f"{_SIZE} (it is [4, 6, 3] for 1x4x6x3)",
    ),
    "a resizing of the channels": (
        resized(y=(1, 4, 6, 2)),
        f"{_SIZE} (1x2x3x3 to 1x4x6x2)",
    ),
    "the place of the greatest element": (
        beside_arg_max(),
        "the output must be the model's output (it is not)",
    ),
    "indices of 64 bits": (
        beside_arg_max("INT64"),
        "the input must be INT8 and the output INT32 (they are INT8 and INT64)",
    ),
    "two axes of a largest element": (
        largest(axes=(0, 1)),
        "the axis must be one dimension of the input, which the output has no more (2 axes)",
    ),
    "an axis of a largest element beyond the input": (
        largest(axes=(2,)),
        "the axis must be one dimension of the input, which the output has no more (axis 2 of 2 dimensions)",
    ),
    "a largest element that keeps its axis": (
        largest(y=(1, 1)),
        "the axis must be one dimension of the input, which the output has no more "
        "(axis 1 of 1x4 and output 1x1)",
    ),
}
