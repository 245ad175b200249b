# SPDX-License-Identifier: Apache-2.0
"""Which channels are left out, which are kept and why; that the bytes stay is in tests/c/test_folding.py."""

import numpy as np
import pytest
from hypothesis import given, settings

from mcu_ser.aot.channel_folding import fold_channels
from mcu_ser.aot.channel_ranges import ChannelRanges, find_ranges
from mcu_ser.aot.compile import compile_model
from mcu_ser.aot.tflite_reader import read_model
from mcu_ser.convert.oracle import layer_outputs
from tests.random_folding import foldable_models
from tests.tflite_builder import TfliteBuilder

SAME, VALID, RELU = 0, 1, 1
STRIDES = {"StrideH": 1, "StrideW": 1}
# Of the four channels of `Network.first`, these are 100 for every input.
CONSTANT = (1, 2)


class Network(TfliteBuilder):
    """A model whose first layer has four channels, of which two are the same for every input."""

    def __init__(self, zero_point=-7):
        super().__init__()
        self.x = self.tensor((1, 3, 3, 2), scale=1.0)
        values = np.array([[3, 4], [0, 0], [0, 0], [5, 6]]).reshape(4, 1, 1, 2)
        bias = [1, 100 - zero_point, 100 - zero_point, 4]
        self.first = self.tensor((1, 3, 3, 4), scale=1.0, zero_point=zero_point, name="first")
        operands = [self.x, self.tensor(values.shape, scale=1.0, data=values), self.bias(bias)]
        self.operator("CONV_2D", operands, [self.first], Padding=VALID, **STRIDES)

    def bias(self, values):
        return self.tensor((len(values),), "INT32", scale=1.0, data=values)

    def image(self, channels=4, size=3, **changes):
        return self.tensor((1, size, size, channels), **{"scale": 1.0, "zero_point": -7} | changes)

    def conv(self, source, count=4, window=1, padding=VALID, values=None, bias=None, channels=4):
        """A convolution; weights of channel c are c + 1 unless they are given."""
        size = 3 if padding == SAME else 4 - window
        if values is None:
            values = np.broadcast_to(np.arange(1, channels + 1), (count, window, window, channels))
        output = self.image(count, size, scale=64.0)
        operands = [source, self.tensor(np.shape(values), scale=1.0, data=values)]
        operands += [] if bias is None else [self.bias(bias)]
        self.operator("CONV_2D", operands, [output], Padding=padding, **STRIDES)
        return output

    def folded(self, output, multiple=1):
        """The graph as it was read, and what becomes of it."""
        graph = read_model(self.build([self.x], [output]))
        return graph, fold_channels(graph, multiple)


def _kept(graph):
    return {tensor.index: tensor.kept for tensor in graph.tensors if tensor.left_out}


def _constants(graph, operator):
    return [graph.tensors[index].data for index in graph.operators[operator].inputs[1:]]


def test_the_share_of_a_constant_channel_goes_into_the_biases():
    model = Network()
    output = model.conv(model.first, bias=[10, 20, 30, 40])
    _, folded = model.folded(output)
    assert _kept(folded) == {model.first: (0, 3)}
    assert folded.tensors[model.first].shape == (1, 3, 3, 2)
    weights, biases = _constants(folded, 0)
    assert weights.reshape(2, 2).tolist() == [[3, 4], [5, 6]]
    assert biases.tolist() == [1, 4]
    weights, biases = _constants(folded, 1)
    assert weights.reshape(4, 2).tolist() == [[1, 4]] * 4
    # Channels 1 and 2 are 107 above the zero point, under weights 2 and 3.
    assert biases.tolist() == [bias + 107 * 5 for bias in (10, 20, 30, 40)]


def test_a_layer_without_biases_gets_them_where_it_needs_them():
    model = Network()
    output = model.conv(model.first)
    graph, folded = model.folded(output)
    assert len(graph.operators[1].inputs) == 2
    assert _constants(folded, 1)[1].tolist() == [535] * 4
    still = Network(zero_point=100)
    graph, folded = still.folded(still.conv(still.first))
    assert _kept(folded) == {still.first: (0, 3)}
    assert len(folded.operators[1].inputs) == 2


