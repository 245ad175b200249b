# SPDX-License-Identifier: Apache-2.0
"""What becomes of Keras' LSTM layers: the operators that the converter makes, and their bytes."""

from importlib.util import find_spec

import numpy as np
import pytest

if find_spec("tensorflow") is None:
    pytest.skip("needs the [train] extra", allow_module_level=True)

from mcu_ser.aot.compile import compile_model
from mcu_ser.aot.tflite_reader import read_model
from mcu_ser.convert.litert import litert_outputs
from mcu_ser.convert.oracle import Oracle
from mcu_ser.convert.quantization import quantize
from tests.keras_lstm import CELLS, FRAMES, MELS, MODELS, keras_lstm, log_mel_frames
from tests.native_models import NativeModels

pytestmark = [pytest.mark.train, pytest.mark.slow]

LSTM = "UNIDIRECTIONAL_SEQUENCE_LSTM"
LAST = ("STRIDED_SLICE", "FULLY_CONNECTED", "SOFTMAX")


@pytest.fixture(scope="module")
def frames():
    return log_mel_frames()


@pytest.fixture(scope="module")
def files(frames):
    return {name: keras_lstm(name, frames) for name in sorted(MODELS)}


def test_the_converter_makes_one_operator_of_a_layer(files):
    made = {name: [o.opcode for o in read_model(file).operators] for name, file in files.items()}
    assert made["sequence"] == [LSTM]
    assert made["last"] == [LSTM, *LAST]
    assert made["stacked"] == [LSTM, LSTM, *LAST]
    assert made["bidirectional"].count(LSTM) == 2
    assert made["bidirectional"].count("REVERSE_V2") == 1
    assert made["behind a convolution"] == ["RESHAPE", "CONV_2D", "RESHAPE", LSTM, *LAST]
    assert made["time major"].count(LSTM) == 1
    (layer,) = (o for o in read_model(files["time major"]).operators if o.opcode == LSTM)
    assert layer.options.time_major


def test_a_layer_counts_its_multiplications(files):
    layer = compile_model(files["sequence"]).layers[0]
    assert layer.macs == FRAMES * 4 * CELLS * (MELS + CELLS)
    assert layer.predicted_instructions > layer.macs


def test_they_give_the_bytes_of_the_oracle(files, frames, tmp_path):
    rng = np.random.default_rng(0)
    models = [compile_model(file, name) for name, file in files.items()]
    samples = []
    for model in models:
        spoken = quantize(frames[:6], model.input.scale, model.input.zero_point, np.dtype(np.int8))
        noise = rng.integers(-128, 128, (6, FRAMES, MELS)).astype(np.int8)
        samples.append(np.concatenate([spoken, noise]))
    requests = [(number, sample) for number, inputs in enumerate(samples) for sample in inputs]
    outputs = iter(NativeModels(models, tmp_path).run(requests))
    for (name, file), inputs in zip(files.items(), samples, strict=True):
        expected = Oracle(file, name).run(inputs)
        assert [next(outputs).tolist() for _ in inputs] == expected.tolist(), name
        # The sequences make a difference.
        assert len({tuple(row) for row in expected.tolist()}) > len(inputs) // 2


def test_litert_starts_each_sample_anew_too(files, frames):
    content = files["sequence"]
    entrance = compile_model(content).input
    spoken = quantize(frames[:2], entrance.scale, entrance.zero_point, np.dtype(np.int8))
    first, second, again = litert_outputs(content, spoken[[0, 1, 0]])
    assert again.tolist() == first.tolist() != second.tolist()
