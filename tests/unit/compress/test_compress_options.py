# SPDX-License-Identifier: Apache-2.0
"""compress --sparsity, --structure and --epochs, and the check of what the converter made of it."""

import json
import shutil
from dataclasses import replace
from importlib.util import find_spec

import pytest

from mcu_ser.artifacts import RunDir, sha256_file
from mcu_ser.cli.main import main
from mcu_ser.errors import CheckFailedError
from mcu_ser.recipe import BudgetRecipe, PruningRecipe, load_recipe

if find_spec("tensorflow") is None:
    pytest.skip("needs the [train] extra", allow_module_level=True)

from mcu_ser.convert.model_file import PRUNED_OPERATORS, Layer, ModelFile, check_model_file
from tests import tiny_recipe as tiny

pytestmark = pytest.mark.train

TINY = (
    tiny.NAME
    + tiny.SOURCE
    + tiny.TARGET
    + tiny.FEATURES
    + tiny.MODEL
    + tiny.TRAINING
    + tiny.QAT
    + """
[graph]
multiplier = 0.0

[pruning]
sparsity_fraction = 0.6
fit = { epochs = 1, learning_rate = 2e-3, batch_size = 8 }
"""
)


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    place = tmp_path_factory.mktemp("blocks")
    recipe = place / "tiny.toml"
    recipe.write_text(TINY)
    run_dir = RunDir(place / "run")
    assert main(["train", str(run_dir.root), "--recipe", str(recipe)]) == 0
    return run_dir


def test_a_layer_with_too_few_zero_blocks_is_refused() -> None:
    pruning = PruningRecipe(sparsity_fraction=0.5, structure="block4")
    budget = BudgetRecipe()
    scattered = Layer("CONV_2D", "c", weights=64, zeros=48, activation_bytes=8, blocks=16, zero_blocks=7)
    with pytest.raises(
        CheckFailedError,
        match=r"layer c: 7 of 16 blocks of four weights are zero, limit at least 8 \(sparsity_fraction",
    ):
        check_model_file(ModelFile((scattered,), 64, 100), pruning=pruning, budget=budget)
    enough = replace(scattered, zero_blocks=8)
    first = Layer("CONV_2D", "of one input channel", weights=72, zeros=0, activation_bytes=8)
    check_model_file(ModelFile((enough, first), 136, 200), pruning=pruning, budget=budget)


def test_compress_prunes_in_blocks_on_request(run_dir, tmp_path) -> None:
    changed = RunDir(tmp_path / "changed")
    shutil.copytree(run_dir.root, changed.root)
    options = ["--sparsity", "0.5", "--structure", "block4", "--epochs", "2"]
    assert main(["compress", str(changed.root), *options]) == 0
    before, after = load_recipe(run_dir.recipe), load_recipe(changed.recipe)
    assert after.pruning == before.pruning.model_copy(
        update={
            "sparsity_fraction": 0.5,
            "structure": "block4",
            "fit": before.pruning.fit.model_copy(update={"epochs": 2}),
        }
    )
    fit = json.loads(changed.metrics("compress").read_text())["pruned"]["fit"]
    assert len(fit["loss"]) == 2
    assert after == before.model_copy(update={"pruning": after.pruning})
    wrote = changed.read_manifest()["stages"]["compress"]["wrote"]
    assert wrote["recipe.toml"] == sha256_file(changed.recipe)
    assert main(["convert", str(changed.root)]) == 0
    layers = json.loads(changed.metrics("convert").read_text())["file"]["layers"]
    pruned = [layer for layer in layers if layer["operator"] in PRUNED_OPERATORS and layer["zero_blocks"]]
    assert pruned
    for layer in pruned:
        assert 4 * layer["zero_blocks"] >= layer["weights"] // 2
    # Without options it is the recipe's again.
    assert main(["compress", str(changed.root)]) == 0
    assert load_recipe(changed.recipe) == after


@pytest.mark.parametrize(
    ("option", "wrong", "right"),
    [
        *(("--sparsity", wrong, "number from 0 to below 1") for wrong in ("1", "-0.1", "half", "nan")),
        *(("--epochs", wrong, "number of 1 or more") for wrong in ("0", "-1", "2.5", "many")),
    ],
)
def test_a_number_that_cannot_be_is_refused(run_dir, option, wrong, right, capsys) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["compress", str(run_dir.root), f"{option}={wrong}"])
    assert stopped.value.code == 2
    assert f"{wrong} is not a {right}" in capsys.readouterr().err
