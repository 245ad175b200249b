# SPDX-License-Identifier: Apache-2.0
"""Every family, small in every way, through pruning and int8 training into both engines."""

from importlib.util import find_spec

import numpy as np
import pytest

if find_spec("tensorflow") is None:
    pytest.skip("needs the [train] extra", allow_module_level=True)

from mcu_ser.aot.compile import compile_model
from mcu_ser.aot.tflite_reader import read_model
from mcu_ser.compress.prune import prune
from mcu_ser.compress.qat import quantization_aware
from mcu_ser.convert.model_file import check_model_file, read_model_file
from mcu_ser.convert.oracle import Oracle
from mcu_ser.convert.quantization import dequantize, quantize
from mcu_ser.convert.to_tflite import to_tflite
from mcu_ser.errors import ConfigError
from mcu_ser.recipe import (
    AugmentationRecipe,
    BudgetRecipe,
    DsCnnRecipe,
    FitRecipe,
    PaperModelRecipe,
    PruningRecipe,
    ResidualCnnRecipe,
)
from mcu_ser.tflm.runtime_support import CHIRALE_2_0_0, CURRENT_TFLM, check_runtime
from mcu_ser.train.fit import Clips, Descent, make_reproducible, predict
from mcu_ser.train.graph_regularization import with_embedding
from mcu_ser.train.models import build_small
from tests.native_models import NativeModels

# Each family is trained twice and converted.
pytestmark = [pytest.mark.train, pytest.mark.slow]

# Odd numbers: poolings and strides leave something over.
SHAPE = (45, 33)
SPARSITY = 0.5
RECIPES = [PaperModelRecipe(family=family, width=0.0625) for family in ("vgg15", "resnet9", "cnn6")] + [
    PaperModelRecipe(family="mobilenet15", width=0.125),
    DsCnnRecipe(width=8),
    ResidualCnnRecipe(family="residual_cnn", width=0.5),
]
QUIET = AugmentationRecipe(time_shift_frames=2, masks=0)
FIT = FitRecipe(epochs=1, batch_size=8, learning_rate=1e-3, augmentation=QUIET)
# So many steps that moving averages of 15 normalisations in a row let something through.
EPOCHS = {"mobilenet15": 8}


def clips() -> Clips:
    draws = np.random.default_rng(1)
    return Clips(draws.normal(0, 1, (24, *SHAPE)).astype(np.float32), draws.integers(0, 7, 24))


@pytest.fixture(scope="module", params=RECIPES, ids=lambda recipe: recipe.family)
def aware(request):
    """A model after both descents."""
    make_reproducible(1)
    fit = FIT.model_copy(update={"epochs": EPOCHS.get(request.param.family, 1)})
    model = build_small(SHAPE, 7, request.param)
    pruned, _ = prune(model, clips(), PruningRecipe(sparsity_fraction=SPARSITY, fit=fit), seed=1)
    trained = quantization_aware(pruned)
    Descent(trained, clips(), fit, "int8", seed=1).run()
    return trained


@pytest.fixture(scope="module")
def file(aware):
    return to_tflite(aware)


def test_every_layer_keeps_its_zeros(file) -> None:
    pruning = PruningRecipe(sparsity_fraction=SPARSITY)
    check_model_file(read_model_file(file, "m.tflite"), pruning=pruning, budget=BudgetRecipe())


def test_dense_weights_are_those_of_the_training(file) -> None:
    """One scale for all outputs of a layer, as in training: the converter by itself chooses one for each."""
    graph = read_model(file, "m.tflite")
    dense = [operator for operator in graph.operators if operator.opcode == "FULLY_CONNECTED"]
    scales = [graph.tensors[operator.inputs[1]].quantization.scales for operator in dense]
    assert [len(one) for one in scales] == [1] * len(dense)


def test_no_library_of_a_board_refuses_it(file) -> None:
    for runtime in (CURRENT_TFLM, CHIRALE_2_0_0):
        check_runtime(read_model(file, "m.tflite"), runtime)


def test_both_engines_give_the_same_bytes(file, tmp_path) -> None:
    model, oracle = compile_model(file, "m.tflite"), Oracle(file)
    noise = np.random.default_rng(2).integers(-128, 128, (5, *oracle.input_shape[1:]), dtype=np.int8)
    speech = quantize(
        clips().x[:5, ..., None], oracle.input_quantization.scale, oracle.input_quantization.zero_point
    )
    ends = np.stack([np.full(oracle.input_shape[1:], level, np.int8) for level in (-128, 127)])
    samples = np.concatenate([noise, speech, ends])
    answers = NativeModels([model], tmp_path).run([(0, sample) for sample in samples])
    assert np.array_equal(np.stack(answers), oracle.run(samples))
    assert len(np.unique(np.stack(answers), axis=0)) > 1


def test_the_file_computes_what_was_trained(aware, file) -> None:
    oracle = Oracle(file)
    samples = quantize(
        clips().x[..., None], oracle.input_quantization.scale, oracle.input_quantization.zero_point
    )
    output = oracle.output_quantization
    answers = dequantize(oracle.run(samples), output.scale, output.zero_point)
    # A few steps of 1/256: requantisation rounds where fake quantisation has float32.
    assert np.abs(answers - predict(aware, clips().x)).max() < 6 / 256


@pytest.mark.parametrize("layer", ["fc1", "embedding", "logits", "emotion"])
def test_layers_keep_their_names(aware, layer) -> None:
    if (layer, aware.name) == ("fc1", "residual_cnn"):
        with pytest.raises(ConfigError, match="residual_cnn has no layer fc1"):
            with_embedding(aware, layer)
    else:
        assert with_embedding(aware, layer).output_shape[0][-1] >= 7
