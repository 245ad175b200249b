# SPDX-License-Identifier: Apache-2.0
"""train, compress and convert on a recipe that is small in every way, through the command line."""

import json
import re
import shutil
from importlib.util import find_spec

import numpy as np
import pytest
import tflite

from mcu_ser.artifacts import RunDir, canonical_json, sha256_file, sha256_hex, write_text
from mcu_ser.cli.main import main
from mcu_ser.errors import BudgetError, CheckFailedError, ModelError
from mcu_ser.programs import PACKAGES
from mcu_ser.provenance import recipe_tables
from mcu_ser.recipe import BudgetRecipe, PruningRecipe, load_recipe

if find_spec("tensorflow") is None:
    pytest.skip("needs the [train] extra", allow_module_level=True)

import soundfile

from mcu_ser.convert.litert import litert_outputs
from mcu_ser.convert.model_file import PRUNED_OPERATORS, Layer, ModelFile, check_model_file, read_model_file
from mcu_ser.convert.oracle import Oracle
from mcu_ser.convert.quantization import quantize
from mcu_ser.corpus import synthetic
from mcu_ser.corpus.content import corpus_sha256
from mcu_ser.corpus.read import read_corpus
from mcu_ser.features.clip import pcm16, trimmed
from mcu_ser.features.feature_set import FeatureSet
from mcu_ser.features.front_end import FrontEnd
from mcu_ser.train.target import load_target
from tests import tiny_recipe as tiny

pytestmark = pytest.mark.train

TINY = (
    tiny.NAME
    + tiny.SOURCE
    + 'validation_speakers = ["s03"]\n'
    + tiny.VALIDATED_TARGET
    + tiny.FEATURES
    + tiny.GRAPH
    + tiny.MODEL
    + tiny.QAT
    + """
[source_model]
width = 8
fit = { epochs = 2, learning_rate = 3e-3, batch_size = 8 }

[training]
fit = { epochs = 2, learning_rate = 5e-3, batch_size = 8 }

[pruning]
sparsity_fraction = 0.6
fit = { epochs = 2, learning_rate = 2e-3, batch_size = 8 }
"""
)


@pytest.fixture(scope="module")
def recipe_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="module")
def run_dir(recipe_file, tmp_path_factory):
    run_dir = RunDir(tmp_path_factory.mktemp("runs") / "tiny")
    assert main(["train", str(run_dir.root), "--recipe", str(recipe_file)]) == 0
    assert main(["compress", str(run_dir.root)]) == 0
    assert main(["convert", str(run_dir.root)]) == 0
    return run_dir


@pytest.fixture(scope="module")
def model(run_dir) -> bytes:
    return run_dir.tflite.read_bytes()


def test_the_resolved_recipe_is_kept(run_dir, recipe_file) -> None:
    assert load_recipe(run_dir.recipe) == load_recipe(recipe_file)


def test_the_manifest_vouches_for_every_file(run_dir) -> None:
    stages = run_dir.read_manifest()["stages"]
    assert sorted(stages) == ["audio", "compress", "convert", "train"]
    on_disk = {
        path.relative_to(run_dir.root).as_posix()
        for path in run_dir.root.rglob("*")
        if path.is_file() and path != run_dir.manifest_path
    }
    wrote = {name: digest for stage in stages.values() for name, digest in stage["wrote"].items()}
    assert set(wrote) == on_disk
    for stage in stages.values():
        assert stage["seed"] == 3
        assert stage["versions"]["tensorflow"]
        for name, digest in (stage["read"] | stage["wrote"]).items():
            assert sha256_file(run_dir.root / name) == digest


def test_corpora_and_splits_are_in_the_manifest(run_dir, recipe_file) -> None:
    corpora = run_dir.read_manifest()["stages"]["train"]["corpora"]
    recipe = load_recipe(recipe_file).corpora
    speakers = {"train": ["t01", "t02"], "validation": ["t03"], "test": ["t04"]}
    assert corpora["target"] == {
        "sha256": corpus_sha256(read_corpus(recipe.target, None)),
        "speakers": speakers,
    }
    speakers = {"train": ["s01", "s02"], "validation": ["s03"], "test": []}
    assert corpora["source"] == {
        "sha256": corpus_sha256(read_corpus(recipe.source, None)),
        "speakers": speakers,
    }


def test_train_reports_source_graph_and_target(run_dir) -> None:
    metrics = json.loads(run_dir.metrics("train").read_text())
    assert metrics["graph"]["utterances"] == 12  # two speakers train
    assert metrics["graph"]["neighbours"] > 0
    assert len(metrics["target"]["fit"]["validation_uar"]) == 2
    assert max(metrics["target"]["fit"]["graph_loss"]) > 0
    assert set(metrics["source"]) == {"fit", "parameters", "validation"}


