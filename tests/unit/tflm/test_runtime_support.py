# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from mcu_ser.aot.compile import compile_model
from mcu_ser.aot.supported import RULES
from mcu_ser.aot.tflite_reader import read_model
from mcu_ser.board import list_boards, load_board
from mcu_ser.errors import ConfigError, ModelError
from mcu_ser.generate.byte_arrays import RESOLVER_METHODS
from mcu_ser.tflm.requirements import tflm_requirements
from mcu_ser.tflm.runtime_support import (
    CHIRALE_2_0_0,
    CURRENT_TFLM,
    check_runtime,
    find_refusals,
    runtime_for,
)
from tests import plain_lstm
from tests.plain_lstm import lstm
from tests.tflite_builder import TfliteBuilder
from tests.tiny_model import tiny_classifier

BOTH = pytest.mark.parametrize("runtime", [CURRENT_TFLM, CHIRALE_2_0_0], ids=lambda runtime: runtime.name)


def dense(*, scales=1, version=4, dtype="INT8", bias="INT32"):
    """FULLY_CONNECTED 4 -> 3 named dense, with so many weight scales."""
    model = TfliteBuilder()
    x = model.tensor((1, 4), dtype, scale=0.5)
    scale = [0.25] * scales
    weights = model.tensor((3, 4), scale=scale, data=np.ones((3, 4), np.int8))
    offset = model.tensor((3,), bias, scale=[0.125] * scales, data=np.zeros(3, np.int32))
    y = model.tensor((1, 3), dtype, scale=0.5, name="dense")
    model.operator("FULLY_CONNECTED", [x, weights, offset], [y], version=version)
    return model.build([x], [y])


def convolution(*, input_channels, kernel_channels, version):
    model = TfliteBuilder()
    x = model.tensor((1, 4, 4, input_channels), scale=0.5)
    kernel = model.tensor(
        (4, 1, 1, kernel_channels), scale=0.25, data=np.ones((4, 1, 1, kernel_channels), np.int8)
    )
    y = model.tensor((1, 4, 4, 4), scale=0.5, name="conv")
    model.operator("CONV_2D", [x, kernel, -1], [y], StrideH=1, StrideW=1, version=version)
    return model.build([x], [y])


def one_operator(opcode, version):
    model = TfliteBuilder()
    x, y = model.tensor((1, 4), scale=0.5), model.tensor((1, 4), scale=0.5, name="layer")
    model.operator(opcode, [x], [y], version=version)
    return model.build([x], [y])


def refusals(file, runtime):
    return find_refusals(read_model(file, "m.tflite"), runtime)


@BOTH
def test_a_model_of_this_project_is_not_refused(runtime):
    assert refusals(tiny_classifier(), runtime) == ()


def test_every_operator_of_the_other_engine_is_known():
    # An older library is asked for no more than it was tried with.
    assert CHIRALE_2_0_0.operators.items() <= CURRENT_TFLM.operators.items()
    assert RULES.keys() <= CURRENT_TFLM.operators.keys()


@BOTH
def test_every_known_operator_has_a_resolver_method(runtime):
    assert runtime.operators.keys() <= RESOLVER_METHODS.keys()


@BOTH
def test_an_operator_that_is_not_known_is_refused(runtime):
    (refusal,) = refusals(one_operator("LSTM", 1), runtime)
    assert (refusal.index, refusal.opcode, refusal.name) == (0, "LSTM", "layer")
    assert refusal.reason.startswith(f"{runtime.name} is not known to run it; it runs ADD, A")
    assert refusal.remedy == "a model of these, or --engine aot"


@BOTH
@pytest.mark.parametrize("opcode", ["RELU", "SOFTMAX"])
def test_a_version_above_the_known_one_is_refused(runtime, opcode):
    assert refusals(one_operator(opcode, 2), runtime) == ()
    (refusal,) = refusals(one_operator(opcode, 3), runtime)
    assert refusal.reason == f"its version is 3, {runtime.name} runs up to 2"


def test_an_operator_newer_than_the_arduino_library_is_refused_there_alone():
    assert refusals(one_operator("TANH", 2), CURRENT_TFLM) == ()
    assert "not known to run it" in refusals(one_operator("TANH", 2), CHIRALE_2_0_0)[0].reason


@BOTH
def test_dense_weights_of_one_scale_are_not_refused(runtime):
    assert refusals(dense(scales=1), runtime) == ()


def test_per_channel_dense_weights_are_refused_where_they_would_be_computed_wrong():
    assert refusals(dense(scales=3), CURRENT_TFLM) == ()
    (refusal,) = refusals(dense(scales=3), CHIRALE_2_0_0)
    assert str(refusal) == (
        "layer 0, FULLY_CONNECTED (dense): its weights have 3 scales, the Arduino library "
        "Chirale_TensorFLowLite 2.0.0 uses the first for all; try: the converter's "
        "_experimental_disable_per_channel_quantization_for_dense_layers = True, or --engine aot"
    )


