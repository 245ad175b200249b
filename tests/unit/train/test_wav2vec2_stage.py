# SPDX-License-Identifier: Apache-2.0
"""`mcu-ser train` with a wav2vec 2.0 source model, on a checkpoint that is tiny, random, and made here."""

import json
from importlib.util import find_spec

import numpy as np
import pytest

if find_spec("tensorflow") is None or find_spec("transformers") is None:
    pytest.skip("needs the [wav2vec2] extra", allow_module_level=True)

from mcu_ser.artifacts import RunDir, sha256_file
from mcu_ser.cli.main import main
from mcu_ser.train.fit import make_reproducible
from mcu_ser.train.wav2vec2_import import TFWav2Vec2ForSequenceClassification, Wav2Vec2Config
from tests import tiny_recipe as tiny

pytestmark = pytest.mark.train

RECIPE = (
    tiny.NAME
    + tiny.SOURCE
    + 'validation_speakers = ["s03"]\n'
    + tiny.VALIDATED_TARGET
    + tiny.FEATURES
    + tiny.MODEL
    + tiny.TRAINING
    + """
[source_model]
model = "wav2vec2"
checkpoint = "CHECKPOINT"
max_seconds = 1.0
epochs = 1
batch_size = 4

[graph]
similarity_threshold = 0.0
"""
)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    make_reproducible(5)
    config = Wav2Vec2Config(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        conv_dim=[8] * 7,
        num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=1,
        classifier_proj_size=12,
    )
    model = TFWav2Vec2ForSequenceClassification(config)
    model.build_in_name_scope()
    path = tmp_path_factory.mktemp("checkpoint")
    model.save_pretrained(path, safe_serialization=True)
    return path


def train(place, checkpoint, *arguments, changes=None):
    text = RECIPE.replace("CHECKPOINT", str(checkpoint))
    for before, after in (changes or {}).items():
        text = text.replace(before, after)
    recipe = place / "tiny.toml"
    recipe.write_text(text)
    return RunDir(place / "run"), main(["train", str(place / "run"), "--recipe", str(recipe), *arguments])


@pytest.fixture(scope="module")
def trained(checkpoint, tmp_path_factory):
    place = tmp_path_factory.mktemp("trained")
    run_dir, status = train(place, checkpoint, "--cache", str(place / "cache"))
    assert status == 0
    return run_dir


def test_embeddings_and_graph_are_of_the_targets_training_clips(trained) -> None:
    with np.load(trained.embeddings) as kept:
        assert kept["embeddings"].shape == (12, 12)  # two speakers train, projector of 12
        assert [str(id)[:3] for id in kept["ids"]] == ["t01"] * 6 + ["t02"] * 6
        assert len(np.unique(kept["embeddings"], axis=0)) == 12
    metrics = json.loads(trained.metrics("train").read_text())
    assert metrics["graph"]["utterances"] == 12
    assert metrics["graph"]["edges"] > 0
    assert max(metrics["target"]["fit"]["graph_loss"]) > 0


def test_the_checkpoint_is_recorded_and_not_copied(trained, checkpoint) -> None:
    source = json.loads(trained.metrics("train").read_text())["source"]
    names = ("config.json", "model.safetensors")
    assert source["checkpoint"] == {name: sha256_file(checkpoint / name) for name in names}
    assert source["versions"]["transformers"]
    assert len(source["fit"]["loss"]) == len(source["fit"]["validation_uar"]) == 1
    assert sum(map(sum, source["validation"]["confusion"])) == 6
    assert not trained.source_model.exists()
    assert "train/source_model.keras" not in trained.read_manifest()["stages"]["train"]["wrote"]


def test_found_in_the_cache_it_is_the_same(trained, checkpoint, tmp_path, monkeypatch) -> None:
    from mcu_ser.train import wav2vec2_fit

    def never(*_):
        raise AssertionError("fine-tuned again")

    monkeypatch.setattr(wav2vec2_fit, "FineTuning", never)
    again, status = train(tmp_path, checkpoint, "--cache", str(trained.root.parent / "cache"))
    assert status == 0
    for path in (trained.embeddings, trained.graph, trained.float_model, trained.metrics("train")):
        assert (again.root / path.relative_to(trained.root)).read_bytes() == path.read_bytes(), path


def test_another_fold_fine_tunes_nothing_and_hears_only_speakers_that_are_new(
    trained, checkpoint, tmp_path, monkeypatch
) -> None:
    from mcu_ser.train import wav2vec2_fit, wav2vec2_source

    def never(*_):
        raise AssertionError("fine-tuned again")

    heard = []
    latents = wav2vec2_source._latents
    monkeypatch.setattr(wav2vec2_fit, "FineTuning", never)
    monkeypatch.setattr(
        wav2vec2_source, "_latents", lambda *given: heard.append(given[1].speaker) or latents(*given)
    )
    # A first fold trained t01 and t02; this one trains t02 and t03.
    fold = {'validation_speakers = ["t03"]': 'validation_speakers = ["t01"]'}
    again, status = train(tmp_path, checkpoint, "--cache", str(trained.root.parent / "cache"), changes=fold)
    assert status == 0
    assert heard == ["t03"] * 6
    with np.load(trained.embeddings) as before, np.load(again.embeddings) as after:
        assert [str(id)[:3] for id in after["ids"]] == ["t02"] * 6 + ["t03"] * 6
        np.testing.assert_array_equal(after["embeddings"][:6], before["embeddings"][6:])
    metrics = [json.loads(each.metrics("train").read_text()) for each in (trained, again)]
    assert metrics[0]["source"] == metrics[1]["source"]


def test_another_checkpoint_is_fine_tuned(trained, checkpoint, tmp_path, monkeypatch) -> None:
    from mcu_ser.train import wav2vec2_fit

    class Asked(Exception):
        pass

    def asked(*_):
        raise Asked

    monkeypatch.setattr(wav2vec2_fit, "FineTuning", asked)
    other = tmp_path / "other"
    other.mkdir()
    for path in checkpoint.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    (other / "config.json").write_text((checkpoint / "config.json").read_text() + " ")
    with pytest.raises(Asked):
        train(tmp_path, other, "--cache", str(trained.root.parent / "cache"))


def test_an_incomplete_checkpoint_stops_the_run_before_it_writes(checkpoint, tmp_path, capsys) -> None:
    (tmp_path / "config.json").write_bytes((checkpoint / "config.json").read_bytes())
    run_dir, status = train(tmp_path, tmp_path)
    assert status == 2
    assert f"{tmp_path}: has no weights: none of model.safetensors" in capsys.readouterr().err
    assert not list(run_dir.root.iterdir())


def test_without_the_extra_the_command_that_installs_it_is_named(
    checkpoint, tmp_path, capsys, monkeypatch
) -> None:
    from mcu_ser.programs import PACKAGES

    monkeypatch.setitem(PACKAGES, "wav2vec2", ("no-such-package-here",))
    run_dir, status = train(tmp_path, checkpoint)
    assert status == 3
    assert "pip install '.[wav2vec2]'" in capsys.readouterr().err
    assert not list(run_dir.root.iterdir())


def test_without_a_graph_no_checkpoint_is_needed(tmp_path) -> None:
    recipe = RECIPE.replace("[graph]", "[graph]\nmultiplier = 0.0")
    (tmp_path / "tiny.toml").write_text(recipe)
    assert main(["train", str(tmp_path / "run"), "--recipe", str(tmp_path / "tiny.toml")]) == 0
    assert not RunDir(tmp_path / "run").embeddings.exists()
