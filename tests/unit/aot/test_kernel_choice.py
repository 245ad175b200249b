# SPDX-License-Identifier: Apache-2.0
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from mcu_ser.aot import cost
from mcu_ser.aot.compile import compile_model
from mcu_ser.aot.kernels import sparse
from mcu_ser.aot.kernels.kernel_call import Form, KernelCall, SparseChoice, Table, struct
from mcu_ser.resources import firmware_templates_dir
from tests.layer_shapes import depthwise
from tests.random_elements import ELEMENTS
from tests.random_layers import LAYERS
from tests.random_sparse import EVERY_COUNT, SPARSE, whatever_is_sparse
from tests.tflite_builder import TfliteBuilder

# What the random layers, with which the kernels are held against the oracle, must reach: kernel, way from
# sums to int8, and what else decides about the code that runs.
REACHED = {
    "ADD": {"aot_add", "aot_add_affine", "aot_add_elements"},
    "SUB": {"aot_add", "aot_add_affine", "aot_add_elements"},
    "AVERAGE_POOL_2D": {"aot_average_pool_2d", "aot_average_pool_channels"},
    "CONV_2D": {
        "aot_conv_2d",
        "aot_conv_2d_matmul AOT_FINISH_PAIR_SHIFTED",
        "aot_conv_2d_matmul AOT_FINISH_PAIR_SIGNED",
        "aot_conv_2d_bytes AOT_FINISH_PAIR_SHIFTED",
        "aot_conv_2d_bytes AOT_FINISH_PAIR_SIGNED",
    },
    "CONV_2D 1x1": {"aot_rows_matmul AOT_FINISH_PAIR_SHIFTED", "aot_rows_matmul AOT_FINISH_PAIR_SIGNED"},
    "CONV_2D first": {
        "aot_conv_2d_copied AOT_FINISH_PAIR_SHIFTED",
        "aot_conv_2d_copied AOT_FINISH_PAIR_SIGNED",
    },
    "CONV_2D walking": {
        "aot_conv_2d_walk AOT_FINISH_PAIR_SHIFTED",
        "aot_conv_2d_walk AOT_FINISH_PAIR_SHIFTED moved",
        "aot_conv_2d_walk AOT_FINISH_PAIR_SIGNED",
        "aot_conv_2d_walk AOT_FINISH_PAIR_SIGNED moved",
    },
    "DEPTHWISE_CONV_2D": {
        "aot_depthwise_conv_2d",
        "aot_depthwise_pairs AOT_DEPTHWISE_PIXEL_SHIFTED",
        "aot_depthwise_pairs AOT_DEPTHWISE_PIXEL_SIGNED",
    },
    "DEPTHWISE_CONV_2D 3x3": {
        "aot_depthwise_3x3 AOT_DEPTHWISE_NARROW_SHIFTED",
        "aot_depthwise_3x3 AOT_DEPTHWISE_NARROW_SIGNED",
        "aot_depthwise_3x3 AOT_DEPTHWISE_WIDE_SHIFTED",
        "aot_depthwise_3x3 AOT_DEPTHWISE_WIDE_SIGNED",
        "aot_depthwise_3x3 AOT_DEPTHWISE_WIDE_SHIFTED bands",
    },
    "DEPTHWISE_CONV_2D windows": {
        "aot_depthwise_conv_2d",
        "aot_depthwise_pairs AOT_DEPTHWISE_PIXEL_SHIFTED",
        "aot_depthwise_pairs AOT_DEPTHWISE_PIXEL_SIGNED",
    },
    "FULLY_CONNECTED": {
        "aot_fully_connected",
        "aot_fully_connected_matmul AOT_FINISH_SINGLE_SHIFTED",
        "aot_fully_connected_matmul AOT_FINISH_SINGLE_SIGNED",
        "aot_rows_matmul AOT_FINISH_PAIR_SHIFTED",
        "aot_rows_matmul AOT_FINISH_PAIR_SIGNED",
    },
}


def _variant(model):
    """The kernel of the model's last layer and the variant of it."""
    source = model.sources["aot_model.c"]
    finish = re.findall(r"AOT_\w+_(?:SHIFTED|SIGNED)", source)
    band = re.search(r"\.band = (\d+)", source)
    bands = ["bands"] if band and int(band.group(1)) < model.layers[-1].output_shape[1] else []
    slots = re.search(r"\.slots = (\d+)", source)
    # Rows of scratch run out before those of the image do.
    moved = ["moved"] if slots and int(slots.group(1)) < model.layers[-1].output_shape[1] else []
    return " ".join([model.layers[-1].kernel, *finish[-1:], *bands, *moved])