@BOTH
def test_a_grouped_convolution_is_refused(runtime):
    whole = convolution(input_channels=4, kernel_channels=4, version=3)
    grouped = convolution(input_channels=4, kernel_channels=2, version=3)
    assert refusals(whole, runtime) == ()
    assert "it sees 2 of 4 channels" in refusals(grouped, runtime)[0].reason
    (refusal,) = refusals(convolution(input_channels=4, kernel_channels=2, version=6), runtime)
    assert refusal.reason.startswith("its version is 6")


@BOTH
@pytest.mark.parametrize("dtype", ["INT16", "FLOAT32"])
def test_other_data_than_int8_is_refused(runtime, dtype):
    (refusal,) = refusals(dense(dtype=dtype), runtime)
    assert refusal.reason.endswith(f"is {dtype}, not INT8")


@BOTH
def test_another_bias_than_int32_is_refused(runtime):
    (refusal,) = refusals(dense(bias="INT64"), runtime)
    assert refusal.reason == "its bias is INT64, not INT32"


def test_an_lstm_is_not_refused():
    assert refusals(lstm(), CURRENT_TFLM) == ()
    (refusal,) = refusals(lstm(), CHIRALE_2_0_0)
    assert "is not known to run it" in refusal.reason


@pytest.mark.parametrize("name", sorted(plain_lstm.BROKEN))
def test_an_lstm_that_the_other_engine_refuses_is_refused(name):
    # The interpreter refuses some, and computes others as if they were plain.
    file, _ = plain_lstm.BROKEN[name]
    (refusal,) = refusals(file, CURRENT_TFLM)
    assert refusal.opcode == "UNIDIRECTIONAL_SEQUENCE_LSTM"


def test_an_lstm_with_scales_per_cell_says_so():
    (refusal,) = refusals(lstm({6: {"scale": [0.1, 0.2]}}), CURRENT_TFLM)
    assert (refusal.reason, refusal.remedy) == (
        "weights must be quantised with one scale and zero point 0 (w has 2 scales)",
        "a plain LSTM layer in full-integer int8 quantisation",
    )


def test_an_lstm_without_limit_is_refused_where_cmsis_nn_may_take_it_for_0():
    (refusal,) = refusals(lstm(options={"CellClip": 0.0}), CURRENT_TFLM)
    assert (refusal.reason, refusal.remedy) == (
        "its cell state has no limit, and CMSIS-NN takes that for a limit of 0",
        "--engine aot",
    )


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ((1,), None),
        ((9,), "(axis 9 of 2 dimensions)"),
        (None, "(a tensor is not given)"),
        ((), "(1 inputs, 1 outputs)"),
    ],
)
def test_an_axis_that_there_is_not_is_refused(given, reason):
    model = TfliteBuilder()
    x, y = model.tensor((1, 4), scale=0.1), model.tensor((1,), "INT32")
    axis = {None: [-1], (): []}.get(given) if not given else [model.tensor((), "INT32", data=given)]
    model.operator("ARG_MAX", [x, *axis], [y], OutputType=2)
    found = refusals(model.build([x], [y]), CURRENT_TFLM)
    assert [refusal.reason.endswith(reason) for refusal in found] == ([True] if reason else [])


def test_the_error_names_every_layer():
    model = TfliteBuilder()
    x = model.tensor((1, 4), scale=0.5)
    y = model.tensor((1, 4), scale=0.5, name="first")
    z = model.tensor((1, 4), scale=0.5, name="second")
    model.operator("LSTM", [x], [y])
    model.operator("RELU", [y], [z], version=9)
    graph = read_model(model.build([x], [z]), "m.tflite")
    with pytest.raises(ModelError) as caught:
        check_runtime(graph, CURRENT_TFLM)
    text = str(caught.value)
    assert text.startswith("m.tflite: has 2 layers that TFLite-Micro does not run right:\n  layer 0, LSTM")
    assert "\n  layer 1, RELU (second): its version is 9" in text


def test_the_runtime_follows_the_board():
    expected = {"host": None, "arduino": CHIRALE_2_0_0}
    for board in list_boards():
        assert runtime_for(board) is expected.get(board.platform, CURRENT_TFLM)


def test_an_arduino_library_that_nobody_looked_into_is_an_error():
    board = load_board("arduino_nano_33_ble")
    library = board.build.tflm_library.model_copy(update={"version": "2.1.0"})
    board = board.model_copy(update={"build": board.build.model_copy(update={"tflm_library": library})})
    with pytest.raises(ConfigError, match=r"Chirale_TensorFLowLite 2\.1\.0 is none that mcu-ser knows"):
        runtime_for(board)


def test_requirements_of_a_model():
    file = tiny_classifier()
    needs = tflm_requirements(file, read_model(file), CURRENT_TFLM)
    assert needs.flash_bytes == len(file)
    assert needs.macs == compile_model(file).macs > 0
    assert needs.arena_bytes % 16 == 0
    assert needs.arena_peak == 0  # CONV_2D, whose scratch buffer counts
    assert needs.refusals == ()