def test_the_graph_joins_training_utterances_alone(run_dir) -> None:
    features = FeatureSet.load(run_dir.target_features)
    training = set(features.part("train").ids.tolist())
    assert training < set(features.ids.tolist())
    lines = [line.split("\t") for line in run_dir.graph.read_text().splitlines()]
    assert {id for source, target, _ in lines for id in (source, target)} <= training
    with np.load(run_dir.embeddings) as embeddings:
        assert set(embeddings["ids"].tolist()) == training


def test_compress_keeps_the_graph_loss_on(run_dir) -> None:
    metrics = json.loads(run_dir.metrics("compress").read_text())
    for stage in ("pruned", "qat"):
        assert max(metrics[stage]["fit"]["graph_loss"]) > 0
        assert sum(map(sum, metrics[stage]["test"]["confusion"])) == 6


def test_the_model_is_int8_with_a_batch_of_one(model) -> None:
    oracle = Oracle(model)
    assert oracle.input_shape == (1, 32, 16, 1)
    assert oracle.output_shape == (1, 6)
    # Softmax: 256 steps from 0 to 1.
    assert oracle.output_quantization.scale == 1 / 256
    assert oracle.output_quantization.zero_point == -128
    graph = tflite.Model.GetRootAsModel(model, 0).Subgraphs(0)
    assert graph.Tensors(graph.Inputs(0)).ShapeSignatureLength() in {0, 4}
    assert -1 not in graph.Tensors(graph.Inputs(0)).ShapeAsNumpy()


def test_batch_normalisation_is_folded(model) -> None:
    operators = [layer.operator for layer in read_model_file(model, "model").layers]
    assert operators == [
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "CONV_2D",
        "MEAN",
        "FULLY_CONNECTED",
        "RESHAPE",
        "MEAN",
        "FULLY_CONNECTED",
        "ADD",
        "FULLY_CONNECTED",
        "SOFTMAX",
    ]


def test_zeros_of_pruning_survive_into_the_file(model, run_dir) -> None:
    file = read_model_file(model, "model")
    for layer in file.layers:
        if layer.operator in PRUNED_OPERATORS:
            assert layer.zeros >= layer.weights - round(0.4 * layer.weights)
    assert 0.6 <= file.sparsity_fraction < 0.75
    assert (
        json.loads(run_dir.metrics("convert").read_text())["file"]["sparsity_fraction"]
        == file.sparsity_fraction
    )


def test_sizes_are_those_of_the_layers(model) -> None:
    file = read_model_file(model, "model")
    assert [layer.weights for layer in file.layers] == [200, 72, 128, 64, 256, 0, 512, 0, 0, 2048, 0, 192, 0]
    assert file.weight_bytes == 3472
    # The input, 32 x 16, and the stem's 16 x 8 x 8, which then stays until its mean is taken.
    assert [layer.activation_bytes for layer in file.layers[:2]] == [512 + 1024, 1024 + 256]
    assert file.peak_activation_bytes == 1024 + 256 + 512
    assert file.file_bytes == len(model)


def test_samples_are_the_quantised_test_speakers(model, run_dir) -> None:
    with np.load(run_dir.samples) as samples:
        x, y, labels, ids = (samples[name] for name in ("x", "y", "labels", "ids"))
    oracle = Oracle(model)
    test = load_target(run_dir).test
    assert x.dtype == np.int8
    assert x.shape == (6, 32, 16, 1)
    entrance = oracle.input_quantization
    quantized = quantize(test.clips.x, entrance.scale, entrance.zero_point)
    assert np.abs(x[..., 0].astype(int) - quantized).max() <= 1
    assert [str(id) for id in ids] == [f"t04-{label}-01" for label in labels]
    assert y.tolist() == list(range(6))


def test_samples_are_what_the_front_end_makes_of_the_recordings(run_dir) -> None:
    front_end = FrontEnd.load(run_dir.front_end)
    corpus = synthetic.read("target", speakers=4, takes=1, seed=1)
    recordings = {one.id: pcm16(one.audio.samples(16000)) for one in corpus.utterances}
    with np.load(run_dir.samples) as samples:
        for x, id in zip(samples["x"], samples["ids"], strict=True):
            assert (x[..., 0] == front_end.run(trimmed(recordings[str(id)], front_end.spec))).all()


