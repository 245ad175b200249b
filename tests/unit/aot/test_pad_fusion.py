# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from mcu_ser.aot.compile import compile_model
from tests.tflite_builder import TfliteBuilder

SAME, VALID = 0, 1
# Index of the padded image's tensor.
IMAGE = 2
QUANTISED = {"scale": 0.05, "zero_point": -3}


def padded(
    pairs=((0, 0), (1, 1), (1, 1), (0, 0)),
    *,
    window=3,
    readers=("CONV_2D",),
    padded_as=QUANTISED,
    value=None,
    padding=VALID,
    padded_output=False,
):
    """An image of 6 x 6 x 4 with a border, and layers that read it."""
    model = TfliteBuilder()
    x = model.tensor((1, 6, 6, 4), **QUANTISED)
    shape = tuple(size + sum(pair) for size, pair in zip((1, 6, 6, 4), pairs, strict=True))
    counts = model.tensor((4, 2), "INT32", data=pairs)
    image = model.tensor(shape, **padded_as)
    constant = [] if value is None else [model.tensor((1,), data=[value], **padded_as)]
    model.operator("PAD" if value is None else "PADV2", [x, counts, *constant], [image])
    outputs = []
    for opcode in readers:
        kept = padding == SAME or opcode == "RELU"
        sides = [side if kept else side - window + 1 for side in shape[1:3]]
        y = model.tensor((1, *sides, shape[3]), **QUANTISED)
        outputs.append(y)
        if opcode == "RELU":
            model.operator(opcode, [image], [y])
            continue
        depthwise = opcode == "DEPTHWISE_CONV_2D"
        form = (1 if depthwise else shape[3], window, window, shape[3])
        w = model.tensor(form, scale=0.01, data=np.ones(form))
        options = {"Padding": padding, "StrideH": 1, "StrideW": 1} | (
            {"DepthMultiplier": 1} if depthwise else {}
        )
        model.operator(opcode, [image, w, -1] if not depthwise else [image, w], [y], **options)
    if len(outputs) > 1:
        total = model.tensor((1, 6, 6, 4), **QUANTISED)
        model.operator("ADD", outputs, [total])
        outputs = [total]
    return model.build([x], [image if padded_output else outputs[0]])


@pytest.mark.parametrize("readers", [("CONV_2D",), ("DEPTHWISE_CONV_2D",), ("CONV_2D", "DEPTHWISE_CONV_2D")])
def test_a_pad_before_convolutions_is_no_layer(readers):
    model = compile_model(padded(readers=readers))
    assert "PAD" not in [layer.operator for layer in model.layers]
    # The padded image is nowhere.
    assert IMAGE not in model.plan.offsets


def test_a_board_that_tells_of_its_layers_tells_of_the_pad():
    assert [layer.operator for layer in compile_model(padded(), traced=True).layers] == ["PAD", "CONV_2D"]


def test_zero_as_a_value_of_its_own_is_a_border():
    assert [layer.operator for layer in compile_model(padded(value=-3)).layers] == ["CONV_2D"]


STAYING = {
    "wider than half of the window": {"pairs": ((0, 0), (2, 1), (1, 1), (0, 0))},
    "behind it, wider than half of the window": {"pairs": ((0, 0), (1, 1), (1, 2), (0, 0))},
    "channels": {"pairs": ((0, 0), (0, 0), (0, 0), (0, 4))},
    "another value than zero": {"value": 5},
    "another scale": {"padded_as": {"scale": 0.06, "zero_point": -3}},
    "a layer with a border of its own": {"padding": SAME},
    "a reader that is no convolution": {"readers": ("CONV_2D", "RELU"), "window": 1},
    "the model's output": {"padded_output": True},
}


@pytest.mark.parametrize("name", sorted(STAYING))
def test_what_is_no_border_stays_a_layer(name):
    options = dict(STAYING[name])
    if name.startswith("a reader"):
        options["pairs"] = ((0, 0), (0, 0), (0, 0), (0, 0))
    model = compile_model(padded(**options))
    assert model.layers[0].operator in {"PAD", "PADV2"}
    assert IMAGE in model.plan.offsets