@pytest.mark.parametrize(
    ("window", "kernel"),
    [((1, 1), "conv_2d"), ((1, 2), "pairs"), ((2, 13), "pairs"), ((3, 9), "conv_2d")],
)
def test_a_depthwise_window_of_2_to_26_taps_goes_two_at_a_time(window, kernel):
    model = compile_model(depthwise((14, 14, 4), window))
    assert model.layers[0].kernel == f"aot_depthwise_{kernel}"
    header = (firmware_templates_dir() / "runtime" / "kernels" / "depthwise_pairs.h").read_text()
    assert "#define AOT_MOST_TAPS 26\n" in header


@pytest.mark.parametrize("kind", REACHED)
def test_random_layers_reach_every_kernel(kind):
    reached = set()

    @settings(
        max_examples=200,
        derandomize=True,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
        deadline=None,
    )
    @given((LAYERS | ELEMENTS)[kind])
    def draw(layer):
        reached.add(_variant(compile_model(layer.file)))

    draw()
    assert REACHED[kind] <= reached


@pytest.mark.parametrize(
    ("kind", "kernel"),
    [
        ("CONV_2D, sparse rows", "aot_rows_sparse"),
        ("CONV_2D, sparse windows", "aot_conv_2d_sparse"),
        ("FULLY_CONNECTED, sparse", "aot_fully_connected_sparse"),
        ("CONV_2D, unstructured rows", "aot_rows_unstructured"),
        ("CONV_2D, unstructured windows", "aot_conv_2d_unstructured"),
    ],
)
def test_random_sparse_layers_reach_every_chain_and_finish(kind, kernel, monkeypatch):
    monkeypatch.setattr(sparse, "better", whatever_is_sparse)
    reached = set()

    @settings(
        max_examples=250,
        derandomize=True,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
        deadline=None,
    )
    @given(SPARSE[kind])
    def draw(layer):
        model = compile_model(layer.file)
        if model.layers[-1].kernel == kernel:
            source = model.sources["aot_model.c"]
            reached.update(re.findall(r"AOT_(?:CHAIN|FINISH)_[A-Z_]+_(ONCE|REPEATED|DIRECT|SIGNED)", source))

    draw()
    assert reached == {"ONCE", "REPEATED", "DIRECT", "SIGNED"}


@pytest.mark.parametrize("name", sorted(EVERY_COUNT))
def test_the_models_of_every_count_have_the_kernels_of_their_names(name, monkeypatch):
    # Where weights of two are a form as well as blocks of four, the name says which is meant.
    wanted = "unstructured" if "unstructured" in name else "sparse"
    monkeypatch.setattr(
        sparse,
        "better",
        lambda dense, *found: next(call for call in found if call and call.kernel.endswith(wanted)),
    )
    kernel, chain, way = name.rsplit("_", 2)
    model = compile_model(EVERY_COUNT[name])
    assert model.layers[0].kernel == f"aot_{kernel}"
    source = model.sources["aot_model.c"]
    assert re.search(f"AOT_CHAIN_[A-Z_]+_{chain.upper()}", source)
    assert re.search(f"AOT_FINISH_[A-Z_]+_{way.upper()}", source)


def _matrix(data, *, scale=64.0, bias=None, zero_point=-128, activation=1, weight_scale=1.0):
    model = TfliteBuilder()
    data = np.asarray(data)
    x = model.tensor((1, data.shape[1]), scale=1.0)
    w = model.tensor(data.shape, scale=weight_scale, data=data)
    operands = [x, w]
    if bias is not None:
        operands.append(model.tensor((len(bias),), "INT32", scale=1.0, data=bias))
    y = model.tensor((1, data.shape[0]), scale=scale, zero_point=zero_point)
    model.operator("FULLY_CONNECTED", operands, [y], FusedActivationFunction=activation)
    return _variant(compile_model(model.build([x], [y])))


SHIFTED = "aot_fully_connected_matmul AOT_FINISH_SINGLE_SHIFTED"
SIGNED = "aot_fully_connected_matmul AOT_FINISH_SINGLE_SIGNED"
PLAIN = "aot_fully_connected"


