# SPDX-License-Identifier: Apache-2.0
"""Models of one layer that the engine refuses, and the whole reason that the user reads."""

import numpy as np

from tests import plain_int16, plain_lstm, plain_moves, plain_products
from tests.plain_layers import (
    add,
    bias,
    conv,
    layer,
    matrix,
    mean,
    pad,
    pool,
    probability,
    softmax,
    weights,
)

# One per way to break a rule.
OTHERS = (
    plain_int16.BROKEN | plain_lstm.BROKEN | plain_lstm.REVERSALS | plain_moves.BROKEN | plain_products.BROKEN
)
BROKEN = OTHERS | {
    "two inputs for one": (
        layer("RELU", inputs=[0, 0]),
        "its operands must be those that TensorFlow Lite defines (2 inputs, 1 outputs)",
    ),
    "an absent input": (
        layer("RELU", inputs=[-1]),
        "its operands must be those that TensorFlow Lite defines (a tensor is not given)",
    ),
    "an absent bias of a depthwise convolution": (
        conv("DEPTHWISE_CONV_2D", inputs=[0, 1, -1]),
        "its operands must be those that TensorFlow Lite defines (a tensor is not given)",
    ),
    "an absent pad value": (
        pad(inputs=[0, 1, -1]),
        "its operands must be those that TensorFlow Lite defines (a tensor is not given)",
    ),
    "16-bit data": (
        add(second={"dtype": "INT16", "name": "wide"}),
        "input and output must be INT8 (wide is INT16)",
    ),
    "a constant input": (
        add(inputs=[1, 1]),
        "at least one input must be computed from the model's input (it is constant)",
    ),
    "16-bit weights": (
        matrix(constants=[weights((3, 4), dtype="INT16", name="w")]),
        "weights and pad values must be INT8, other parameters INT32 (w is INT16)",
    ),
    "a 64-bit bias": (
        conv(constants=[weights((2, 1, 1, 2)), bias(2, dtype="INT64", name="b")]),
        "weights and pad values must be INT8, other parameters INT32 (b is INT64)",
    ),
    "computed weights": (
        layer("FULLY_CONNECTED", y={"shape": (1, 1)}, inputs=[0, 0]),
        "weights and other parameters must be constants (in is computed)",
    ),
    "data without quantisation": (
        layer("RELU", y={"scale": None}),
        "input and output must each have one scale above 0 and one zero point of -128 .. 127 (out has none)",
    ),
    "data with a scale of 0": (
        layer("RELU", y={"scale": 0.0}),
        "input and output must each have one scale above 0 and one zero point of -128 .. 127 "
        "(out has scale 0, zero point 0)",
    ),
    "data with a scale that is no number": (
        layer("RELU", y={"scale": float("nan")}),
        "input and output must each have one scale above 0 and one zero point of -128 .. 127 "
        "(out has scale nan, zero point 0)",
    ),
    "data with a zero point outside of int8": (
        layer("RELU", y={"zero_point": 128}),
        "input and output must each have one scale above 0 and one zero point of -128 .. 127 "
        "(out has scale 1, zero point 128)",
    ),
    "data with several scales": (
        layer("RELU", y={"scale": [1.0, 2.0]}),
        "input and output must each have one scale above 0 and one zero point of -128 .. 127 "
        "(out has 2 scales)",
    ),
    "weights without quantisation": (
        matrix(constants=[weights((3, 4), scale=None)]),
        "weights must be quantised with zero point 0 and one scale, or one scale per output channel "
        "(no quantisation)",
    ),
    "asymmetric weights": (
        matrix(constants=[weights((3, 4), zero_point=1)]),
        "weights must be quantised with zero point 0 and one scale, or one scale per output channel "
        "(a zero point is not 0)",
    ),
    "weights with a negative scale": (
        matrix(constants=[weights((3, 4), scale=-1.0)]),
        "weights must be quantised with zero point 0 and one scale, or one scale per output channel "
        "(a scale is negative or not finite)",
    ),
    "weights scaled along another dimension": (
        matrix(constants=[weights((3, 4), scale=[1.0] * 4, axis=1)]),
        "weights must be quantised with zero point 0 and one scale, or one scale per output channel "
        "(4 scales along dimension 1 of 3x4)",
    ),
    "weights of too few dimensions": (
        conv("DEPTHWISE_CONV_2D", constants=[weights((2,))]),
        "weights must be quantised with zero point 0 and one scale, or one scale per output channel "
        "(weights have shape 2)",
    ),
    "a batch of two images": (
        pool(x={"shape": (2, 1, 1, 3)}),
        "input and output must be 1 x height x width x channels (in is 2x1x1x3)",
    ),
    "a stride of 0": (
        conv(options={"StrideH": 0}),
        "window, strides and dilations must be at least 1 (they are (1, 1, 0, 1, 1, 1))",
    ),
    "a pool of 0": (
        pool(options={"FilterWidth": 0}),
        "window, strides and dilations must be at least 1 (they are (1, 0, 1, 1, 1, 1))",
    ),
    "an output of another height": (
        conv(y={"shape": (1, 2, 3, 2)}),
        "height and width of the output must be those that padding and stride give "
        "(they are (2, 3) and should be (3, 3))",
    ),
    "a window larger than the image": (
        pool(options={"Padding": 1, "FilterHeight": 5}),
        "height and width of the output must be those that padding and stride give "
        "(they are (2, 2) and should be (-2, 2))",
    ),
    "a pool that changes channels": (
        pool(y={"shape": (1, 2, 2, 4)}),
        "input and output must have the same number of channels (3 and 4)",
    ),
    "a pool that changes the scale": (
        pool(y={"scale": 0.5}),
        "input and output must have the same scale and zero point (scales 1 and 0.5)",
    ),
    "a pool that changes the zero point": (
        pool("AVERAGE_POOL_2D", y={"zero_point": 1}),
        "input and output must have the same scale and zero point (zero points 0 and 1)",
    ),
    "a grouped convolution": (
        conv(constants=[weights((2, 1, 1, 1))]),
        "weights must be output channels x height x width x input channels (no groups) "
        "(weights (2, 1, 1, 1) between 1x3x3x2 and 1x3x3x2)",
    ),
    "a wrong depth multiplier": (
        conv("DEPTHWISE_CONV_2D", options={"DepthMultiplier": 2}),
        "weights must be 1 x height x width x (input channels * depth multiplier) "
        "(weights (1, 1, 1, 2), 1x3x3x2 to 1x3x3x2)",
    ),
    "a matrix for another input": (
        matrix(constants=[weights((3, 3))]),
        "weights must be output depth x input depth, and divide input and output into equally many rows "
        "(weights (3, 3) on 1x4)",
    ),
    "a matrix for another output": (
        matrix(constants=[weights((3, 2))]),
        "weights must be output depth x input depth, and divide input and output into equally many rows "
        "(weights (3, 2), 1x4 to 1x3)",
    ),
    "shuffled weights": (
        matrix(options={"WeightsFormat": 1}),
        "weights must be output depth x input depth, and divide input and output into equally many rows "
        "(weights format 1)",
    ),
    "too few biases": (
        conv(constants=[weights((2, 1, 1, 2)), bias(1)]),
        "there must be one bias per output channel, or none (1 biases for 2 channels)",
    ),
    "a bias of another scale": (
        matrix(constants=[weights((3, 4)), bias(3, scale=0.6)]),
        "the bias scale must be input scale * weight scale, to 2 % of the output scale (0.6 instead of 0.5)",
    ),
    "a bias without scale": (
        matrix(constants=[weights((3, 4)), bias(3, scale=None)]),
        "the bias scale must be input scale * weight scale, to 2 % of the output scale (0 instead of 0.5)",
    ),
    "a fused tanh": (
        add(options={"FusedActivationFunction": 4}),
        "the fused activation must be none, RELU, RELU6 or RELU_N1_TO_1, with bounds in int32 (TANH)",
    ),
    "a bound that no integer holds": (
        pool(x={"scale": 1e-9}, y={"scale": 1e-9}, options={"FusedActivationFunction": 3}),
        "the fused activation must be none, RELU, RELU6 or RELU_N1_TO_1, with bounds in int32 (scale 1e-09)",
    ),
    "a bound that no float holds": (
        add(
            y={"scale": 2.0**-126},
            x={"scale": 2.0**-126},
            second={"scale": 2.0**-126},
            options={"FusedActivationFunction": 2},
        ),
        "the fused activation must be none, RELU, RELU6 or RELU_N1_TO_1, with bounds in int32 "
        "(scale 1.17549e-38)",
    ),
    "a bias that overflows": (
        conv(constants=[weights((2, 1, 1, 2)), bias(2, data=[0, 2**31 - 200])]),
        "no int8 input may overflow an int32 accumulator or its rescaling "
        "(channel 1 reaches 2147483192 .. 2147483702 with shift 0)",
    ),
    "a rescaling that overflows": (
        matrix(y={"scale": 2.0**-25}, constants=[weights((3, 4))]),
        "no int8 input may overflow an int32 accumulator or its rescaling "
        "(channel 0 reaches -512 .. 508 with shift 25)",
    ),
    "an addition that does not broadcast": (
        add(second={"shape": (3,), "data": np.ones(3)}),
        "the inputs must have the output's shape, or dimensions of 1 where they are broadcast "
        "((1, 4) + (3,) to (1, 4))",
    ),
    "an addition of too many dimensions": (
        add(second={"shape": (1, 1, 4)}),
        "the inputs must have the output's shape, or dimensions of 1 where they are broadcast "
        "((1, 4) + (1, 1, 4) to (1, 4))",
    ),
    "an addition of too many loops": (
        add(
            x={"shape": (1, 2, 2, 2, 2, 2)},
            second={"shape": (2, 1, 2, 1, 2), "data": np.ones(8)},
            y={"shape": (1, 2, 2, 2, 2, 2)},
        ),
        "broadcasting must not need more than 4 nested loops (it needs 5)",
    ),
    "an addition that scales up": (
        add(y={"scale": 2.0**-20}),
        "the output scale must be above 2^-19 of the larger input scale (output scale 9.53674e-07)",
    ),
    "a subtraction that scales up": (
        add("SUB", y={"scale": 2.0**-20}),
        "the output scale must be above 2^-19 of the larger input scale (output scale 9.53674e-07)",
    ),
    "an axis beyond the input": (
        mean(axes=(2,)),
        "the axes must be dimensions of the input (axis 2 of 2 dimensions)",
    ),
    "a mean of too many runs": (
        mean(axes=(1, 3, 5), x={"shape": (1, 2, 2, 2, 2, 2)}, y={"shape": (1, 4)}),
        "kept and reduced dimensions must alternate at most 5 times, and the output must hold the kept ones "
        "(6 times)",
    ),
    "a mean for another output": (
        mean(y={"shape": (1, 2)}),
        "kept and reduced dimensions must alternate at most 5 times, and the output must hold the kept ones "
        "(output 1x2 for 1 elements)",
    ),
    "a mean whose sum overflows": (
        mean(x={"shape": (1, 1 << 24)}),
        "no int8 input may overflow the int32 sum or its rescaling (16777216 elements)",
    ),
    "a mean whose rescaling overflows": (
        mean(y={"scale": 2.0**-26}),
        "no int8 input may overflow the int32 sum or its rescaling (shift 25)",
    ),
    "paddings for another rank": (
        pad(paddings=((1, 2),)),
        "paddings must be two counts of at least 0 per dimension and give the output's shape "
        "(2 counts for 1x4)",
    ),
    "a negative padding": (
        pad(paddings=((0, 0), (4, -1))),
        "paddings must be two counts of at least 0 per dimension and give the output's shape "
        "(a count is negative)",
    ),
    "paddings for another output": (
        pad(paddings=((0, 0), (1, 1))),
        "paddings must be two counts of at least 0 per dimension and give the output's shape "
        "(they give (1, 6), the output is (1, 7))",
    ),
    "a padding of six dimensions": (
        pad(
            paddings=((0, 0),) * 5 + ((1, 2),),
            x={"shape": (1, 1, 1, 1, 1, 4)},
            y={"shape": (1, 1, 1, 1, 1, 7)},
        ),
        "at most 4 of at most 5 dimensions may be padded (6 dimensions, 1 loops)",
    ),
    "a pad value of another scale": (
        pad(opcode="PADV2", value={"scale": 0.5}),
        "the pad value must be one element, quantised like the output (scale 0.5 and 1)",
    ),
    "two pad values": (
        pad(opcode="PADV2", value={"shape": (2,), "data": [1, 2]}),
        "the pad value must be one element, quantised like the output (2)",
    ),
    "a reshape that loses elements": (
        layer("RESHAPE", y={"shape": (1, 3)}),
        "input and output must have equally many elements (1x4 to 1x3)",
    ),
    "a relu that scales up beyond int32": (
        layer("RELU", y={"scale": 2.0**-30}),
        "no int8 input may overflow the rescaling (input scale 1, output scale 9.31323e-10)",
    ),
    "a relu6 whose 6 no integer holds": (
        layer("RELU6", x={"scale": 1e-9}),
        "6 divided by the input scale must be in int32 (scale 1e-09)",
    ),
    "a relu of another shape": (
        layer("RELU", y={"shape": (1, 2, 2)}),
        "input and output must have the same shape (1x4 to 1x2x2)",
    ),
    "a softmax of another output": (
        softmax(y={"zero_point": 0}),
        "the output must have scale 1/256 and zero point -128 (scale 0.00390625, zero point 0)",
    ),
    "a hard-swish that scales up": (
        layer("HARD_SWISH", y={"scale": 2.0**-7}),
        "the output scale must be above 2^-7 of the input scale, and that below 3 * 2^23 "
        "(input scale 1, output scale 0.0078125)",
    ),
    "a hard-swish of a huge scale": (
        layer("HARD_SWISH", x={"scale": 3 * 2.0**23}, y={"scale": 2.0**30}),
        "the output scale must be above 2^-7 of the input scale, and that below 3 * 2^23 "
        "(input scale 2.51658e+07)",
    ),
    "a leaky relu without slope": (
        layer("LEAKY_RELU", options={"Alpha": float("nan")}),
        "alpha must be finite, and no int8 input may overflow the rescaling (it is scaled by nan)",
    ),
    "a leaky relu that scales up beyond int32": (
        layer("LEAKY_RELU", options={"Alpha": -(2.0**30)}),
        "alpha must be finite, and no int8 input may overflow the rescaling (it is scaled by -1.07374e+09)",
    ),
    "a product beyond int32": (
        add("MUL", y={"scale": 2.0**-20}),
        "no product of two int8 inputs may overflow the rescaling (scales 1 and 1, output scale 9.53674e-07)",
    ),
    "a prelu that scales up beyond int32": (
        add("PRELU", y={"scale": 2.0**-30}),
        "no input above zero may overflow its rescaling (input scale 1, output scale 9.31323e-10)",
    ),
    "a maximum of two scales": (
        add("MAXIMUM", second={"scale": 0.5, "name": "other"}),
        "both inputs and the output must have the same scale and zero point "
        "(other has scale 0.5, zero point 0, out 1, 0)",
    ),
    "a minimum of another output": (
        add("MINIMUM", y={"zero_point": 1}),
        "both inputs and the output must have the same scale and zero point "
        "(in has scale 1, zero point 0, out 1, 1)",
    ),
    "a requantisation beyond int32": (
        layer("QUANTIZE", y={"scale": 2.0**-30}),
        "input scale over output scale must be so that no int8 input overflows "
        "(input scale 1, output scale 9.31323e-10)",
    ),
    "a dequantisation": (
        layer("DEQUANTIZE"),
        "its output is float, and the engine computes in integers from the model's input to its output; "
        "floats are taken off at the ends alone",
    ),
    "a logistic of another output": (
        probability(y={"scale": 1 / 128}),
        "the output must have scale 1/256 and zero point -128 (scale 0.0078125, zero point -128)",
    ),
    "a logistic of a tiny scale": (
        probability(x={"scale": 2.0**-29}),
        "the input scale must be at least 2^-28 and below 2^35 (it is 1.86265e-09)",
    ),
    "a tanh of a huge scale": (
        layer("TANH", x={"scale": 2.0**35}, y={"scale": 1 / 128}),
        "the input scale must be at least 2^-28 and below 2^35 (it is 3.43597e+10)",
    ),
    "a tanh of another output": (
        layer("TANH", y={"scale": 1 / 128, "zero_point": -1}),
        "the output must have scale 1/128 and zero point 0 (scale 0.0078125, zero point -1)",
    ),
    "a softmax of a tiny scale": (
        softmax(x={"scale": 2.0**-27}),
        "beta * input scale must be above 2^-26 (it is 0.5 * 2^-26)",
    ),
    "a softmax of many classes": (
        softmax(x={"shape": (1, 512)}, y={"shape": (1, 512)}),
        "the last dimension must be at most 511 (it is 512)",
    ),
}
