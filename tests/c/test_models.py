# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import numpy as np
import pytest
from tflite_micro import runtime

from mcu_ser.aot.compile import compile_model
from tests.native_firmware import require_compiler
from tests.native_models import NativeModels

MODELS = Path(__file__).resolve().parents[3] / "shared" / "models"
NAMES = ("ad01_int8", "ic_resnet_int8", "kws_ref_model")


def _file(name):
    path = MODELS / f"{name}.tflite"
    if not path.exists():
        pytest.skip(f"no {path.name} beside the checkout (../shared/models)")
    return path.read_bytes()


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("name", NAMES)
def test_every_layer_gives_the_bytes_of_the_oracle(name, compiler, tmp_path):
    model = compile_model(_file(name), name)
    program = NativeModels([model], tmp_path, layers=True, compiler=require_compiler(compiler))
    oracle = runtime.Interpreter.from_bytes(
        _file(name), intrepreter_config=runtime.InterpreterConfig.kPreserveAllTensors
    )
    rng = np.random.default_rng(1)
    for _ in range(4):
        sample = rng.integers(-128, 128, model.input.shape, dtype=np.int8)
        oracle.set_input(sample, 0)
        oracle.invoke()
        layers, output = program.run_layers(0, sample)
        assert output.tolist() == oracle.get_output(0).ravel().tolist()
        assert sorted(layers) == [operator.index for operator in model.graph.operators]
        for operator in model.graph.operators:
            expected = oracle.GetTensor(operator.outputs[0], 0)["tensor_data"].ravel()
            assert layers[operator.index].tolist() == expected.tolist(), f"layer {operator.index}"


@pytest.mark.parametrize("name", NAMES)
def test_arena_is_close_to_its_lower_bound(name):
    plan = compile_model(_file(name), name).plan
    assert plan.bytes <= plan.lower_bound * 1.02


def test_costs_are_those_published_for_the_model():
    kws = compile_model(_file("kws_ref_model"))
    resnet = compile_model(_file("ic_resnet_int8"))
    # ../shared/reference/tflm_baseline.md, which counts every tap like the benchmark does.
    assert kws.macs == 2_656_768
    assert resnet.macs == 12_501_632
    # Tensors apart from each other need 16,000 and 49,152 bytes. In the first model outputs lie over their
    # inputs; in the other one a shortcut keeps these, and the rest is scratch of the kernels.
    assert kws.arena_bytes <= 16_000
    assert resnet.arena_bytes == 50_512