def test_a_relu_is_shifted_and_others_are_signed():
    weights = np.full((4, 8), 3)
    assert _matrix(weights) == SHIFTED
    # Ties of negative sums matter as soon as the zero point is not the least output.
    assert _matrix(weights, zero_point=-127, activation=0) == SIGNED
    assert _matrix(weights, zero_point=0, activation=0) == SIGNED
    # A ReLU whose zero point is not -128 clamps at it.
    assert _matrix(weights, zero_point=5, activation=1) == SHIFTED


def test_a_weight_that_cannot_lend_makes_the_layer_plain():
    lending = [[-1] * 8, [-128] * 8]
    assert _matrix(lending) == PLAIN
    assert _matrix([[1] * 8, [-128] * 8]) == SHIFTED
    assert _matrix([[-128] * 8, [-1] * 8]) == SHIFTED


def test_the_sum_of_a_second_channel_must_keep_24_bits():
    def with_bias(first, second):
        return _matrix(np.full((2, 8), 127), bias=[first, second], scale=2.0**16)

    limit = (1 << 23) - 1 - 127 * 8 * 127
    assert with_bias(0, limit) == SHIFTED
    assert with_bias(0, limit + 1) == PLAIN
    assert with_bias(limit + 1, 0) == SHIFTED


def test_factors_of_one_and_more_make_the_layer_plain():
    weights = np.ones((4, 8))
    assert _matrix(weights, scale=1.0) == PLAIN
    assert _matrix(weights, scale=0.25) == PLAIN


def test_a_channel_with_one_possible_output_needs_no_condition(monkeypatch):
    monkeypatch.setattr(sparse, "better", lambda dense, found: dense)
    # A channel that pruning has left dead, with a bias out of all proportion.
    weights = np.stack([np.ones(8), np.zeros(8)])
    assert _matrix(weights, bias=[0, 1 << 30], weight_scale=[1.0, 1e-9]) == SHIFTED


def test_a_matrix_that_would_waste_flash_is_plain():
    assert _matrix(np.ones((1, 300)), scale=2.0**9) == SHIFTED
    assert _matrix(np.ones((1, 400)), scale=2.0**9) == PLAIN


def _blocks(outputs, inputs, kept):
    """Weights of which the first `kept` of every block row are not zero."""
    weights = np.full((outputs, inputs), 3)
    weights[:, 4 * kept :] = 0
    return weights


def test_zero_blocks_are_left_out_where_that_takes_less():
    assert _matrix(_blocks(16, 64, 4)).startswith("aot_fully_connected_sparse")
    assert _matrix(_blocks(16, 64, 16)) == SHIFTED
    # So many blocks that storing places costs more than the zeros.
    assert _matrix(_blocks(16, 64, 15)) == SHIFTED
    # Zeros that are spread over the blocks gain nothing.
    spread = np.tile([3, 0, 0, 0], (16, 16))
    assert _matrix(spread) == SHIFTED
    # A place is a byte.
    assert _matrix(_blocks(16, 1024, 4), scale=2.0**9).startswith("aot_fully_connected_sparse")
    assert _matrix(_blocks(16, 1032, 4), scale=2.0**9) == SHIFTED.replace("matmul", "direct")


def test_a_sparse_layer_that_would_be_slower_stays_dense(monkeypatch):
    assert _matrix(_blocks(16, 64, 4)).startswith("aot_fully_connected_sparse")
    monkeypatch.setattr(
        cost, "predicted_instructions", lambda call: 2 if call.kernel.endswith("sparse") else 1
    )
    assert _matrix(_blocks(16, 64, 4)) == SHIFTED
    monkeypatch.setattr(cost, "predicted_instructions", lambda call: None)
    assert _matrix(_blocks(16, 64, 4)) == SHIFTED


def _rows(weights, *, rows=16, bias=None, scale=16.0):
    """The kernel that is chosen for a matrix times so many rows, and the sparse choice."""
    model = TfliteBuilder()
    weights = np.asarray(weights)
    outputs, inputs = weights.shape
    x = model.tensor((1, rows, inputs), scale=1.0)
    operands = [x, model.tensor(weights.shape, scale=1.0, data=weights)]
    if bias is not None:
        operands.append(model.tensor((outputs,), "INT32", scale=1.0, data=bias))
    y = model.tensor((1, rows, outputs), scale=scale, zero_point=-128)
    model.operator("FULLY_CONNECTED", operands, [y], FusedActivationFunction=1, KeepNumDims=True)
    (layer,) = compile_model(model.build([x], [y])).layers
    return layer.kernel, layer.sparse_choice


