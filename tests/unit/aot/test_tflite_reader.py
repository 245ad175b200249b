# SPDX-License-Identifier: Apache-2.0
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.aot.ir import (
    Activation,
    AddOptions,
    BatchMatmulOptions,
    ConvolutionOptions,
    DepthwiseOptions,
    FullyConnectedOptions,
    LeakyReluOptions,
    LstmOptions,
    Padding,
    PoolOptions,
    SoftmaxOptions,
    WindowOptions,
)
from mcu_ser.aot.states import has_states
from mcu_ser.aot.tflite_reader import read_model
from mcu_ser.errors import ModelError
from tests import plain_layers, plain_lstm
from tests.tflite_builder import TfliteBuilder


def _small(**changes):
    """One FULLY_CONNECTED layer, with whatever a test wants to be wrong."""
    model = TfliteBuilder(**changes)
    x = model.tensor((1, 2), scale=0.5, zero_point=3, name="input")
    w = model.tensor((3, 2), scale=[0.1, 0.2, 0.3], data=[[1, 2], [3, 4], [5, 6]], name="weights")
    b = model.tensor((3,), "INT32", scale=[0.1, 0.1, 0.1], data=[7, 8, 9])
    y = model.tensor((1, 3), scale=0.25, name="output")
    model.operator("FULLY_CONNECTED", [x, w, b], [y], FusedActivationFunction=1)
    return model, x, y


def _small_file():
    model, x, y = _small()
    return model.build([x], [y])


def fails(file, *parts):
    with pytest.raises(ModelError) as caught:
        read_model(file, "m.tflite")
    text = str(caught.value)
    assert text.startswith("m.tflite: ")
    for part in parts:
        assert part in text
    return text


def test_tensors_and_operators_are_read_as_they_are():
    graph = read_model(_small_file())
    assert [t.name for t in graph.tensors] == ["input", "weights", "t2", "output"]
    assert [t.shape for t in graph.tensors] == [(1, 2), (3, 2), (3,), (1, 3)]
    assert [t.dtype for t in graph.tensors] == ["INT8", "INT8", "INT32", "INT8"]
    assert graph.tensors[0].scale == 0.5
    assert graph.tensors[0].zero_point == 3
    assert graph.tensors[1].quantization.scales == tuple(np.float32([0.1, 0.2, 0.3]).tolist())
    assert graph.tensors[0].data is None
    assert graph.tensors[1].data.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert graph.tensors[2].data.tolist() == [7, 8, 9]
    (operator,) = graph.operators
    assert (operator.opcode, operator.inputs, operator.outputs) == ("FULLY_CONNECTED", (0, 1, 2), (3,))
    assert operator.options == FullyConnectedOptions(Activation.RELU, 0)
    assert (graph.inputs, graph.outputs) == ((0,), (3,))
    assert graph.layer_name(operator) == "output"


def test_constants_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        read_model(_small_file()).tensors[1].data[0] = 0


