# SPDX-License-Identifier: Apache-2.0
"""train, compress and convert with everything on that only some recipes ask for, and with it off again."""

import json
import shutil
from importlib.util import find_spec

import numpy as np
import pytest

from mcu_ser.artifacts import RunDir
from mcu_ser.cli.main import main

if find_spec("tensorflow") is None:
    pytest.skip("needs the [train] extra", allow_module_level=True)

from mcu_ser.features.feature_set import FeatureSet
from tests import tiny_recipe as tiny

pytestmark = pytest.mark.train

TINY = (
    tiny.NAME
    + tiny.SOURCE
    + 'validation_speakers = ["s03"]\n'
    + tiny.TARGET
    + tiny.FEATURES
    + tiny.SOURCE_MODEL
    + tiny.QAT.replace("batch_size", "weight_averaging = 0.9, batch_size")
    + """
[model]
family = "residual_cnn"
width = 0.5

[training]
fit = { epochs = 2, learning_rate = 5e-3, batch_size = 8, augmentation = { speeds = [0.9, 1.0] } }

[pruning]
fit = { epochs = 2, learning_rate = 2e-3, batch_size = 8, augmentation = { speeds = [1.0] } }
"""
)
NO_GRAPH = "[graph]\nmultiplier = 0.0\n"
TRANSFER = """
[transfer]
method = "METHOD"
fit = { epochs = 1, learning_rate = 3e-3, batch_size = 8, augmentation = { speeds = [1.0, 1.1] } }
"""


def run(root, recipe, cache) -> RunDir:
    run_dir = RunDir(root)
    shared = ["--cache", str(cache)]
    assert main(["train", str(root), "--recipe", str(recipe), *shared]) == 0
    assert main(["compress", str(root), *shared]) == 0
    assert main(["convert", str(root), "--post-training"]) == 0
    return run_dir


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("options")


@pytest.fixture(scope="module")
def recipe(place):
    path = place / "everything.toml"
    path.write_text(TINY + tiny.GRAPH + TRANSFER.replace("METHOD", "fine_tuning"))
    return path


@pytest.fixture(scope="module")
def everything(place, recipe) -> RunDir:
    return run(place / "first", recipe, place / "cache")


def files(run_dir: RunDir) -> dict[str, bytes]:
    return {
        str(path.relative_to(run_dir.root)): path.read_bytes()
        for path in sorted(run_dir.root.rglob("*"))
        if path.is_file()
    }


def test_a_run_from_the_cache_has_the_bytes_of_the_run_that_filled_it(everything, place, recipe) -> None:
    entries = sorted(path.name for path in (place / "cache").iterdir())
    kinds = {name.rsplit("-", 1)[0] for name in entries}
    assert {"features", "recordings", "pretrained", "source-model"} <= kinds
    again = run(place / "again", recipe, place / "cache")
    assert sorted(path.name for path in (place / "cache").iterdir()) == entries
    first, second = files(everything), files(again)
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def test_recordings_at_every_speed_of_any_fit_are_kept(everything) -> None:
    for path in (everything.target_features, everything.source_features):
        features = FeatureSet.load(path)
        assert features.recordings is not None
        assert features.recordings.speeds.tolist() == [0.9, 1.0, 1.1]
        assert features.recordings.length.shape == (len(features), 3)


def test_predictions_are_those_of_the_scores(everything) -> None:
    metrics = json.loads(everything.metrics("convert").read_text())
    test = FeatureSet.load(everything.target_features).part("test")
    with np.load(everything.predictions) as predictions:
        stages = sorted(set(predictions.files) - {"ids", "speakers", "y"})
        assert stages == ["float", "int8", "post_training", "pruned", "qat"]
        assert (predictions["ids"] == test.ids).all()
        assert set(predictions["speakers"]) == {"t03"}
        assert (predictions["y"] == test.y).all()
        for stage in stages:
            rows = [predictions["y"] == label for label in np.unique(test.y)]
            recalls = [(predictions[stage][one] == predictions["y"][one]).mean() for one in rows]
            assert metrics[stage]["uar"] == pytest.approx(np.mean(recalls))


def test_without_the_option_there_is_no_control(everything, place) -> None:
    plain = RunDir(place / "plain")
    shutil.copytree(everything.root, plain.root)
    assert main(["convert", str(plain.root)]) == 0
    assert "post_training" not in json.loads(plain.metrics("convert").read_text())
    with np.load(plain.predictions) as predictions:
        assert "post_training" not in predictions
    assert plain.tflite.read_bytes() == everything.tflite.read_bytes()


