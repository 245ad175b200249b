# SPDX-License-Identifier: Apache-2.0
"""Models without some channels: down to any number of them, where a build leaves a multiple of 4."""

import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.aot import compile as compiler
from mcu_ser.aot.channel_folding import fold_channels
from mcu_ser.aot.tflite_reader import read_model
from mcu_ser.convert.oracle import layer_outputs
from tests.c.test_layers import _samples, check_a_program, whole_programs
from tests.native_models import NativeModels
from tests.random_folding import foldable_models


@pytest.fixture(autouse=True, scope="module", params=[1, 4])
def _multiple(request):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(compiler, "fold_channels", partial(fold_channels, multiple=request.param))
        yield


@whole_programs
@given(data=st.data())
def test_a_model_without_some_channels_gives_the_bytes_of_the_oracle(data):
    check_a_program(data, foldable_models())


@whole_programs
@given(data=st.data())
def test_every_channel_that_is_left_is_that_of_the_oracle(data):
    files = [model.file for model in data.draw(st.lists(foldable_models(), min_size=8, max_size=8))]
    models = [compiler.compile_model(file) for file in files]
    with tempfile.TemporaryDirectory() as directory:
        program = NativeModels(models, Path(directory), layers=True)
        for number, (file, model) in enumerate(zip(files, models, strict=True)):
            _compare_layers(program, number, file, model)


def _compare_layers(program, number, file, model):
    graph = read_model(file)
    outputs = [operator.outputs[0] for operator in graph.operators]
    for sample in _samples(model.input.shape, np.random.default_rng(0))[:4]:
        layers, _ = program.run_layers(number, sample)
        tensors = layer_outputs(file, "m", sample, outputs)
        for operator, index, tensor in zip(graph.operators, outputs, tensors, strict=True):
            expected = tensor.reshape(graph.tensors[index].shape)[..., model.graph.tensors[index].kept]
            assert layers[operator.index].tolist() == expected.ravel().tolist(), operator
