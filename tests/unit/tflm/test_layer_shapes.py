# SPDX-License-Identifier: Apache-2.0
"""Layers without the operands or dimensions that they must have are refused, not looked into."""

import numpy as np
import pytest

from mcu_ser.aot.rules import MAX_PARTS
from mcu_ser.aot.tflite_reader import read_model
from mcu_ser.board import load_board
from mcu_ser.errors import ModelError
from mcu_ser.generate.assessment import assess, check_runnable
from mcu_ser.generate.engine_model import engine_model
from mcu_ser.tflm.layer_shapes import broken_layer
from mcu_ser.tflm.requirements import tflm_requirements
from mcu_ser.tflm.runtime_support import CHIRALE_2_0_0, CURRENT_TFLM, find_refusals
from tests.mutated_models import outcome
from tests.plain_lstm import lstm
from tests.tflite_builder import TfliteBuilder
from tests.tiny_model import tiny_classifier

SQUARE = (1, 4, 4, 1)
BOTH = pytest.mark.parametrize("runtime", [CURRENT_TFLM, CHIRALE_2_0_0], ids=lambda runtime: runtime.name)


def _model(opcode, operands, result, **options):
    """One layer between two RESHAPEs; an operand is a shape, "data" for what the first RESHAPE gives, or -1.

    A constant operand is a shape in a list; `result` is None for a layer without result.
    """
    model = TfliteBuilder()
    x, y = model.tensor((1, 16), scale=0.5), model.tensor((1, 16), scale=0.5)
    inputs = []
    for operand in operands:
        if operand == -1:
            inputs.append(-1)
        elif isinstance(operand, list):
            values = np.ones(operand[0], np.int8)
            inputs.append(model.tensor(operand[0], scale=0.5, data=values, name="w"))
        else:
            inputs.append(model.tensor(operand, scale=0.5, name="data"))
            model.operator("RESHAPE", [x], [inputs[-1]])
    outputs = [] if result is None else [model.tensor(result, scale=0.5, name="layer")]
    model.operator(opcode, inputs, outputs, **options)
    model.operator("RESHAPE", [*outputs, x][:1], [y])
    return model.build([x], [y])


_STEP = {"StrideH": 1, "StrideW": 1}
_POOL = {**_STEP, "FilterHeight": 4, "FilterWidth": 4}