def test_a_multiplier_of_zero_trains_no_source_model_and_leaves_no_former_one(everything, place) -> None:
    speech_only = RunDir(place / "speech_only")
    shutil.copytree(everything.root, speech_only.root)
    recipe = place / "speech_only.toml"
    recipe.write_text(TINY + NO_GRAPH)
    cache = place / "other_cache"
    assert main(["train", str(speech_only.root), "--recipe", str(recipe), "--cache", str(cache)]) == 0
    for path in (
        speech_only.source_features,
        speech_only.source_model,
        speech_only.embeddings,
        speech_only.graph,
        speech_only.pretrained_model,
    ):
        assert not path.exists()
    assert list(json.loads(speech_only.metrics("train").read_text())) == ["target"]
    assert {path.name.rsplit("-", 1)[0] for path in cache.iterdir()} == {"features", "recordings"}


def test_embeddings_as_they_are_come_from_the_same_source_model(everything, place, recipe) -> None:
    entries = {path.name for path in (place / "cache").iterdir()}
    other = place / "kept.toml"
    other.write_text(recipe.read_text().replace("[source_model]\n", "[source_model]\ncentred = false\n"))
    kept = RunDir(place / "kept")
    assert main(["train", str(kept.root), "--recipe", str(other), "--cache", str(place / "cache")]) == 0
    assert {path.name for path in (place / "cache").iterdir() if "source-model" in path.name} <= entries
    with np.load(everything.embeddings) as former, np.load(kept.embeddings) as latter:
        centred, as_they_are = former["embeddings"], latter["embeddings"]
    assert (as_they_are >= 0).all()
    assert (centred == as_they_are - as_they_are.mean(axis=0)).all()


def test_speeds_of_float64_features_go_through_every_stage(place) -> None:
    text = (TINY + NO_GRAPH).replace("[features]\n", '[features]\narithmetic = "float64"\n')
    other = place / "float64.toml"
    other.write_text(text)
    run_dir = run(place / "float64", other, place / "float64_cache")
    kept = FeatureSet.load(run_dir.target_features).recordings
    assert kept is not None
    assert kept.levels.dtype == np.float32
    assert json.loads(run_dir.metrics("convert").read_text())["samples"] == 6


def test_a_model_is_not_tested_on_speakers_that_it_learnt_from(everything, place, capsys) -> None:
    again = RunDir(place / "other_speakers")
    shutil.copytree(everything.root, again.root)
    other = place / "other_speakers.toml"
    other.write_text((TINY + NO_GRAPH).replace('test_speakers = ["t03"]', 'test_speakers = ["t01"]'))
    assert main(["train", str(again.root), "--recipe", str(other), "--cache", str(place / "cache")]) == 0
    # What compress made learnt t01, who is now to be tested.
    before = again.tflite.read_bytes()
    assert main(["convert", str(again.root)]) == 2
    said = capsys.readouterr().err
    assert "is not what the compress stage was made from" in said
    assert f"try: mcu-ser compress {again.root}" in said
    assert again.tflite.read_bytes() == before


def test_validation_speakers_of_the_source_that_only_measure_choose_nothing(
    everything, place, recipe
) -> None:
    """Neither a source model, nor a pretrained one, nor its pruned trunk; nor one of the cache."""
    chosen = json.loads(everything.metrics("train").read_text())
    assert [len(chosen[one]["fit"]["validation_uar"]) for one in ("source", "transfer")] == [1, 1]
    other = place / "measures.toml"
    measures = 'validation_speakers = ["s03"]\nvalidation_use = "measures"\n'
    text = recipe.read_text().replace('validation_speakers = ["s03"]\n', measures)
    other.write_text(text.replace("fine_tuning", "frozen_features"))
    run_dir = RunDir(place / "measures")
    shared = ["--cache", str(place / "cache")]
    assert main(["train", str(run_dir.root), "--recipe", str(other), *shared]) == 0
    assert main(["compress", str(run_dir.root), *shared]) == 0
    trained, compressed = (json.loads(run_dir.metrics(one).read_text()) for one in ("train", "compress"))
    for document in (trained["source"], trained["transfer"], compressed["pruned_pretrained"]):
        assert document["fit"]["validation_uar"] == []
        assert "uar" in document["validation"]


def test_a_source_that_has_what_the_target_tests_is_refused(place, capsys) -> None:
    other = place / "leak.toml"
    other.write_text(
        (TINY + TRANSFER.replace("METHOD", "fine_tuning"))
        .replace('"source"', '"target"')
        .replace("s03", "t02")
    )
    assert main(["train", str(place / "leak"), "--recipe", str(other)]) == 2
    assert ", which corpora.target holds out" in capsys.readouterr().err
    assert not (place / "leak" / "train").exists()