@pytest.mark.parametrize(
    ("opcode", "given_options", "expected"),
    [
        (
            "CONV_2D",
            {"Padding": 1, "StrideH": 2, "StrideW": 3, "DilationHFactor": 4, "DilationWFactor": 5},
            ConvolutionOptions(Padding.VALID, (2, 3), (4, 5), Activation.NONE),
        ),
        (
            "CONV_2D",
            {"StrideH": 1, "StrideW": 1, "QuantizedBiasType": 2},
            ConvolutionOptions(Padding.SAME, (1, 1), (1, 1), Activation.NONE, int32_sums=True),
        ),
        (
            "FULLY_CONNECTED",
            {"FusedActivationFunction": 1, "QuantizedBiasType": 2},
            FullyConnectedOptions(Activation.RELU, 0, int32_sums=True),
        ),
        (
            "TRANSPOSE_CONV",
            {"Padding": 1, "StrideH": 2, "StrideW": 3, "FusedActivationFunction": 1},
            WindowOptions(Padding.VALID, (2, 3), (1, 1), Activation.RELU),
        ),
        ("BATCH_MATMUL", {"AdjY": True}, BatchMatmulOptions(first_swapped=False, second_swapped=True)),
        (
            "DEPTHWISE_CONV_2D",
            {"StrideH": 1, "StrideW": 2, "DepthMultiplier": 6, "FusedActivationFunction": 3},
            DepthwiseOptions(Padding.SAME, (1, 2), (1, 1), Activation.RELU6, 6),
        ),
        (
            "AVERAGE_POOL_2D",
            {"StrideH": 1, "StrideW": 2, "FilterHeight": 3, "FilterWidth": 4, "FusedActivationFunction": 2},
            PoolOptions(Padding.SAME, (1, 2), (1, 1), Activation.RELU_N1_TO_1, (3, 4)),
        ),
        ("LEAKY_RELU", {"Alpha": -0.5}, LeakyReluOptions(-0.5)),
        ("ADD", {"FusedActivationFunction": 1}, AddOptions(Activation.RELU)),
        ("SOFTMAX", {"Beta": 0.5}, SoftmaxOptions(0.5)),
        (
            "UNIDIRECTIONAL_SEQUENCE_LSTM",
            {"FusedActivationFunction": 4, "CellClip": 0.5, "TimeMajor": True},
            LstmOptions(Activation.TANH, 0.5, time_major=True, diagonal=False),
        ),
        (
            "UNIDIRECTIONAL_SEQUENCE_LSTM",
            {"DiagonalRecurrentTensors": True},
            LstmOptions(Activation.NONE, 0.0, time_major=False, diagonal=True),
        ),
        ("RESHAPE", {}, None),
    ],
)
def test_options_are_read(opcode, given_options, expected):
    model = TfliteBuilder()
    x, y = model.tensor((1, 1)), model.tensor((1, 1))
    model.operator(opcode, [x], [y], **given_options)
    assert read_model(model.build([x], [y])).operators[0].options == expected


def test_unknown_operators_are_read_for_the_rules_to_refuse():
    model = TfliteBuilder()
    x, y = model.tensor((1, 1)), model.tensor((1, 1))
    model.operator("CUMSUM", [x], [y])
    assert read_model(model.build([x], [y])).operators[0].opcode == "CUMSUM"


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\0" * 7])
def test_a_file_of_a_few_bytes_is_no_model(content):
    fails(content, "is not a .tflite", f"{len(content)} bytes")


def test_another_format_is_no_model():
    fails(b"RIFF....WAVEfmt " * 10, "is not a .tflite", "TFL3 is missing")


def test_another_schema_version():
    model, x, y = _small(version=2)
    fails(model.build([x], [y]), "schema version 2", "limit version 3")


@pytest.mark.parametrize("count", [0, 2])
def test_more_or_less_than_one_subgraph(count):
    model, x, y = _small(subgraphs=count)
    fails(model.build([x], [y]), f"{count} subgraphs", "limit 1 subgraph")


def test_a_truncated_file_is_told_what_to_do():
    file = _small_file()
    assert fails(file[: len(file) // 2]) == (
        "m.tflite: is damaged or truncated; try: copying or converting the model again"
    )


def test_every_truncation_is_an_error_or_a_whole_model():
    file = _small_file()
    for length in range(len(file)):
        try:
            read_model(file[:length], "m.tflite")
        except ModelError as error:
            assert "m.tflite" in str(error)
        else:
            # Some trailing bytes are padding.
            assert length > len(file) - 16


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=8))
def test_damage_anywhere_is_an_error_or_another_model(changes):
    file = bytearray(_small_file())
    for position, value in changes:
        file[position % len(file)] = value
    try:
        graph = read_model(bytes(file))
    except ModelError:
        return
    assert all(0 <= i < len(graph.tensors) for i in graph.outputs)