def test_features_of_float64_have_no_front_end(run_dir, tmp_path, capsys) -> None:
    again = RunDir(tmp_path / "again")
    shutil.copytree(run_dir.root, again.root)
    resolved = again.recipe.read_text()
    assert resolved.count('arithmetic = "integer"') == 1
    again.recipe.write_text(resolved.replace('arithmetic = "integer"', 'arithmetic = "float64"'))
    assert main(["convert", str(again.root)]) == 2
    assert "recipe.toml: features is not what the train stage was made with" in capsys.readouterr().err
    # As if it had been: the clips of the set are the same up to rounding.
    manifest = again.read_manifest()
    manifest["stages"]["train"]["recipe"] = recipe_tables("train", load_recipe(again.recipe))
    write_text(again.manifest_path, canonical_json(manifest))
    assert main(["convert", str(again.root)]) == 0
    assert not again.front_end.exists()
    assert "convert/front_end.json" not in again.read_manifest()["stages"]["convert"]["wrote"]
    entrance = Oracle(again.tflite.read_bytes()).input_quantization
    test = load_target(again).test
    with np.load(again.samples) as samples:
        expected = quantize(test.clips.x, entrance.scale, entrance.zero_point)
        assert (samples["x"][..., 0] == expected).all()


def test_convert_reports_what_the_oracle_answers(model, run_dir) -> None:
    metrics = json.loads(run_dir.metrics("convert").read_text())
    assert metrics["model_sha256"] == sha256_hex(model)
    assert metrics["samples"] == 6
    with np.load(run_dir.samples) as samples:
        answers = Oracle(model).run(samples["x"])
        others = litert_outputs(model, samples["x"])
        assert metrics["int8"]["accuracy"] == (answers.argmax(axis=1) == samples["y"]).mean()
    assert metrics["litert"]["samples_that_differ"] == (answers != others).any(axis=1).sum()
    assert {"float", "pruned", "qat"} <= set(metrics)


def test_quantised_answers_follow_the_quantisation_aware_model(run_dir) -> None:
    metrics = json.loads(run_dir.metrics("convert").read_text())
    # Fake quantisation rounds in float, and softmax answers in steps of 1/256: close, never equal.
    assert metrics["int8"]["loss"] == pytest.approx(metrics["qat"]["loss"], abs=0.05)


def test_converting_again_gives_the_same_bytes(model, run_dir, tmp_path) -> None:
    again = RunDir(tmp_path / "again")
    shutil.copytree(run_dir.root, again.root)
    again.tflite.unlink()
    assert main(["convert", str(again.root)]) == 0
    assert again.tflite.read_bytes() == model
    assert again.samples.read_bytes() == run_dir.samples.read_bytes()
    assert again.manifest_path.read_bytes() == run_dir.manifest_path.read_bytes()


def test_training_again_gives_the_same_bytes(run_dir, recipe_file, tmp_path) -> None:
    again = RunDir(tmp_path / "again")
    assert main(["train", str(again.root), "--recipe", str(recipe_file)]) == 0
    for path in (
        again.source_model,
        again.float_model,
        again.graph,
        again.embeddings,
        again.metrics("train"),
    ):
        assert path.read_bytes() == (run_dir.root / path.relative_to(again.root)).read_bytes(), path


# --- the checks of the converted file


def test_a_model_that_is_not_sparse_enough_is_refused(model) -> None:
    file = read_model_file(model, "model")
    check_model_file(file, pruning=PruningRecipe(sparsity_fraction=0.6), budget=BudgetRecipe())
    with pytest.raises(
        CheckFailedError, match=r"model\.tflite layer .*: \d+ of 200 weights are zero, limit at least 180"
    ):
        check_model_file(file, pruning=PruningRecipe(sparsity_fraction=0.9), budget=BudgetRecipe())


def test_a_model_that_is_too_big_is_refused(model) -> None:
    file = read_model_file(model, "model")
    with pytest.raises(
        BudgetError, match=r"weights take 3472 B \(largest: .*, 2048 B\), limit 800 B; try: a smaller"
    ):
        check_model_file(
            file, pruning=PruningRecipe(sparsity_fraction=0.0), budget=BudgetRecipe(weight_bytes=800)
        )
    with pytest.raises(BudgetError, match=r"activations take 1792 B \(at CONV_2D .*\), limit 1000 B"):
        check_model_file(
            file, pruning=PruningRecipe(sparsity_fraction=0.0), budget=BudgetRecipe(activation_bytes=1000)
        )


