# SPDX-License-Identifier: Apache-2.0
"""As test_layers.py, for layers of 16-bit activations, and a whole model of them."""

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tflite_micro import runtime

from mcu_ser.aot.compile import compile_model
from tests.int16_model import ds_cnn
from tests.native_firmware import host_compilers
from tests.native_models import NativeModels, any_samples
from tests.random_int16 import INT16
from tests.tflite_builder import TfliteBuilder

# As in test_layers.py.
MODELS_PER_PROGRAM = 14
PROGRAMS = int(os.environ.get("MCU_SER_PROGRAMS", "1"))


def _samples(spec, rng):
    """Inputs that reach both ends of the range and both kinds of neighbourhood."""
    ends = [np.full(spec.shape, end) for end in (-(1 << 15), (1 << 15) - 1)]
    walk = np.clip(np.cumsum(rng.integers(-2000, 2001, spec.shape), axis=-1), -(1 << 15), (1 << 15) - 1)
    small = rng.integers(-200, 201, spec.shape)
    return [*(kind.astype(np.int16) for kind in (*ends, walk, small)), *any_samples(12, spec, rng)]


def _differing(files, models, samples, compiler="gcc"):
    """Models with an output that is not the oracle's."""
    requests = [(i, sample) for i, of_model in enumerate(samples) for sample in of_model]
    with tempfile.TemporaryDirectory() as directory:
        outputs = NativeModels(models, Path(directory), compiler=compiler).run(requests)
    oracles = [runtime.Interpreter.from_bytes(file, arena_size=1 << 20) for file in files]
    wrong = []
    for (number, sample), output in zip(requests, outputs, strict=True):
        oracles[number].set_input(sample, 0)
        oracles[number].invoke()
        if output.tobytes() != oracles[number].get_output(0).tobytes():
            wrong.append(models[number].sources["aot_model.c"])
    return wrong


@pytest.mark.parametrize("kind", sorted(INT16))
@settings(
    max_examples=PROGRAMS,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_layer_gives_the_bytes_of_the_oracle(kind, data):
    drawn = data.draw(st.lists(INT16[kind], min_size=MODELS_PER_PROGRAM, max_size=MODELS_PER_PROGRAM))
    files = [model.file for model in drawn]
    models = [compile_model(file, f"{kind} {number}") for number, file in enumerate(files)]
    rng = np.random.default_rng(0)
    samples = [_samples(model.input, rng) for model in models]
    assert _differing(files, models, samples, data.draw(st.sampled_from(host_compilers()))) == []


def test_a_whole_model_gives_the_bytes_of_the_oracle():
    file = ds_cnn()
    model = compile_model(file)
    assert {layer.operator for layer in model.layers} == {
        *("ADD", "AVERAGE_POOL_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "MEAN", "RESHAPE"),
        "SOFTMAX",
    }
    assert (model.input.dtype, model.output.dtype) == ("INT16", "INT16")
    rng = np.random.default_rng(0)
    assert _differing([file], [model], [_samples(model.input, rng)]) == []


def test_a_softmax_that_visits_its_whole_tables_gives_the_bytes_of_the_oracle():
    """Every place of the exponential's table; a sum of exponentials at every place of the reciprocal's."""
    rng = np.random.default_rng(0)
    file, scale = _softmax(512, 10 / 65535)
    model = compile_model(file)
    places = np.arange(-32768, 32768).reshape(-1, 512)
    places[:, 0] = 32767
    # With two classes the sum of exponentials is 1 .. 2.
    pair, _ = _softmax(2, scale)
    pairs = np.stack([np.full(4096, 32767), rng.integers(-32768, 32768, 4096)], axis=1)
    samples = [places.reshape(-1, 1, 512).astype(np.int16), pairs.reshape(-1, 1, 2).astype(np.int16)]
    assert _differing([file, pair], [model, compile_model(pair)], samples) == []


def _softmax(depth, scale):
    model = TfliteBuilder()
    x = model.tensor((1, depth), "INT16", scale=scale)
    y = model.tensor((1, depth), "INT16", scale=1 / 32768)
    model.operator("SOFTMAX", [x], [y], Beta=1.0)
    return model.build([x], [y]), scale
