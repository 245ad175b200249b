# SPDX-License-Identifier: Apache-2.0
"""Models of one plain, supported layer, one function per operator; keyword arguments make them different.

`x` and `y` are changes to the tensors of input and output (arguments of `TfliteBuilder.tensor`), `options` to
the operator's options, `constants` replaces the constant operands, `inputs` the operands' indices.
"""

import numpy as np

from tests.tflite_builder import TfliteBuilder

STRIDES = {"StrideH": 1, "StrideW": 1}


def layer(opcode, *, x=None, y=None, constants=(), options=None, inputs=None, outputs=None):
    """A model of one layer; `x` and `y` are changes to the tensors of input and output."""
    model = TfliteBuilder()
    input_ = model.tensor(**{"shape": (1, 4), "scale": 1.0, "name": "in", **(x or {})})
    extra = [model.tensor(**constant) for constant in constants]
    output = model.tensor(**{"shape": (1, 4), "scale": 1.0, "name": "out", **(y or {})})
    operands = [input_, *extra] if inputs is None else inputs
    model.operator(opcode, operands, [output] if outputs is None else outputs, **(options or {}))
    return model.build([input_], [output])


def weights(shape, data=None, **changes):
    return {"shape": shape, "scale": 0.5, "data": np.ones(shape) if data is None else data, **changes}


def bias(count, **changes):
    return {"shape": (count,), "dtype": "INT32", "scale": 0.5, "data": np.ones(count), **changes}


def conv(opcode="CONV_2D", **changes):
    shape = (2, 1, 1, 2) if opcode == "CONV_2D" else (1, 1, 1, 2)
    options = STRIDES | ({} if opcode == "CONV_2D" else {"DepthMultiplier": 1})
    return layer(
        opcode,
        x={"shape": (1, 3, 3, 2), **changes.get("x", {})},
        y={"shape": (1, 3, 3, 2), **changes.get("y", {})},
        constants=changes.get("constants", [weights(shape), bias(2)]),
        options=options | changes.get("options", {}),
        inputs=changes.get("inputs"),
    )


def matrix(**changes):
    return layer(
        "FULLY_CONNECTED",
        x=changes.get("x"),
        y={"shape": (1, 3), **changes.get("y", {})},
        constants=changes.get("constants", [weights((3, 4)), bias(3)]),
        options=changes.get("options"),
        inputs=changes.get("inputs"),
    )


def pool(opcode="MAX_POOL_2D", **changes):
    options = STRIDES | {"FilterHeight": 1, "FilterWidth": 1} | changes.get("options", {})
    shape = {"shape": (1, 2, 2, 3)}
    return layer(opcode, x=shape | changes.get("x", {}), y=shape | changes.get("y", {}), options=options)


def add(opcode="ADD", **changes):
    second = {"shape": (1, 4), "scale": 1.0, "data": np.ones(4), **changes.get("second", {})}
    return layer(
        opcode,
        x=changes.get("x"),
        y=changes.get("y"),
        constants=[second],
        options=changes.get("options"),
        inputs=changes.get("inputs"),
    )


def mean(axes=(1,), **changes):
    data = {"shape": (len(axes),), "dtype": "INT32", "data": axes, **changes.get("axes", {})}
    return layer("MEAN", x=changes.get("x"), y={"shape": (1, 1), **changes.get("y", {})}, constants=[data])


def pad(paddings=((0, 0), (1, 2)), opcode="PAD", value=None, **changes):
    counts = np.asarray(paddings)
    constants = [{"shape": counts.shape, "dtype": "INT32", "data": counts, **changes.get("counts", {})}]
    if value is not None:
        constants.append({"shape": (1,), "scale": 1.0, "data": [7], **value})
    return layer(
        opcode,
        x=changes.get("x"),
        y={"shape": (1, 7), **changes.get("y", {})},
        constants=constants,
        inputs=changes.get("inputs"),
    )


def softmax(**changes):
    fixed = {"scale": 1 / 256, "zero_point": -128}
    options = {"Beta": 1.0} | changes.get("options", {})
    return layer("SOFTMAX", x=changes.get("x"), y=fixed | changes.get("y", {}), options=options)


def probability(opcode="LOGISTIC", **changes):
    return layer(opcode, x=changes.get("x"), y={"scale": 1 / 256, "zero_point": -128} | changes.get("y", {}))


VALID = {
    "ADD": add(),
    "AVERAGE_POOL_2D": pool("AVERAGE_POOL_2D"),
    "CONV_2D": conv(),
    "DEPTHWISE_CONV_2D": conv("DEPTHWISE_CONV_2D"),
    "FULLY_CONNECTED": matrix(),
    "HARD_SWISH": layer("HARD_SWISH"),
    "LEAKY_RELU": layer("LEAKY_RELU", options={"Alpha": 0.25}),
    "LOGISTIC": probability(),
    "MAXIMUM": add("MAXIMUM"),
    "MAX_POOL_2D": pool(),
    "MEAN": mean(),
    "MINIMUM": add("MINIMUM"),
    "MUL": add("MUL"),
    "PAD": pad(),
    "PADV2": pad(opcode="PADV2", value={}),
    "PRELU": add("PRELU"),
    "QUANTIZE": layer("QUANTIZE", y={"scale": 0.5}),
    "RELU": layer("RELU"),
    "RELU6": layer("RELU6"),
    "RESHAPE": layer("RESHAPE", y={"shape": (1, 2, 2)}),
    "SOFTMAX": softmax(),
    "SUB": add("SUB"),
    "TANH": layer("TANH", y={"scale": 1 / 128}),
}