@given(st.binary(max_size=200))
def test_garbage_behind_the_identifier_is_an_error(garbage):
    with pytest.raises(ModelError):
        read_model(struct.pack("<I", 8) + b"TFL3" + garbage)


def test_a_vector_longer_than_the_file_is_an_error():
    file = bytearray(_small_file())
    # The vector of the weights: its length, then its bytes.
    at = file.index(bytes([6, 0, 0, 0, 1, 2, 3, 4, 5, 6]))
    file[at : at + 4] = struct.pack("<I", 0x7FFFFFFF)
    fails(bytes(file), "is damaged: claims 2147483647 bytes of a constant")


@pytest.mark.parametrize("shape", [(1, -1), (0, 3), (-2147483648,)])
def test_unknown_dimensions_are_an_error(shape):
    model = TfliteBuilder()
    x = model.tensor(shape, name="wild")
    fails(model.build([x], [x]), "tensor 0 (wild)", str(list(shape)), "fixed input shape")


def test_too_many_dimensions_are_an_error():
    model = TfliteBuilder()
    x = model.tensor((1,) * 9)
    fails(model.build([x], [x]), "has 9 dimensions", "limit 8")


def test_too_many_elements_are_an_error():
    model = TfliteBuilder()
    x = model.tensor((1 << 20, 1 << 11))
    fails(model.build([x], [x]), "has 2147483648 elements")


def test_a_constant_of_the_wrong_size_is_an_error():
    model = TfliteBuilder()
    x = model.tensor((2, 2), "INT32", data=b"\0" * 12)
    fails(model.build([x], [x]), "needs 16 bytes of data and has 12")


def test_a_tensor_that_does_not_exist_is_an_error():
    model, x, _ = _small()
    fails(model.build([x], [9]), "names tensor 9, which does not exist", "limit 4 tensors")


def test_an_operand_that_does_not_exist_is_an_error():
    model, x, y = _small()
    model.operator("RELU", [-2], [y])
    fails(model.build([x], [y]), "operator 1 (RELU) names tensor -2")


def test_a_value_that_is_used_before_it_is_computed_is_an_error():
    model = TfliteBuilder()
    x, y, z = (model.tensor((1, 1)) for _ in range(3))
    model.operator("RELU", [y], [z])
    model.operator("RELU", [x], [y])
    fails(model.build([x], [z]), "operator 0 (RELU) reads tensor 1 before anything computes it")


def test_a_value_that_is_computed_twice_is_an_error():
    model = TfliteBuilder()
    x, y = model.tensor((1, 1)), model.tensor((1, 1))
    model.operator("RELU", [x], [y])
    model.operator("RELU6", [x], [y])
    fails(model.build([x], [y]), "operator 1 (RELU6) writes tensor 1, which already has a value")


def test_an_output_that_nothing_computes_is_an_error():
    model = TfliteBuilder()
    x, y = model.tensor((1, 1)), model.tensor((1, 1))
    fails(model.build([x], [y]), "nothing computes output tensor 1")


def test_missing_options_are_an_error():
    model = TfliteBuilder()
    x, y = model.tensor((1, 1)), model.tensor((1, 1))
    model.operator("SOFTMAX", [x], [y], table=None)
    fails(model.build([x], [y]), "operator 0 (SOFTMAX) has no SoftmaxOptions")


def test_options_of_another_operator_are_an_error():
    model = TfliteBuilder()
    x, y = model.tensor((1, 1)), model.tensor((1, 1))
    model.operator("CONV_2D", [x], [y], table="SoftmaxOptions", Beta=1.0)
    fails(model.build([x], [y]), "operator 0 (CONV_2D) has no Conv2DOptions")


def test_an_unknown_activation_is_an_error():
    model = TfliteBuilder()
    x, y = model.tensor((1, 1)), model.tensor((1, 1))
    model.operator("ADD", [x, x], [y], FusedActivationFunction=77)
    fails(model.build([x], [y]), "operator 0 (ADD) has an unknown option: 77")


