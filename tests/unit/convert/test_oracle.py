# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys

import flatbuffers
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from mcu_ser.aot.tflite_reader import read_model
from mcu_ser.convert.oracle import Oracle, layer_outputs
from mcu_ser.convert.quantization import Quantization
from mcu_ser.errors import ModelError, SamplesError
from tests.layered_model import layered_model
from tests.plain_lstm import lstm
from tests.tflite_builder import TfliteBuilder

WEIGHTS = np.array([[1, -2, 3, 0, 5, -6], [0, 0, 0, 0, 0, 4]], np.int8)
BIAS = np.array([8, -3], np.int32)


def tensor(name: bytes, shape: list[int], kind: int, buffer: int, scale: float, zero_point: int):
    quantization = schema.QuantizationParametersT()
    quantization.scale, quantization.zeroPoint = [scale], [zero_point]
    result = schema.TensorT()
    result.name, result.shape, result.type, result.buffer = name, shape, kind, buffer
    result.quantization = quantization
    return result


def buffer(data: bytes) -> schema.BufferT:
    result = schema.BufferT()
    result.data = np.frombuffer(data, np.uint8) if data else None
    return result


def dense_model(*, io_type: int = schema.TensorType.INT8, inputs: int = 1) -> bytes:
    """One FULLY_CONNECTED, (1, 2, 3) -> (1, 2): output = (weights @ (x - 5) + bias) / 4 + 1."""
    graph = schema.SubGraphT()
    graph.tensors = [
        tensor(b"x", [1, 2, 3], io_type, 0, 0.5, 5),
        tensor(b"w", [2, 6], schema.TensorType.INT8, 1, 0.25, 0),
        tensor(b"b", [2], schema.TensorType.INT32, 2, 0.125, 0),
        tensor(b"y", [1, 2], io_type, 0, 0.5, 1),
    ]
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0, 1, 2], [3]
    operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    operator.builtinOptions = schema.FullyConnectedOptionsT()
    graph.operators, graph.inputs, graph.outputs = [operator], [0] * inputs, [3]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    code.version = 1
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs = 3, [code], [graph]
    model.buffers = [buffer(b""), buffer(WEIGHTS.tobytes()), buffer(BIAS.tobytes())]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return Oracle(dense_model(), "dense.tflite")


def test_reports_shapes_and_quantisation(oracle: Oracle) -> None:
    assert oracle.input_shape == (1, 2, 3)
    assert oracle.output_shape == (1, 2)
    assert (oracle.input_bytes, oracle.output_bytes) == (6, 2)
    assert oracle.input_quantization == Quantization(0.5, 5)
    assert oracle.output_quantization == Quantization(0.5, 1)


@given(st.lists(st.lists(st.integers(-128, 127), min_size=6, max_size=6), min_size=1, max_size=4))
def test_runs_the_model(rows: list[list[int]]) -> None:
    oracle = Oracle(dense_model())
    x = np.array(rows, np.int8)
    quarters = (x.astype(np.int64) - 5) @ WEIGHTS.astype(np.int64).T + BIAS
    # The factor 0.5 * 0.25 / 0.5 = 1/4 is the multiplier 1/2 and a shift by one, each with its own rounding
    # (this is where LiteRT's single rounding differs): first ties up, then ties away from zero.
    halves = (quarters + 1) // 2
    nearest = np.sign(halves) * ((np.abs(halves) + 1) // 2)
    expected = np.clip(nearest + 1, -128, 127)
    assert oracle.run(x).tolist() == expected.tolist()


def test_takes_shaped_and_flat_samples_and_no_samples(oracle: Oracle) -> None:
    x = np.arange(12, dtype=np.int8).reshape(2, 2, 3)
    assert oracle.run(x).tolist() == oracle.run(x.reshape(2, 6)).tolist()
    assert oracle.run(x[:0]).shape == (0, 2)


def test_refuses_samples_of_another_dtype_or_shape(oracle: Oracle) -> None:
    with pytest.raises(SamplesError, match=r"are float32, dense\.tflite takes int8"):
        oracle.run(np.zeros((1, 6), np.float32))
    for shape in [(6,), (1, 5), (1, 3, 2), (1, 2, 3, 1)]:
        with pytest.raises(SamplesError, match=r"takes \(n, 2, 3\)"):
            oracle.run(np.zeros(shape, np.int8))


def test_refuses_a_float_model() -> None:
    with pytest.raises(ModelError, match="input: is float32, not int8"):
        Oracle(float_model())


def float_model() -> bytes:
    """A RESHAPE of float32, which TFLite-Micro runs but no engine here does."""
    graph = schema.SubGraphT()
    graph.tensors = [tensor(name, [1, 4], schema.TensorType.FLOAT32, 0, 1.0, 0) for name in (b"x", b"y")]
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0], [1]
    graph.operators, graph.inputs, graph.outputs = [operator], [0], [1]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.RELU
    code.version = 1
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [code], [graph], [buffer(b"")]
    builder = flatbuffers.Builder(256)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def test_refuses_two_inputs() -> None:
    with pytest.raises(ModelError, match="has 2 inputs, limit 1"):
        Oracle(dense_model(inputs=2))


