# SPDX-License-Identifier: Apache-2.0
"""As `plain_layers`, for layers of 16-bit activations: plain models, and ones that break rules."""

import numpy as np

from tests.plain_layers import STRIDES, bias, layer, weights
from tests.plain_moves import numbers


def wide(opcode, *, x=None, y=None, constants=(), **changes):
    """A model of one layer whose input and output are INT16."""
    both = {"dtype": "INT16", "scale": 1.0}
    return layer(opcode, x=both | (x or {}), y=both | (y or {}), constants=constants, **changes)


def conv(opcode="CONV_2D", **changes):
    shape = (2, 1, 1, 2) if opcode == "CONV_2D" else (1, 1, 1, 2)
    options = STRIDES | ({} if opcode == "CONV_2D" else {"DepthMultiplier": 1})
    image = {"shape": (1, 3, 3, 2)}
    return wide(
        opcode,
        x=image | changes.get("x", {}),
        y=image | changes.get("y", {}),
        constants=changes.get("constants", [weights(shape), bias(2, dtype="INT64")]),
        options=options | changes.get("options", {}),
    )


def pool(opcode="MAX_POOL_2D", **changes):
    options = STRIDES | {"FilterHeight": 1, "FilterWidth": 1} | changes.get("options", {})
    image = {"shape": (1, 2, 2, 3)}
    return wide(opcode, x=image | changes.get("x", {}), y=image | changes.get("y", {}), options=options)


def add(**changes):
    second = {"shape": (1, 4), "dtype": "INT16", "scale": 1.0, "data": np.ones(4)}
    return wide("ADD", constants=[second], **changes)


def softmax(*, x=None, y=None, beta=1.0):
    return wide("SOFTMAX", x=x, y={"scale": 1 / 32768} | (y or {}), options={"Beta": beta})


VALID = {
    "ADD": add(),
    "AVERAGE_POOL_2D": pool("AVERAGE_POOL_2D"),
    "CONV_2D": conv(),
    "DEPTHWISE_CONV_2D": conv("DEPTHWISE_CONV_2D"),
    "FULLY_CONNECTED": wide("FULLY_CONNECTED", y={"shape": (1, 3)}, constants=[weights((3, 4))]),
    "MAX_POOL_2D": pool(),
    "MEAN": wide("MEAN", y={"shape": (1, 1)}, constants=[numbers([1])]),
    "RESHAPE": wide("RESHAPE", y={"shape": (1, 2, 2)}),
    "SOFTMAX": softmax(),
}

_SYMMETRIC = "input and output must each have one scale above 0 and zero point 0"

BROKEN = {
    "an operator for 8 bits alone": (
        wide("TANH"),
        "the engine has it for INT8 activations alone; for INT16 it has "
        "ADD, AVERAGE_POOL_2D, CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED, MAX_POOL_2D, MEAN, RESHAPE, "
        "SOFTMAX",
    ),
    "8 bits to 16": (
        wide("RESHAPE", x={"dtype": "INT8"}),
        "input and output must be INT16 (in is INT8)",
    ),
    "16 bits with a zero point": (
        wide("ADD", x={"zero_point": 1}, inputs=[0, 0]),
        f"{_SYMMETRIC} (in has scale 1, zero point 1)",
    ),
    "16 bits without scale": (
        wide("ADD", y={"scale": None}, inputs=[0, 0]),
        f"{_SYMMETRIC} (out has none)",
    ),
    "16 bits with several scales": (
        wide("ADD", y={"scale": [1.0, 2.0]}, inputs=[0, 0]),
        f"{_SYMMETRIC} (out has 2 scales)",
    ),
    "16 bits with a bias of 32": (
        conv(constants=[weights((2, 1, 1, 2)), bias(2, name="b")]),
        "weights must be INT8 and biases INT64 (b is INT32)",
    ),
    "16 bits added up in 32": (
        conv(constants=[weights((2, 1, 1, 2))], options={"QuantizedBiasType": 2}),
        "a layer without bias must not ask for sums in INT32 (its bias type is INT32)",
    ),
    "a large depthwise window": (
        conv(
            "DEPTHWISE_CONV_2D",
            x={"shape": (1, 1, 600, 2)},
            y={"shape": (1, 1, 600, 2)},
            constants=[weights((1, 1, 509, 2)), bias(2, dtype="INT64")],
        ),
        "the window must have at most 508 taps (it has 509)",
    ),
    "a sum of 48 bits": (
        conv(
            constants=[weights((2, 1, 1, 2)), bias(2, dtype="INT64", data=[0, 1 << 47])], y={"scale": 2.0**40}
        ),
        "no INT16 input may make a sum of 2^47 or one that leaves int32 when rescaled, by 2^7 at most "
        "(channel 1 reaches 140737488289792 .. 140737488420862 with shift 0)",
    ),
    "a sum that leaves int32": (
        conv(constants=[weights((2, 1, 1, 2)), bias(2, dtype="INT64", data=[0, 1 << 33])]),
        "no INT16 input may make a sum of 2^47 or one that leaves int32 when rescaled, by 2^7 at most "
        "(channel 1 reaches 8589869056 .. 8590000126 with shift 0)",
    ),
    "a sum that is scaled up": (
        conv(y={"scale": 2.0**-8}),
        "no INT16 input may make a sum of 2^47 or one that leaves int32 when rescaled, by 2^7 at most "
        "(channel 0 reaches -65535 .. 65535 with shift 8)",
    ),
    "an addition of 16 bits that scales up": (
        add(y={"scale": 2.0**-15}),
        "the output scale must be above 2^-14 of the larger input scale (output scale 3.05176e-05)",
    ),
    "a mean of 16 bits that overflows": (
        wide("MEAN", x={"shape": (1, 1 << 16)}, y={"shape": (1, 1)}, constants=[numbers([1])]),
        "no INT16 input may overflow the int32 sum or its rescaling (65536 elements with shift -15)",
    ),
    "a pool of 16 bits that overflows": (
        pool(
            x={"shape": (1, 256, 256, 1)},
            y={"shape": (1, 1, 1, 1)},
            options={"FilterHeight": 256, "FilterWidth": 256, "Padding": 1},
        ),
        "the window must have at most 65535 elements (it has 65536)",
    ),
    "a softmax of 16 bits to another scale": (
        softmax(y={"scale": 1 / 65536}),
        "the output must have scale 1/32768 (scale 1.52588e-05)",
    ),
    "a softmax of 16 bits and many classes": (
        softmax(x={"shape": (1, 32769)}, y={"shape": (1, 32769)}),
        "the last dimension must be at most 32768 (it is 32769)",
    ),
    "a softmax of 16 bits and a huge scale": (
        softmax(x={"scale": 6.0}),
        "beta * input scale must be at least 0 and so that no difference of INT16 inputs overflows (it is 6)",
    ),
    "a softmax of 16 bits upside down": (
        softmax(beta=-1.0),
        "beta * input scale must be at least 0 and so that no difference of INT16 inputs overflows "
        "(beta is -1)",
    ),
}