def _scattered(outputs, inputs, step, value=3):
    """Weights of which every one of `step` is not zero, elsewhere in each channel."""
    weights = np.zeros((outputs, inputs), int)
    for channel in range(outputs):
        weights[channel, channel % step :: step] = value
    return weights


UNSTRUCTURED = "aot_rows_unstructured"


def test_zeros_anywhere_are_left_out_where_that_takes_less():
    assert _rows(_scattered(32, 64, 4))[0] == UNSTRUCTURED
    assert _rows(_scattered(32, 64, 3))[0] == UNSTRUCTURED
    # Two bytes for each weight that is left are no gain.
    kernel, choice = _rows(_scattered(32, 64, 2))
    assert (kernel, choice.taken) == ("aot_rows_matmul", False)
    assert choice.sparse.bytes >= choice.dense.bytes
    assert _rows(np.full((32, 64), 3)) == ("aot_rows_matmul", None)


def test_zeros_in_blocks_are_left_out_in_blocks():
    kernel, choice = _rows(_blocks(32, 64, 4))
    assert (kernel, choice.sparse.kernel) == ("aot_rows_sparse", "aot_rows_sparse")


def test_a_product_of_fewer_than_eight_rows_has_no_unstructured_form():
    assert _rows(_scattered(32, 64, 8), rows=8)[0] == UNSTRUCTURED
    assert _rows(_scattered(32, 64, 8), rows=7)[0] != UNSTRUCTURED
    # It widens four inputs at once.
    assert _rows(_scattered(32, 62, 8))[0] != UNSTRUCTURED


def test_a_product_whose_widened_inputs_take_much_has_no_unstructured_form():
    assert _rows(_scattered(16, 256, 8))[0] == UNSTRUCTURED
    assert _rows(_scattered(16, 260, 8))[0] != UNSTRUCTURED


def test_the_sums_of_all_channels_must_keep_24_bits_in_an_unstructured_form():
    weights = _scattered(32, 64, 4, value=127)
    limit = (1 << 23) - 1 - 16 * 127 * 127
    for channel in (0, 1):
        bias = np.zeros(32, int)
        bias[channel] = limit
        assert _rows(weights, bias=bias, scale=2.0**16)[0] == UNSTRUCTURED
        bias[channel] += 1
        assert _rows(weights, bias=bias, scale=2.0**16)[0] != UNSTRUCTURED


def _call(kernel, constant_bytes):
    table = Table("weights", np.zeros(constant_bytes, np.int8))
    return KernelCall(f"{kernel}.h", kernel, kernel, struct(weights=table), (0,), 1)


@pytest.mark.parametrize(
    ("predicted", "best", "taken"),
    [
        ({"dense": 100, "a": 90, "b": 80}, "b", True),
        # Fewer bytes than another sparse form are not worth more instructions.
        ({"dense": 100, "a": 70, "b": 80}, "a", True),
        ({"dense": 100, "a": 80, "b": 80}, "b", True),
        ({"dense": 100, "a": None, "b": 99}, "b", True),
        # Fewer instructions for as many bytes is no gain, nor as many for fewer.
        ({"dense": 100, "large": 1}, "large", False),
        ({"dense": 100, "large": 1, "a": 99}, "a", True),
        ({"dense": 100, "large": 1, "a": 100}, "large", False),
        ({"dense": None, "a": 1}, "a", False),
        ({"dense": 100, "a": None}, "a", False),
    ],
)
def test_a_sparse_form_is_taken_only_where_it_loses_nothing(predicted, best, taken, monkeypatch):
    monkeypatch.setattr(cost, "predicted_instructions", lambda call: predicted[call.kernel])
    sizes = {"dense": 1000, "large": 1000, "a": 600, "b": 500}
    dense, *found = (_call(kernel, sizes[kernel]) for kernel in predicted)
    call = sparse.better(dense, *found, None)
    assert call.kernel == (best if taken else "dense")
    assert call.sparse_choice == SparseChoice(
        Form("dense", 1000, predicted["dense"]), Form(best, sizes[best], predicted[best]), taken
    )


def test_a_layer_without_a_sparse_form_says_so():
    dense = _call("dense", 10)
    assert sparse.better(dense, None) is dense
    assert dense.sparse_choice is None
