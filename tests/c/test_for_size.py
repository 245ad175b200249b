# SPDX-License-Identifier: Apache-2.0
"""What a build for size consists of gives the same bytes."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tflite_micro import runtime

from mcu_ser.aot import sparse_storage
from mcu_ser.aot.compile import compile_model
from mcu_ser.aot.optimization import Optimization
from tests.c.test_layers import KINDS, check_a_program, whole_programs
from tests.native_models import NativeModels
from tests.random_sparse import SPARSE

MODELS = Path(__file__).resolve().parents[3] / "shared" / "models"


@pytest.mark.parametrize("kind", sorted(KINDS))
@whole_programs
@given(data=st.data())
def test_layer_for_size_gives_the_bytes_of_the_oracle(kind, data):
    check_a_program(data, KINDS[kind], optimization=Optimization.SIZE)


@pytest.mark.parametrize("name", ["ad01_int8", "ic_resnet_int8", "kws_ref_model"])
def test_model_for_size_gives_the_bytes_of_the_oracle_in_an_arena_at_its_bound(name, tmp_path):
    path = MODELS / f"{name}.tflite"
    if not path.exists():
        pytest.skip(f"no {path.name} beside the checkout (../shared/models)")
    file = path.read_bytes()
    model = compile_model(file, name, optimization=Optimization.SIZE)
    tensors = [buffer for buffer in model.buffers if not buffer.is_scratch]
    alive = [sum(b.bytes for b in tensors if b.first <= at <= b.last) for at in range(len(model.layers))]
    assert model.arena_bytes <= 1.05 * max(alive)
    samples = np.random.default_rng(2).integers(-128, 128, (4, *model.input.shape), dtype=np.int8)
    outputs = NativeModels([model], tmp_path).run([(0, sample) for sample in samples])
    oracle = runtime.Interpreter.from_bytes(file)
    for sample, output in zip(samples, outputs, strict=True):
        oracle.set_input(sample, 0)
        oracle.invoke()
        assert output.tolist() == oracle.get_output(0).ravel().tolist()


@pytest.mark.parametrize("kind", sorted(SPARSE))
@whole_programs
@given(data=st.data())
def test_layer_for_size_that_stores_no_zeros_gives_the_bytes_of_the_oracle(kind, data):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sparse_storage, "FORM_BYTES", 0)
        patch.setattr(sparse_storage, "_SIZE_ARENA", 1e6)
        check_a_program(data, SPARSE[kind], optimization=Optimization.SIZE)
