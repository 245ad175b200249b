# SPDX-License-Identifier: Apache-2.0
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tflite_micro import runtime

from mcu_ser.aot.compile import compile_model
from tests.native_firmware import host_compilers
from tests.native_models import NativeModels
from tests.random_elements import ELEMENTS
from tests.random_layers import LAYERS
from tests.random_lstm import RECURRENT
from tests.random_moves import MOVES
from tests.random_products import PRODUCTS

# One program per example: the compiler is asked once for a dozen models. MCU_SER_PROGRAMS=100 asks for more.
MODELS_PER_PROGRAM = 14
PROGRAMS = int(os.environ.get("MCU_SER_PROGRAMS", "3"))


def _samples(shape, rng):
    """Inputs that reach both ends of the range and both kinds of neighbourhood."""
    walk = np.clip(np.cumsum(rng.integers(-9, 10, shape), axis=-1), -128, 127)
    ends = [np.full(shape, -128), np.full(shape, 127)]
    noise = [rng.integers(-128, 128, shape) for _ in range(29)]
    return [kind.astype(np.int8) for kind in (walk, *ends, *noise)]


KINDS = LAYERS | ELEMENTS | MOVES | PRODUCTS | RECURRENT


# Shrinking would compile hundreds of programs; the failing model is named instead.
whole_programs = settings(
    max_examples=PROGRAMS,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=list(HealthCheck),
)


def check_a_program(data, strategy, **options):
    """A program of models that are drawn, compiled with options, gives the bytes of the oracle."""
    compiler = data.draw(st.sampled_from(host_compilers()))
    drawn = data.draw(st.lists(strategy, min_size=MODELS_PER_PROGRAM, max_size=MODELS_PER_PROGRAM))
    files = [model.file for model in drawn]
    models = [compile_model(file, f"model {number}", **options) for number, file in enumerate(files)]
    rng = np.random.default_rng(0)
    requests = [(i, sample) for i, model in enumerate(models) for sample in _samples(model.input.shape, rng)]
    with tempfile.TemporaryDirectory() as directory:
        outputs = NativeModels(models, Path(directory), compiler=compiler).run(requests)
    oracles = [runtime.Interpreter.from_bytes(file, arena_size=1 << 20) for file in files]
    for (number, sample), output in zip(requests, outputs, strict=True):
        oracles[number].set_input(sample, 0)
        oracles[number].reset()
        oracles[number].invoke()
        expected = oracles[number].get_output(0)
        assert output.tobytes() == expected.tobytes(), models[number].sources["aot_model.c"]


@pytest.mark.parametrize("kind", sorted(KINDS))
@whole_programs
@given(data=st.data())
def test_layer_gives_the_bytes_of_the_oracle(kind, data):
    check_a_program(data, KINDS[kind])