def test_depthwise_kernels_need_no_zeros() -> None:
    layer = Layer("DEPTHWISE_CONV_2D", "d", weights=72, zeros=0, activation_bytes=8)
    check_model_file(
        ModelFile((layer,), 72, 100), pruning=PruningRecipe(sparsity_fraction=0.9), budget=BudgetRecipe()
    )


def test_a_float_model_is_refused() -> None:
    from mcu_ser.train.nsl_import import keras, tf

    inputs = keras.Input(batch_shape=(1, 8), name="x")
    network = keras.Model(inputs, keras.layers.Softmax(name="softmax")(inputs), name="float")
    converted = tf.lite.TFLiteConverter.from_keras_model(network).convert()
    with pytest.raises(ModelError, match="float: is a float model"):
        read_model_file(converted, "float")


# --- the commands' errors


@pytest.mark.parametrize(("command", "missing"), [("compress", "recipe.toml"), ("convert", "recipe.toml")])
def test_a_stage_too_early_names_the_stage_before(command, missing, tmp_path, capsys) -> None:
    assert main([command, str(tmp_path / "nothing")]) == 2
    assert re.search(f"nothing: has no {missing}; try: mcu-ser train ", capsys.readouterr().err)
    assert not (tmp_path / "nothing").exists()


def test_convert_before_compress(run_dir, tmp_path, capsys) -> None:
    early = RunDir(tmp_path / "early")
    shutil.copytree(run_dir.root / "train", early.root / "train")
    shutil.copy(run_dir.recipe, early.recipe)
    assert main(["convert", str(early.root)]) == 2
    assert "has no compress/qat.weights.h5; try: mcu-ser compress" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--recipe", "no-such"], "recipe no-such: cannot be read"),
        (["--recipe", "ravdess-emodb"], "corpus ravdess: needs its recordings; try: --corpus-root DIR"),
        (["--recipe", "ravdess-emodb", "--corpus-root", "/nowhere"], "/nowhere/ravdess: is not a directory"),
    ],
)
def test_train_errors_write_nothing(arguments, problem, tmp_path, capsys) -> None:
    assert main(["train", str(tmp_path / "run"), *arguments]) == 2
    assert problem in capsys.readouterr().err
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('test_speakers = ["t04"]', "", "recipe corpora.target: names no test_speakers"),
        ('["t04"]', '["t99"]', "split: synthetic-target has no speaker t99; try: one of t01, t02, t03, t04"),
        ('["t04"]', '["t03"]', "split: speaker t03 is in validation and in test"),
        ("similarity_threshold = 0.3", 'layer = "relu"', "recipe graph.layer: ds_cnn has no layer relu"),
    ],
)
def test_recipes_that_do_not_fit(old, new, problem, tmp_path, capsys) -> None:
    (tmp_path / "odd.toml").write_text(TINY.replace(old, new))
    assert main(["train", str(tmp_path / "run"), "--recipe", str(tmp_path / "odd.toml")]) == 2
    assert problem in capsys.readouterr().err
    assert not list((tmp_path / "run").iterdir())


def test_a_missing_builder_stops_the_run_before_it_reads(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setitem(PACKAGES, "ann", ("no-such-package",))
    (tmp_path / "odd.toml").write_text(TINY.replace("[graph]", '[graph]\nbuilder = "hnsw"'))
    assert main(["train", str(tmp_path / "run"), "--recipe", str(tmp_path / "odd.toml")]) == 3
    hint = "is not installed; try: pip install '.[ann]' in the mcu-ser checkout"
    assert f"Python package no-such-package: {hint}" in capsys.readouterr().err
    assert not list((tmp_path / "run").iterdir())


def test_a_wav_of_zero_samples_stops_the_run_before_it_writes(tmp_path, capsys) -> None:
    (tmp_path / "list.csv").write_text("file,speaker,emotion\na.wav,a,joy\nb.wav,b,rage\n")
    for name, samples in (("a.wav", [0.5] * 100), ("b.wav", [])):
        soundfile.write(tmp_path / name, np.array(samples, np.float32), 16000)
    csv = '[corpora.target]\nreader = "csv"\nmanifest = "list.csv"\ntest_speakers = ["b"]\n'
    (tmp_path / "csv.toml").write_text(TINY.replace(tiny.VALIDATED_TARGET, csv))
    arguments = ["--recipe", str(tmp_path / "csv.toml"), "--corpus-root", str(tmp_path)]
    assert main(["train", str(tmp_path / "run"), *arguments]) == 2
    assert f"{tmp_path}/b.wav: holds zero samples" in capsys.readouterr().err
    assert not list((tmp_path / "run").iterdir())
