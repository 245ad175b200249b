# SPDX-License-Identifier: Apache-2.0
"""As `plain_layers`, for TRANSPOSE_CONV and BATCH_MATMUL: plain models, and ones that break rules."""

from tests.plain_layers import STRIDES, bias, layer, weights
from tests.tflite_builder import TfliteBuilder


def transposed_conv(*, shape=(1, 4, 4, 2), x=(1, 2, 2, 3), constants=None, options=None, y=None, inputs=None):
    """The input 2 x 2 x 3, with a stride of 2 to 4 x 4 x 2."""
    model = TfliteBuilder()
    stated = model.tensor((4,), "INT32", data=shape, name="shape")
    input_ = model.tensor(x, scale=1.0, name="in")
    default = [weights((2, 1, 1, 3)), bias(2)]
    extra = [model.tensor(**constant) for constant in (default if constants is None else constants)]
    output = model.tensor(**{"shape": (1, 4, 4, 2), "scale": 1.0, "name": "out", **(y or {})})
    operands = [stated, extra[0], input_, *extra[1:]] if inputs is None else inputs
    stride = {"StrideH": 2, "StrideW": 2} | (options or {})
    model.operator("TRANSPOSE_CONV", operands, [output], **stride)
    return model.build([input_], [output])


def matmul(*, x=(1, 2, 3), second=(3, 4), y=None, **options):
    return layer(
        "BATCH_MATMUL",
        x={"shape": x},
        y={"shape": (1, 2, 4), **(y or {})},
        constants=[weights(second)],
        options=options,
    )


VALID = {"BATCH_MATMUL": matmul(), "TRANSPOSE_CONV": transposed_conv()}

_FIT = "the matrices must fit each other and make those of the output; other dimensions may be broadcast"

BROKEN = {
    "a transposed convolution without input": (
        transposed_conv(inputs=[0, 2]),
        "its operands must be those that TensorFlow Lite defines (2 inputs, 1 outputs)",
    ),
    "a transposed convolution of groups": (
        transposed_conv(constants=[weights((2, 1, 1, 1))]),
        "weights must be output channels x height x width x input channels (no groups) "
        "(weights (2, 1, 1, 1) between 1x2x2x3 and 1x4x4x2)",
    ),
    "a transposed convolution without stride": (
        transposed_conv(options={"StrideW": 0}),
        "window, strides and dilations must be at least 1 (they are (1, 1, 2, 0, 1, 1))",
    ),
    "a transposed convolution to a shape that is not the output's": (
        transposed_conv(shape=(1, 4, 3, 2)),
        "the shape that the first operand holds must be the output's (it is (1, 4, 3, 2) for 1x4x4x2)",
    ),
    "a transposed convolution of another stride": (
        transposed_conv(options=STRIDES),
        "height and width of the input must be those that padding and stride make of the output "
        "(they are (2, 2) and should be (4, 4))",
    ),
    "a transposed convolution that overflows": (
        transposed_conv(constants=[weights((2, 1, 1, 3)), bias(2, data=[0, 2**31 - 200])]),
        "no int8 input may overflow an int32 accumulator or its rescaling "
        "(channel 1 reaches 2147483064 .. 2147483829 with shift 0)",
    ),
    "a transposed convolution of too few biases": (
        transposed_conv(constants=[weights((2, 1, 1, 3)), bias(1)]),
        "there must be one bias per output channel, or none (1 biases for 2 channels)",
    ),
    "a product of six dimensions": (
        matmul(x=(1, 1, 1, 1, 2, 3), y={"shape": (1, 1, 1, 1, 2, 4)}),
        "both inputs must have 2 to 5 dimensions (they have 6 and 2)",
    ),
    "a product of matrices that do not fit": (
        matmul(second=(4, 4)),
        f"{_FIT} (1x2x3 and 4x4 to 1x2x4)",
    ),
    "a product of matrices that fit swapped": (
        matmul(AdjY=True),
        f"{_FIT} (1x2x3 and 3x4 to 1x2x4)",
    ),
    "a product for another output": (
        matmul(y={"shape": (2, 4)}),
        f"{_FIT} (1x2x3 and 3x4 to 2x4)",
    ),
    "a product of stacks that do not broadcast": (
        matmul(x=(1, 2, 2, 3), second=(3, 3, 4), y={"shape": (1, 3, 2, 4)}),
        f"{_FIT} (1x2x2x3 and 3x3x4 to 1x3x2x4)",
    ),
    "a product whose sum overflows": (
        matmul(x=(1, 1, 1 << 17), second=(1 << 17, 1), y={"shape": (1, 1, 1)}),
        "no int8 inputs may overflow the int32 sum of their products or its rescaling "
        "(they reach -2130706432 .. 2147483648 with shift 0)",
    ),
}
