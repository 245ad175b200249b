# SPDX-License-Identifier: Apache-2.0
"""As `plain_layers`, for operators that move elements: plain models, and models that break rules."""

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


VALID = {
    "CONCATENATION": joined(),
    "PACK": joined("PACK"),
    "SPLIT": divided(),
    "SPLIT_V": divided("SPLIT_V", parts=((1, 1), (1, 3)), sizes=(1, -1)),
    "UNPACK": unpacked(),
}

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
}