def test_scales_of_channels_go_with_them():
    model = Network()
    x, y = model.first, model.image(2, scale=64.0)
    middle = model.image(3)
    values = np.ones((3, 1, 1, 4))
    values[1] = 0
    weights = model.tensor(values.shape, scale=[0.25, 0.5, 1.0], data=values)
    model.operator("CONV_2D", [x, weights], [middle], Padding=VALID, **STRIDES)
    last = model.tensor((2, 1, 1, 3), scale=1.0, data=np.ones((2, 1, 1, 3)))
    model.operator("CONV_2D", [middle, last], [y], Padding=VALID, **STRIDES)
    _, folded = model.folded(y)
    assert _kept(folded) == {model.first: (0, 3), middle: (0, 2)}
    weights, bias = (folded.tensors[i] for i in folded.operators[1].inputs[1:])
    assert weights.quantization.scales == (0.25, 1.0)
    assert bias.quantization.scales == (0.25, 1.0)


@pytest.mark.parametrize(
    ("zero_point", "window", "padding", "goes"),
    [
        (-7, 1, SAME, True),
        (-7, 3, VALID, True),
        (-7, 3, SAME, False),
        (100, 3, SAME, True),
    ],
)
def test_a_constant_may_not_meet_the_border_unless_it_is_the_zero_point(zero_point, window, padding, goes):
    model = Network(zero_point)
    _, folded = model.folded(model.conv(model.first, window=window, padding=padding))
    assert _kept(folded) == ({model.first: (0, 3)} if goes else {})


def test_a_channel_under_zeros_goes_though_it_is_not_constant():
    model = Network()
    values = np.ones((4, 3, 3, 4))
    values[..., 0] = 0
    _, folded = model.folded(model.conv(model.first, window=3, padding=SAME, values=values))
    assert _kept(folded) == {model.first: (1, 2, 3)}


def test_what_only_a_constant_filter_reads_goes_too():
    model = Network()
    values = np.zeros((3, 1, 1, 4))
    values[0, ..., 3] = values[1, ..., 0] = 1
    values[1, ..., 3] = 1
    # Of the filters 1 and 2, the last layer needs neither.
    middle = model.conv(model.first, 3, values=values)
    last = np.array([[1, 0, 2]]).reshape(1, 1, 1, 3)
    _, folded = model.folded(model.conv(middle, 1, values=last, channels=3))
    assert _kept(folded) == {model.first: (3,), middle: (0,)}


def _depthwise(model, source, multiplier, values=1):
    channels = 4 * multiplier
    output = model.image(channels)
    weights = np.ones((1, 3, 3, channels)) * values
    operands = [source, model.tensor(weights.shape, scale=1.0, axis=3, data=weights)]
    operands.append(model.bias([0] * channels))
    model.operator(
        "DEPTHWISE_CONV_2D", operands, [output], Padding=SAME, DepthMultiplier=multiplier, **STRIDES
    )
    return output


@pytest.mark.parametrize(
    ("zero_point", "multiplier", "goes"), [(-7, 1, False), (100, 1, True), (100, 2, False)]
)
def test_a_depthwise_layer_passes_channels_on(zero_point, multiplier, goes):
    model = Network(zero_point)
    middle = _depthwise(model, model.first, multiplier)
    _, folded = model.folded(model.conv(middle, channels=4 * multiplier))
    assert _kept(folded) == ({model.first: (0, 3), middle: (0, 3)} if goes else {})
    if goes:
        weights, biases = _constants(folded, 1)
        assert (weights.shape, biases.shape) == ((1, 3, 3, 2), (2,))


def test_a_dead_depthwise_channel_frees_the_filter_before_it():
    model = Network()
    middle = _depthwise(model, model.first, 1, values=np.array([0, 1, 1, 1]))
    # Channels 1 and 2 change at the border.
    _, folded = model.folded(model.conv(middle))
    assert _kept(folded) == {model.first: (1, 2, 3), middle: (1, 2, 3)}


def _pooled(model):
    y = model.image()
    model.operator("MAX_POOL_2D", [model.first], [y], FilterHeight=3, FilterWidth=3, Padding=SAME, **STRIDES)
    return y


def _relu(model):
    y = model.image()
    model.operator("RELU", [model.first], [y])
    return y


def _added(model):
    y = model.image(scale=2.0)
    model.operator("ADD", [model.first, model.first], [y])
    return y


def _beside(model):
    y = model.image(8)
    model.operator("CONCATENATION", [model.first, model.first], [y], Axis=3)
    return y


def _broadcast(model):
    y = model.image(scale=2.0)
    model.operator("ADD", [model.first, model.tensor((4,), scale=1.0, data=[1, 2, 3, 4])], [y])
    return y