@given(st.data())
def test_refuses_truncated_models(data: st.DataObject) -> None:
    model = dense_model()
    length = data.draw(st.integers(0, len(model) - 1))
    # The last bytes may be padding or names that nothing needs; a shorter file must never be run as if whole.
    try:
        oracle = Oracle(model[:length])
    except ModelError:
        return
    assert (
        oracle.run(np.zeros((1, 6), np.int8)).tolist()
        == Oracle(model).run(np.zeros((1, 6), np.int8)).tolist()
    )


@pytest.mark.parametrize("junk", [b"", b"junk", b"\x00" * 64, b"\xff\xff\xff\x7fTFL3" + b"\xff" * 64])
def test_refuses_bytes_that_are_no_model(junk: bytes) -> None:
    with pytest.raises(ModelError, match=r"not a \.tflite|truncated or corrupt"):
        Oracle(junk)


def test_imports_no_tensorflow() -> None:
    program = (
        "import sys, mcu_ser.convert.oracle, mcu_ser.convert.quantization\n"
        "sys.exit(any(name.split('.')[0] in {'tensorflow', 'keras', 'tf_keras'} for name in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_the_tensors_inside_are_those_of_the_sample():
    model = layered_model()
    rng = np.random.default_rng(6)
    tensors = [operator.outputs[0] for operator in read_model(model).operators]
    for sample in rng.integers(-128, 128, (3, 256), np.int8):
        found = layer_outputs(model, "m", sample, tensors)
        assert [tensor.size for tensor in found] == [512, 512, 512, 8, 8, 4, 4]
        assert found[-1].tolist() == Oracle(model).run(sample[None])[0].tolist()
        # AVERAGE_POOL_2D, from what the layer before gave: the mean of each channel, rounded away from zero.
        mean = found[2].reshape(64, 8).sum(axis=0, dtype=np.int32) / 64
        assert found[3].tolist() == (np.sign(mean) * np.floor(np.abs(mean) + 0.5)).astype(int).tolist()


def test_a_tensor_that_the_engine_does_not_store_is_refused():
    model = TfliteBuilder()
    x, real, y = (
        model.tensor((1, 4), scale=0.1),
        model.tensor((1, 4), "FLOAT32"),
        model.tensor((1, 4), scale=0.1),
    )
    model.operator("DEQUANTIZE", [x], [real])
    model.operator("QUANTIZE", [real], [y])
    with pytest.raises(ModelError, match=r"^m: tensor 1 is float32, not int8, int16 or int32$"):
        layer_outputs(model.build([x], [y]), "m", np.zeros(4, np.int8), [real])


def test_indices_are_real_numbers():
    model = TfliteBuilder()
    x, place = model.tensor((1, 4), scale=0.1), model.tensor((1,), "INT32")
    model.operator("ARG_MAX", [x, model.tensor((1,), "INT32", data=[1])], [place], OutputType=2)
    oracle = Oracle(model.build([x], [place]))
    assert (oracle.output_type, oracle.output_bytes, oracle.output_shape) == (np.int32, 4, (1,))
    assert oracle.output_quantization == Quantization(1.0, 0)
    # The first of several.
    assert oracle.run(np.array([[3, 9, -5, 9], [-128] * 4], np.int8)).tolist() == [[1], [0]]


def test_tensors_need_a_sample_of_the_right_size():
    with pytest.raises(SamplesError, match="have shape"):
        layer_outputs(dense_model(), "m", np.zeros(5, np.int8), [3])


def test_a_recurrent_layer_starts_from_zero_at_every_sample() -> None:
    samples = np.random.default_rng(0).integers(-128, 128, (6, 12)).astype(np.int8)
    model = lstm({5 + gate: {"scale": 0.1} for gate in range(4)})
    alone = [Oracle(model).run(sample[None]).tolist()[0] for sample in samples]
    oracle = Oracle(model)
    assert oracle.run(samples).tolist() == alone
    assert oracle.run(samples[::-1]).tolist() == alone[::-1]
    assert len({tuple(outputs) for outputs in alone}) == 6


def test_layers_of_a_recurrent_model_are_those_of_its_sample() -> None:
    samples = np.random.default_rng(0).integers(-128, 128, (2, 12)).astype(np.int8)
    graph = read_model(lstm())
    (output,) = graph.outputs
    (values,) = layer_outputs(lstm(), "model", samples[1], [output])
    assert values.tolist() == Oracle(lstm()).run(samples)[1].tolist()
