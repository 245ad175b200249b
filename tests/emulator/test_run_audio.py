# SPDX-License-Identifier: Apache-2.0
"""`mcu-ser run --input audio`: from the corpora to firmware that hears, in one command."""

import json

import pytest

from mcu_ser.artifacts import RunDir
from mcu_ser.cli.main import main
from mcu_ser.programs import CMAKE
from tests import tiny_recipe

RECIPE = "".join(
    (
        tiny_recipe.NAME,
        "\n[graph]\nmultiplier = 0.0\n",
        tiny_recipe.SOURCE,
        tiny_recipe.TARGET,
        tiny_recipe.FEATURES,
        tiny_recipe.MODEL,
        tiny_recipe.TRAINING,
        "\n[pruning]\nsparsity_fraction = 0.6\nfit = { epochs = 1, learning_rate = 2e-3, batch_size = 8 }\n",
        tiny_recipe.QAT,
    )
)


@pytest.mark.train
@pytest.mark.emulator
def test_one_command_from_the_corpora_to_firmware_that_hears(tmp_path) -> None:
    pytest.importorskip("tensorflow")
    if CMAKE.find() is None:
        pytest.skip("not installed: cmake")
    recipe, run = tmp_path / "tiny.toml", RunDir(tmp_path / "run")
    recipe.write_text(RECIPE)
    options = ["--recipe", str(recipe), "--board", "host", "--input", "audio", "--out", str(run.root)]
    assert main(["run", *options]) == 0
    report = json.loads((run.report("host", "aot") / "report.json").read_text())
    audio = report["audio"]
    assert audio["identical"] == audio["clips"] == report["identical"] == report["samples"] > 0
    assert report["host"]["uar"] is not None
    stages = run.read_manifest()["stages"]
    assert "convert/front_end.json" in stages["generate"]["read"]
    assert "convert/audio.npz" in stages["verify"]["read"]
    # The same clips as features: the test set is one.
    samples = ["--samples", str(run.samples), "--no-litert", "--out", str(tmp_path / "features")]
    assert main(["verify", str(run.project("host", "aot")), *samples]) == 0
    features = json.loads((tmp_path / "features" / "report.json").read_text())
    assert features["answers"]["device_crc32"] == report["answers"]["device_crc32"]


def test_features_of_float64_are_nothing_that_a_board_hears(tmp_path, capsys) -> None:
    recipe = tmp_path / "float.toml"
    recipe.write_text(RECIPE.replace("[features]\n", '[features]\narithmetic = "float64"\n'))
    pytest.importorskip("tensorflow")
    options = ["--recipe", str(recipe), "--board", "host", "--input", "audio", "--out", str(tmp_path / "run")]
    assert main(["run", *options]) == 2
    assert (
        "--input audio: is for features of integers; the recipe's are of float64" in capsys.readouterr().err
    )
    assert not (tmp_path / "run").exists()