def _padded(model, zero_point):
    y = model.image(size=5, zero_point=zero_point)
    counts = model.tensor((4, 2), "INT32", data=[[0, 0], [1, 1], [1, 1], [0, 0]])
    model.operator("PAD", [model.first, counts], [y])
    return y


@pytest.mark.parametrize("through", [_pooled, _relu, _added])
def test_layers_that_work_channel_by_channel_pass_it_on(through):
    model = Network()
    middle = through(model)
    _, folded = model.folded(model.conv(middle))
    assert _kept(folded) == {model.first: (0, 3), middle: (0, 3)}


@pytest.mark.parametrize("through", [_beside, _broadcast])
def test_any_other_use_keeps_all_channels(through):
    model = Network()
    middle = through(model)
    channels = 8 if through is _beside else 4
    graph, folded = model.folded(model.conv(middle, channels=channels))
    assert find_ranges(graph)[model.first].constant.sum() == 2
    assert folded is graph


def test_the_models_output_keeps_all_channels():
    model = Network()
    graph, folded = model.folded(model.first)
    assert folded is graph


def test_a_second_reader_that_needs_a_channel_keeps_it():
    model = Network()
    inner, border = model.conv(model.first), model.conv(model.first, window=3, padding=SAME)
    y = model.image(scale=128.0)
    model.operator("ADD", [inner, border], [y])
    graph, folded = model.folded(y)
    assert folded is graph


@pytest.mark.parametrize(("zero_point", "goes"), [(-7, False), (100, True)])
def test_a_border_of_another_layer_keeps_a_constant_too(zero_point, goes):
    model = Network(zero_point)
    middle = _padded(model, zero_point)
    values = np.ones((1, 3, 3, 4))
    output = model.image(1, scale=64.0)
    operands = [middle, model.tensor(values.shape, scale=1.0, data=values)]
    model.operator("CONV_2D", operands, [output], Padding=VALID, **STRIDES)
    _, folded = model.folded(output)
    assert _kept(folded) == ({model.first: (0, 3), middle: (0, 3)} if goes else {})


def test_a_flat_tensor_keeps_the_channels_of_its_image():
    model = Network()
    flat, y = model.tensor((1, 36), scale=1.0, zero_point=-7), model.tensor((1, 2), scale=4096.0)
    shape = model.tensor((2,), "INT32", data=[1, 36])
    model.operator("RESHAPE", [model.first, shape], [flat])
    values = np.arange(72).reshape(2, 36)
    operands = [flat, model.tensor((2, 36), scale=1.0, data=values)]
    model.operator("FULLY_CONNECTED", operands, [y])
    _, folded = model.folded(y)
    left = [i for i in range(36) if i % 4 not in CONSTANT]
    assert _kept(folded) == {model.first: (0, 3), flat: tuple(left)}
    assert folded.tensors[flat].shape == (1, 18)
    assert folded.operators[1].inputs == (model.first,)
    weights, biases = _constants(folded, 2)
    assert weights.tolist() == values[:, left].tolist()
    gone = [i for i in range(36) if i % 4 in CONSTANT]
    assert biases.tolist() == (107 * values[:, gone].sum(axis=1)).tolist()


def test_weights_that_two_layers_share_are_cut_for_one_of_them():
    model = Network()
    shared = model.tensor((4, 1, 1, 4), scale=1.0, data=np.ones((4, 1, 1, 4)))
    free = model.image(scale=16.0)
    model.operator("CONV_2D", [model.first, shared], [free], Padding=VALID, **STRIDES)
    last = model.image(scale=16.0)
    model.operator("CONV_2D", [free, shared], [last], Padding=VALID, **STRIDES)
    _, folded = model.folded(last)
    assert _kept(folded) == {model.first: (0, 3)}
    assert [_constants(folded, i)[0].shape for i in (1, 2)] == [(4, 1, 1, 2), (4, 1, 1, 4)]


@pytest.mark.parametrize(
    ("multiple", "kept"), [(1, {0, 3}), (2, {0, 3}), (3, {0, 1, 3}), (4, None), (8, None)]
)
def test_channels_are_left_out_down_to_a_multiple(multiple, kept):
    model = Network()
    _, folded = model.folded(model.conv(model.first), multiple)
    assert _kept(folded) == ({} if kept is None else {model.first: tuple(sorted(kept))})


