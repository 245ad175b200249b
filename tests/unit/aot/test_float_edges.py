# SPDX-License-Identifier: Apache-2.0
import json
import struct

import numpy as np
import pytest
import tflite
from hypothesis import given
from hypothesis import strategies as st
from tflite_micro import runtime

from mcu_ser.aot.compile import compile_model
from mcu_ser.aot.float_edges import QuantizedModel, load_quantized, without_float_edges
from mcu_ser.aot.tflite_reader import read_model
from mcu_ser.cli.main import main
from mcu_ser.convert.litert import litert_outputs
from mcu_ser.convert.oracle import Oracle
from mcu_ser.convert.quantization import quantize
from mcu_ser.errors import ModelError
from tests.edged_model import IN, edged
from tests.tflite_builder import TfliteBuilder


@pytest.mark.parametrize("stored", ["INT8", "INT16"])
@pytest.mark.parametrize("branches", [False, True])
@pytest.mark.parametrize("edges", [("QUANTIZE",), ("DEQUANTIZE",), ("QUANTIZE", "DEQUANTIZE")])
def test_what_is_left_is_the_model_without_its_edges(edges, branches, stored):
    front, back = "QUANTIZE" in edges, "DEQUANTIZE" in edges
    found = without_float_edges(edged(front=front, back=back, branches=branches, stored=stored))
    assert found.taken_off == edges
    graph, plain = read_model(found.content), read_model(edged(front=False, back=False, branches=branches))
    assert [operator.opcode for operator in graph.operators] == [one.opcode for one in plain.operators]
    assert [operator.index for operator in graph.operators] == list(range(len(plain.operators)))
    assert (graph.inputs, graph.outputs) == (plain.inputs, plain.outputs)
    assert {graph.tensors[index].dtype for index in (*graph.inputs, *graph.outputs)} == {stored}


def test_a_model_without_float_edges_stays_as_it_is():
    file = edged(front=False, back=False)
    assert without_float_edges(file) == QuantizedModel(file)
    assert without_float_edges(file).content is file


@given(
    features=st.lists(
        st.floats(-8, 8, width=32, allow_subnormal=False).map(lambda value: round(value, 3)),
        min_size=6,
        max_size=6,
    )
)
def test_the_oracle_says_the_same_with_and_without_them(features):
    check_the_same(edged(), np.array([features], np.float32))


def check_the_same(file, x):
    """The oracle gives the same real numbers for the model with its edges, and without them."""
    content = without_float_edges(file).content
    graph = read_model(content)
    entrance, exit_ = (graph.tensors[index].quantization for index in (*graph.inputs, *graph.outputs))
    stored = Oracle(content).run(quantize(x, entrance.scales[0], entrance.zero_points[0]))
    real = np.float32(exit_.scales[0]) * (stored.astype(np.float32) - exit_.zero_points[0])
    whole = runtime.Interpreter.from_bytes(file)
    for row, expected in zip(x, real, strict=True):
        whole.set_input(row[None], 0)
        whole.invoke()
        assert whole.get_output(0).ravel().tolist() == expected.ravel().tolist()


def test_the_engine_compiles_what_is_left():
    model = compile_model(without_float_edges(edged()).content)
    assert (model.input.dtype, model.output.dtype, model.input.zero_point) == (
        "INT8",
        "INT8",
        IN["zero_point"],
    )


def _two_readers():
    model = TfliteBuilder()
    x = model.tensor((1, 4), "FLOAT32")
    ends = [model.tensor((1, 4), scale=scale) for scale in (0.1, 0.2)]
    for end in ends:
        model.operator("QUANTIZE", [x], [end])
    y = model.tensor((1, 4), scale=0.3)
    model.operator("ADD", ends, [y])
    return model.build([x], [y])


def _of_uint8():
    model = TfliteBuilder()
    x, y = model.tensor((1, 4), "UINT8", scale=0.1), model.tensor((1, 4), scale=0.1)
    model.operator("QUANTIZE", [x], [y])
    return model.build([x], [y])


def _read_on():
    model = TfliteBuilder()
    x, y = model.tensor((1, 4), scale=0.1), model.tensor((1, 4), "FLOAT32")
    again = model.tensor((1, 4), scale=0.1)
    model.operator("DEQUANTIZE", [x], [y])
    model.operator("QUANTIZE", [y], [again])
    return model.build([x], [y])


@pytest.mark.parametrize("file", [_two_readers(), _of_uint8(), _read_on()])
def test_what_is_no_edge_stays_and_the_engine_says_what_is_wrong(file):
    assert without_float_edges(file).content == file
    with pytest.raises(ModelError):
        compile_model(file)