BROKEN = {
    "pool to scalar": (_model("AVERAGE_POOL_2D", [SQUARE], (), **_POOL), "layer has 0 dimensions, not 4"),
    "pool of rows": (_model("MAX_POOL_2D", [(4, 4)], SQUARE, **_POOL), "data has 2 dimensions, not 4"),
    "pool without result": (_model("AVERAGE_POOL_2D", [SQUARE], None, **_POOL), "(1 inputs, 0 outputs)"),
    "transposed, one operand": (_model("TRANSPOSE_CONV", [SQUARE], SQUARE, **_STEP), "(1 inputs, 1 outputs)"),
    "transposed, no data": (
        _model("TRANSPOSE_CONV", [[(4,)], [(1, 1, 1, 1)], -1], SQUARE, **_STEP),
        "(a tensor is not given)",
    ),
    "transposed, weights of rank 3": (
        _model("TRANSPOSE_CONV", [[(4,)], [(3, 3, 1)], SQUARE], SQUARE, **_STEP),
        "w has 3 dimensions, not 4",
    ),
    "transposed, rows": (
        _model("TRANSPOSE_CONV", [[(4,)], [(1, 1, 1, 1)], (4, 4)], SQUARE, **_STEP),
        "data has 2 dimensions, not 4",
    ),
    "product of one": (_model("BATCH_MATMUL", [(4, 4)], (4, 4)), "(1 inputs, 1 outputs)"),
    "product of a row": (
        _model("BATCH_MATMUL", [(4, 4), (16,)], (4, 4)),
        "data has 1 dimensions, not 2 .. 5",
    ),
    "dense without result": (
        _model("FULLY_CONNECTED", [(1, 16), [(16, 16)]], None),
        "(2 inputs, 0 outputs)",
    ),
    "dense without weights": (_model("FULLY_CONNECTED", [(1, 16), -1], (1, 16)), "(a tensor is not given)"),
    "dense, scalar weights": (
        _model("FULLY_CONNECTED", [(1, 16), [()]], (1, 16)),
        "w has 0 dimensions, not 2",
    ),
    "dense to scalar": (
        _model("FULLY_CONNECTED", [(1, 16), [(1, 16)]], ()),
        "layer has 0 dimensions, not 1 .. 8",
    ),
    "convolution of a scalar": (
        _model("CONV_2D", [(), [(1, 1, 1, 1)]], SQUARE, **_STEP),
        "data has 0 dimensions, not 4",
    ),
    "depthwise, rank 3": (
        _model("DEPTHWISE_CONV_2D", [(4, 4, 1), [(1, 1, 1, 1)]], SQUARE, **_STEP),
        "data has 3 dimensions, not 4",
    ),
    "curve of nothing": (_model("RELU", [], (1, 16)), "(0 inputs, 1 outputs)"),
    "lstm to scalar": (
        _model("UNIDIRECTIONAL_SEQUENCE_LSTM", [(1, 4, 4), *[-1] * 23], ()),
        "layer has 0 dimensions, not 3",
    ),
    "lstm of one operand": (_model("UNIDIRECTIONAL_SEQUENCE_LSTM", [(4, 4)], ()), "(1 inputs, 1 outputs)"),
}


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_a_broken_layer_is_refused_and_named(name):
    file, reason = BROKEN[name]
    with pytest.raises(ModelError) as caught:
        engine_model(file, "m.tflite", load_board("netduinoplus2"), "tflm")
    text = str(caught.value)
    assert text.startswith("m.tflite: ")
    assert "layer " in text
    assert reason in text


@BOTH
@pytest.mark.parametrize("name", sorted(BROKEN))
def test_its_requirements_are_refused_too(name, runtime):
    file, reason = BROKEN[name]
    graph = read_model(file, "m.tflite")
    with pytest.raises(ModelError, match=r"m\.tflite: has layers that are not whole:") as caught:
        tflm_requirements(file, graph, runtime)
    assert reason in str(caught.value)
    assert find_refusals(graph, runtime)


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_inspect_says_that_no_engine_runs_it(name):
    assessment = assess(BROKEN[name][0], "m.tflite", [load_board("netduinoplus2")], ["aot", "tflm"])
    with pytest.raises(ModelError, match="no engine can run it"):
        check_runnable(assessment)


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_the_fuzzer_asks_for_it(name):
    assert outcome(BROKEN[name][0]) == "not supported"


def test_a_whole_model_is_not_refused():
    for file in (tiny_classifier(), lstm()):
        graph = read_model(file)
        assert [broken_layer(graph, operator) for operator in graph.operators] == [None] * len(
            graph.operators
        )


def test_an_operator_that_is_not_known_is_left_to_others():
    graph = read_model(_model("CUMSUM", [], (1, 16)))
    assert broken_layer(graph, graph.operators[0]) is None


def test_the_parts_of_an_unrolled_sequence_may_be_many():
    """The engine's limit is its own: the interpreter takes any number."""
    model, count = TfliteBuilder(), MAX_PARTS + 1
    x, y = model.tensor((1, count), scale=0.5), model.tensor((1, count), scale=0.5)
    parts = [model.tensor((1,), scale=0.5) for _ in range(count)]
    model.operator("UNPACK", [x], parts, Axis=1, Num=count)
    model.operator("PACK", parts, [y], Axis=1, ValuesCount=count)
    assert find_refusals(read_model(model.build([x], [y])), CURRENT_TFLM) == ()