_NO_STATE = "is a variable that lives from one inference to the next, and not the state of one layer"


def test_a_variable_is_an_error():
    model = TfliteBuilder()
    x = model.tensor((1, 1), variable=True)
    fails(model.build([x], [x]), _NO_STATE)


def test_a_variable_that_another_layer_reads_is_an_error():
    model = TfliteBuilder()
    x, y, state = (model.tensor((1, 1), variable=v, name=n) for v, n in ((0, "x"), (0, "y"), (1, "s")))
    model.operator("ADD", [x, state], [y])
    fails(model.build([x], [y]), f"tensor 2 (s) {_NO_STATE}")


@pytest.mark.parametrize("place", [9, 18])
def test_a_state_of_two_places_is_an_error(place):
    # One layer would go on from the state of the other, or read it as something else.
    fails(plain_lstm.lstm(same={place: 19}), f"(c) {_NO_STATE}")


def test_a_state_with_a_value_is_an_error():
    fails(plain_lstm.lstm({18: {"data": [1, 2]}}), f"(h) {_NO_STATE}")


def test_an_output_that_is_a_state_is_an_error():
    model = TfliteBuilder()
    x, state = model.tensor((1, 1)), model.tensor((1, 1), variable=True)
    model.operator("RELU", [x], [state])
    fails(model.build([x], [x]), "writes tensor 1, which already has a value")


def test_a_state_is_read():
    graph = read_model(plain_lstm.lstm())
    assert [t.name for t in graph.tensors if t.is_variable] == ["h", "c"]
    assert has_states(graph)
    assert not has_states(read_model(plain_layers.VALID["RELU"]))


def test_an_empty_tensor_that_nothing_uses_may_be_there():
    """Converters leave some beside an LSTM."""
    model = TfliteBuilder()
    x, y = model.tensor((1, 1)), model.tensor((1, 1))
    model.tensor((0,), "FLOAT32", name="empty")
    model.operator("RELU", [x], [y])
    assert read_model(model.build([x], [y])).tensors[2].shape == (0,)


def test_an_empty_tensor_that_is_used_is_an_error():
    model = TfliteBuilder()
    x, y = model.tensor((1, 0), name="x"), model.tensor((1, 1))
    model.operator("RELU", [x], [y])
    fails(model.build([x], [y]), "tensor 0 (x) has shape [1, 0]; every dimension must be known")


def test_a_sparse_encoding_is_an_error():
    model = TfliteBuilder()
    x = model.tensor((1, 1), sparse=True, name="holes")
    fails(model.build([x], [x]), "tensor 0 (holes) is stored in a sparse encoding")


def test_data_outside_of_the_flatbuffer_is_an_error():
    model = TfliteBuilder()
    x = model.tensor((1, 1), external=True)
    fails(model.build([x], [x]), "is stored outside of the flatbuffer")


def test_a_buffer_that_does_not_exist_is_an_error():
    model = TfliteBuilder()
    x = model.tensor((1, 1), buffer=7)
    fails(model.build([x], [x]), "tensor 0 (t0) names buffer 7, limit 2 buffers")


def test_an_operator_code_that_does_not_exist_is_an_error():
    model = TfliteBuilder()
    x, y = model.tensor((1, 1)), model.tensor((1, 1))
    model.operator("RELU", [x], [y], code=3)
    fails(model.build([x], [y]), "operator 0 has operator code 3, limit 1 operator codes")


def test_scales_without_as_many_zero_points_are_an_error():
    model = TfliteBuilder()
    x = model.tensor((1, 1), scale=[1.0, 2.0, 3.0], zero_point=[0, 0])
    fails(model.build([x], [x]), "has 3 scales and 2 zero points")


def test_names_cannot_garble_a_terminal():
    model = TfliteBuilder()
    x = model.tensor((1, 1), name="a\x1b[31m\nb\r*/")
    assert read_model(model.build([x], [x])).tensors[0].name == "a?[31m?b?*/"