def test_a_file_whose_vectors_share_bytes_is_refused():
    model = TfliteBuilder()
    x, scores = model.tensor((1, 4), scale=0.1), model.tensor((1,), "FLOAT32")
    axes, mean = model.tensor((1,), "INT32", data=[1]), model.tensor((1,), scale=0.1)
    model.operator("MEAN", [x, axes], [mean])
    model.operator("DEQUANTIZE", [mean], [scores])
    file = bytearray(model.build([x], [scores]))
    assert without_float_edges(bytes(file)).taken_off == ("DEQUANTIZE",)
    # The list of outputs, [1], becomes the shape of the axes, which is the same.
    graph = tflite.Model.GetRootAs(bytes(file), 0).Subgraphs(0)
    shape = graph.Tensors(axes)._tab
    reference = graph._tab.Pos + graph._tab.Offset(8)
    vector = shape.Vector(shape.Offset(4)) - 4
    file[reference : reference + 4] = (vector - reference).to_bytes(4, "little")
    assert read_model(bytes(file)).outputs == (scores,)
    with pytest.raises(ModelError, match="m: has a float input or output that cannot be taken off"):
        without_float_edges(bytes(file), "m")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"gone\.tflite: cannot be read"):
        load_quantized(tmp_path / "gone.tflite")


def test_generate_and_inspect_say_what_they_took_off(tmp_path, capsys):
    path, project = tmp_path / "model.tflite", tmp_path / "project"
    path.write_bytes(edged())
    assert main(["generate", str(path), "--board", "netduinoplus2", "--out", str(project)]) == 0
    assert "taken off: QUANTIZE and DEQUANTIZE" in capsys.readouterr().out
    manifest = json.loads((project / "project.json").read_text())
    assert manifest["taken_off"] == ["QUANTIZE", "DEQUANTIZE"]
    stored = next(project.rglob("model.tflite"))
    assert stored.read_bytes() == without_float_edges(edged()).content
    assert main(["inspect", str(path), "--board", "netduinoplus2"]) == 0
    assert "taken off: QUANTIZE and DEQUANTIZE" in capsys.readouterr().out
    assert main(["inspect", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["taken_off"] == ["QUANTIZE", "DEQUANTIZE"]


@pytest.mark.train
@pytest.mark.filterwarnings("ignore:Statistics for quantized inputs:UserWarning")
def test_the_edges_that_the_converter_makes_come_off():
    import tensorflow as tf

    draws = np.random.default_rng(5)
    keras = tf.keras.Sequential(
        [tf.keras.Input((8,), batch_size=1), tf.keras.layers.Dense(4, activation="relu")]
    )
    converter = tf.lite.TFLiteConverter.from_keras_model(keras)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.representative_dataset = lambda: (
        [draws.normal(size=(1, 8)).astype(np.float32)] for _ in range(50)
    )
    file = converter.convert()
    found = without_float_edges(file)
    assert found.taken_off == ("QUANTIZE", "DEQUANTIZE")
    check_the_same(file, draws.normal(size=(20, 8)).astype(np.float32))
    # LiteRT, whose answers are reported beside the oracle's, takes the file too.
    assert litert_outputs(found.content, np.zeros((2, 8), np.int8)).shape == (2, 4)


@pytest.mark.parametrize("count", [0, 2])
def test_what_is_at_the_other_end_is_for_the_engine_to_say(count):
    model = TfliteBuilder()
    parts = [model.tensor((1, 4), scale=0.1) for _ in range(2)]
    total, scores = model.tensor((1, 4), scale=0.1), model.tensor((1, 4), "FLOAT32")
    if not count:
        parts = [model.tensor((1, 4), scale=0.1, data=np.ones(4)) for _ in range(2)]
    model.operator("ADD", parts, [total])
    model.operator("DEQUANTIZE", [total], [scores])
    found = without_float_edges(model.build(parts[:count], [scores]))
    assert found.taken_off == ("DEQUANTIZE",)
    graph = read_model(found.content)
    assert (graph.inputs, graph.outputs) == (tuple(parts[:count]), (total,))
    with pytest.raises(ModelError, match=f"has {count} inputs"):
        compile_model(found.content)


def test_a_signature_outside_of_the_file_is_damage():
    file = bytearray(edged())
    # A description of the model's fields that has signatures, too, which begin far behind the end.
    root = tflite.Model.GetRootAs(bytes(file), 0)._tab
    fields = [root.Offset(field) for field in range(4, 18, 2)]
    described = len(file) + -len(file) % 4
    file += bytes(described - len(file))
    file += struct.pack("<10HI", 20, 0, *fields, described + 20 - root.Pos, (1 << 31) - 1)
    struct.pack_into("<i", file, root.Pos, root.Pos - described)
    assert read_model(bytes(file)).operators == read_model(edged()).operators
    with pytest.raises(ModelError, match="m: is damaged or truncated"):
        without_float_edges(bytes(file), "m")