def _left_of_twelve(constant, values):
    """What is left of twelve channels, of which some are constant, for filters of so many weights."""
    model = TfliteBuilder()
    x = model.tensor((1, 3, 3, 4), scale=1.0)
    first = np.ones((12, 1, 1, 4))
    first[constant] = 0
    operands = [x]
    for weights in (first, np.array(values).reshape(len(values), 1, 1, 12)):
        operands.append(model.tensor(weights.shape, scale=1.0, data=weights))
        y = model.tensor((1, 3, 3, len(weights)), scale=64.0)
        model.operator("CONV_2D", operands, [y], Padding=VALID, **STRIDES)
        operands = [y]
    folded = fold_channels(read_model(model.build([x], [y])))
    return next((tensor.kept for tensor in folded.tensors if tensor.left_out), None)


BLOCKS_OF_ZEROS = [[0] * 4 + [1] * 4 + [0] * 4, [0] * 8 + [1] * 4]


def test_blocks_of_zeros_stay_whole_where_channels_go():
    # Nobody reads the first four; without others than 9 and three of those, more blocks had weights.
    assert _left_of_twelve([9], BLOCKS_OF_ZEROS) == tuple(range(4, 12))
    # Those that are constant go by fours, but none alone.
    assert _left_of_twelve([1, 5, 9, 10], [[1] * 4 + [0] * 8, *BLOCKS_OF_ZEROS]) is None


def test_weights_without_zeros_have_no_blocks_to_keep():
    assert _left_of_twelve([1, 5, 9, 10], [[1] * 12]) == (0, 2, 3, 4, 6, 7, 8, 11)


def test_one_channel_is_left_of_a_tensor_that_nobody_needs():
    model = Network()
    values = np.zeros((4, 1, 1, 4))
    _, folded = model.folded(model.conv(model.first, values=values, bias=[1, 2, 3, 4]))
    assert _kept(folded) == {model.first: (0,)}


def test_a_model_of_which_nothing_goes_is_the_same_model():
    model = Network()
    values = np.arange(16).reshape(4, 1, 1, 4)
    graph = read_model(model.build([model.x], [model.conv(model.x, values=values[..., :2])]))
    assert fold_channels(graph) is graph


def test_the_compiled_model_tells_how_many_channels_are_left_out():
    model = Network()
    for _ in range(2):
        model.first = model.conv(model.first, 8, values=np.ones((8, 1, 1, 4)) * [1, 0, 0, 0])
        model.first = model.conv(model.first, 4, channels=8, values=_alternating())
    compiled = compile_model(model.build([model.x], [model.first]))
    assert [layer.left_out for layer in compiled.layers] == [0, 4, 0, 4, 0]
    assert compiled.layers[1].output_shape == (1, 3, 3, 4)
    assert "1x3x3x4 to 1x3x3x4 (4 of 8 channels are not needed)" in compiled.sources["aot_model.c"]


def _alternating():
    return np.broadcast_to([0, 1] * 4, (4, 1, 1, 8))


@given(foldable_models())
@settings(max_examples=40, deadline=None)
def test_no_tensor_of_the_oracle_leaves_its_ranges(model):
    graph = read_model(model.file)
    ranges = find_ranges(graph)
    shape = graph.tensors[graph.inputs[0]].shape
    noise = np.random.default_rng(0).integers(-128, 128, shape)
    for sample in (noise, np.full(shape, -128), np.full(shape, 127)):
        outputs = [operator.outputs[0] for operator in graph.operators]
        for index, tensor in zip(
            outputs, layer_outputs(model.file, "m", sample.astype(np.int8), outputs), strict=True
        ):
            rows = tensor.reshape(-1, ranges[index].count)
            assert (rows.min(axis=0) >= ranges[index].low).all()
            assert (rows.max(axis=0) <= ranges[index].high).all()


def test_ranges_along_another_number_of_channels():
    ranges = ChannelRanges(np.array([1, 5, 2, 3]), np.array([4, 6, 9, 3]))
    assert ranges.along(8).low.tolist() == [1, 5, 2, 3] * 2
    halves = ranges.along(2)
    assert (halves.low.tolist(), halves.high.tolist()) == ([1, 3], [9, 6])
    thirds = ranges.along(3)
    assert (thirds.low.tolist(), thirds.high.tolist()) == ([1] * 3, [9] * 3)
    assert ranges.constant.tolist() == [False, False, False, True]
