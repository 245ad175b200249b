# SPDX-License-Identifier: Apache-2.0
"""The test set as audio, of a run that is made up of what the convert stage leaves."""

import numpy as np
import pytest

from mcu_ser.artifacts import RunDir
from mcu_ser.convert import audio
from mcu_ser.corpus import synthetic
from mcu_ser.errors import ConfigError, CorpusError
from mcu_ser.features.clip import pcm16, trimmed
from mcu_ser.features.clip_set import ClipSet
from mcu_ser.recipe import EmodbCorpus, load_recipe
from tests.hearing_model import SPEC, front_end_of

CORPUS = synthetic.read("target", speakers=3, takes=1, seed=5)
TEST_SET = [one for one in CORPUS.utterances if one.speaker == "t02"]


@pytest.fixture
def recipe():
    """The shipped one, with a corpus of few speakers."""
    shipped = load_recipe("synthetic")
    target = shipped.corpora.target.model_copy(update={"speakers": 3, "takes": 1, "voices": 5})
    corpora = shipped.corpora.model_copy(update={"target": target})
    return shipped.model_copy(update={"corpora": corpora, "features": SPEC})


@pytest.fixture
def run_dir(tmp_path) -> RunDir:
    run_dir = RunDir(tmp_path / "run")
    front_end = front_end_of()
    front_end.save(run_dir.front_end)
    clips = [trimmed(pcm16(one.audio.samples(16000)), SPEC) for one in TEST_SET]
    y = np.array([CORPUS.emotions.index(one.emotion) for one in TEST_SET])
    x = np.array([front_end.run(pcm) for pcm in clips])[..., None]
    np.savez(run_dir.samples, x=x, y=y, labels=CORPUS.emotions, ids=[one.id for one in TEST_SET])
    run_dir.recipe.write_text("")
    return run_dir


def test_the_clips_give_the_features_of_the_test_set(run_dir, recipe) -> None:
    assert audio.run(run_dir, recipe, None) == len(TEST_SET)
    found, samples = ClipSet.load(run_dir.audio, len(CORPUS.emotions)), np.load(run_dir.samples)
    assert found.ids == tuple(one.id for one in TEST_SET)
    assert found.labels == CORPUS.emotions
    assert found.y.tolist() == samples["y"].tolist()
    for pcm, features in zip(found.clips, samples["x"], strict=True):
        assert (front_end_of().run(pcm) == features[..., 0]).all()
    entry = run_dir.read_manifest()["stages"]["audio"]
    assert list(entry["wrote"]) == ["convert/audio.npz"]
    assert {"convert/front_end.json", "convert/samples.npz"} < set(entry["read"])


def test_the_same_run_gives_the_same_bytes(run_dir, recipe) -> None:
    audio.run(run_dir, recipe, None)
    first = run_dir.audio.read_bytes()
    audio.run(run_dir, recipe, None)
    assert run_dir.audio.read_bytes() == first


def test_other_recordings_are_refused(run_dir, recipe) -> None:
    audio.run(run_dir, recipe, None)
    target = recipe.corpora.target.model_copy(update={"voices": 6})
    other = recipe.model_copy(update={"corpora": recipe.corpora.model_copy(update={"target": target})})
    with pytest.raises(ConfigError, match=r"utterance t02.*: is another recording than the run was trained"):
        audio.run(run_dir, other, None)
    assert not run_dir.audio.exists()


def test_a_recording_that_is_not_there_is_named(run_dir, recipe) -> None:
    arrays = dict(np.load(run_dir.samples))
    np.savez(run_dir.samples, **arrays | {"ids": np.array([f"x-{one.id}" for one in TEST_SET])})
    with pytest.raises(
        ConfigError, match=r"utterance x-t02.*: is not among the recordings; try: the --corpus"
    ):
        audio.run(run_dir, recipe, None)


def test_nothing_is_written_where_nobody_can_tell(run_dir, recipe, tmp_path) -> None:
    run_dir.audio.write_bytes(b"of an older run")
    emodb = recipe.corpora.model_copy(update={"target": EmodbCorpus()})
    real = recipe.model_copy(update={"corpora": emodb})
    assert audio.run(run_dir, real, None) is None
    assert not run_dir.audio.exists()
    with pytest.raises(CorpusError):
        audio.run(run_dir, real, tmp_path / "nowhere")
    run_dir.front_end.unlink()  # features of float64
    assert audio.run(run_dir, recipe, None) is None
