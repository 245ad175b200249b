# SPDX-License-Identifier: Apache-2.0
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

if find_spec("tensorflow") is None:
    pytest.skip("needs the [train] extra", allow_module_level=True)

from mcu_ser.corpus import synthetic
from mcu_ser.corpus.splits import split_speakers, without_speakers
from mcu_ser.corpus.utterance import AudioFile, Corpus
from mcu_ser.errors import ConfigError, CorpusError
from mcu_ser.features.feature_set import extract
from mcu_ser.recipe import FeaturesRecipe
from mcu_ser.train import cache as cache_module
from mcu_ser.train.cache import Cache, features_digest, trained_once
from mcu_ser.train.corpus_features import corpus_features
from mcu_ser.train.nsl_import import keras

pytestmark = pytest.mark.train

SPEC = FeaturesRecipe(frames=16, mels=8)
CORPUS = synthetic.read("target", speakers=3, takes=1, seed=1)
SPLIT = split_speakers(CORPUS, [], ["t03"])


def writes(text, calls):
    def make(directory):
        calls.append(text)
        (directory / "file").write_text(text)

    return make


def test_what_is_there_is_not_made_again(tmp_path) -> None:
    calls = []
    for number in (1, 2):
        with Cache(tmp_path / "cache").entry("kind", {"a": 1}, writes(f"made {number}", calls)) as place:
            assert (place / "file").read_text() == "made 1"
    with Cache(tmp_path / "cache").entry("kind", {"a": 2}, writes("other", calls)) as place:
        assert (place / "file").read_text() == "other"
    assert calls == ["made 1", "other"]


def test_without_a_directory_nothing_is_kept(tmp_path) -> None:
    calls = []
    for _ in range(2):
        with Cache().entry("kind", {}, writes("made", calls)) as place:
            assert (place / "file").read_text() == "made"
        assert not place.exists()
    assert calls == ["made", "made"]


def test_work_that_fails_leaves_nothing(tmp_path) -> None:
    def fails(directory):
        (directory / "half").write_text("half")
        raise CorpusError("clip", "is empty")

    with pytest.raises(CorpusError, match="clip: is empty"), Cache(tmp_path).entry("kind", {}, fails):
        raise AssertionError
    assert not list(tmp_path.iterdir())


def test_of_two_that_miss_at_once_the_first_to_finish_stays(tmp_path) -> None:
    cache, calls = Cache(tmp_path), []

    def slow(directory):
        (directory / "file").write_text("slow")
        with cache.entry("kind", {}, writes("fast", calls)):
            pass

    with cache.entry("kind", {}, slow) as place:
        assert (place / "file").read_text() == "fast"
    assert [path.name for path in tmp_path.iterdir()] == [place.name]


def test_who_asks_for_work_that_one_does_alone_waits_for_it(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(cache_module, "_LOOK_AGAIN_S", 0.01)
    calls, begun, may_end = [], threading.Event(), threading.Event()

    def slow(directory):
        begun.set()
        assert may_end.wait(60)
        writes("slow", calls)(directory)

    def ask(make):
        with Cache(tmp_path).entry("kind", {}, make, alone=True) as place:
            return (place / "file").read_text()

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(ask, slow)
        assert begun.wait(60)
        second = pool.submit(ask, writes("fast", calls))
        time.sleep(0.2)
        assert not second.done()
        may_end.set()
        assert first.result(60) == second.result(60) == "slow"
    assert calls == ["slow"]
    assert not list((tmp_path / "claims").iterdir())


def test_who_waits_takes_over_from_work_that_failed(tmp_path) -> None:
    def fails(_):
        raise CorpusError("clip", "is empty")

    cache, calls = Cache(tmp_path), []
    with pytest.raises(CorpusError), cache.entry("kind", {}, fails, alone=True):
        raise AssertionError
    with cache.entry("kind", {}, writes("made", calls), alone=True) as place:
        assert (place / "file").read_text() == "made"
    with Cache().entry("kind", {}, writes("kept nowhere", calls), alone=True) as place:
        assert (place / "file").read_text() == "kept nowhere"
    assert calls == ["made", "kept nowhere"]


@pytest.mark.parametrize("alone", [False, True])
def test_a_place_that_cannot_be_written_is_named(tmp_path, alone) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        Cache(tmp_path / "file" / "cache").entry("kind", {}, lambda directory: None, alone=alone).__enter__()


def test_a_model_found_has_the_bytes_of_a_model_trained(tmp_path) -> None:
    def train():
        inputs = keras.Input((2,), name="x")
        return keras.Model(inputs, keras.layers.Dense(1, name="d")(inputs), name="m"), {"uar": 0.5}

    paths = [tmp_path / "first.keras", tmp_path / "second.keras"]
    documents = [trained_once(Cache(tmp_path / "cache"), "m", {"seed": 1}, train, path) for path in paths]
    assert documents == [{"uar": 0.5}] * 2
    # Dense draws its weights anew: equal bytes come from the cache alone.
    assert paths[0].read_bytes() == paths[1].read_bytes()
    trained_once(Cache(tmp_path / "cache"), "m", {"seed": 2}, train, paths[1])
    assert paths[0].read_bytes() != paths[1].read_bytes()


def test_features_are_those_of_the_corpus_bit_for_bit(tmp_path) -> None:
    expected = extract(CORPUS, SPLIT, SPEC)
    for cache in (Cache(), Cache(tmp_path), Cache(tmp_path)):
        found = corpus_features(CORPUS, SPLIT, SPEC, cache)
        assert features_digest(found) == features_digest(expected)
        assert (found.x == expected.x).all()


def test_folds_share_the_speakers_they_have_in_common(tmp_path) -> None:
    corpus_features(CORPUS, SPLIT, SPEC, Cache(tmp_path))
    assert len(list(tmp_path.iterdir())) == 3
    fold = without_speakers(CORPUS, ["t01"])
    corpus_features(fold, split_speakers(fold, [], ["t02"]), SPEC, Cache(tmp_path))
    assert len(list(tmp_path.iterdir())) == 3
    other = SPEC.model_copy(update={"clip_mean": "band"})
    corpus_features(fold, split_speakers(fold, [], ["t02"]), other, Cache(tmp_path))
    assert len(list(tmp_path.iterdir())) == 5


def test_the_digest_sees_every_array() -> None:
    features = extract(CORPUS, SPLIT, SPEC)
    digests = {features_digest(features)}
    digests.add(features_digest(replace(features, x=np.nextafter(features.x, np.float32(9)))))
    digests.add(features_digest(replace(features, y=features.y[::-1].copy())))
    digests.add(features_digest(replace(features, split=np.roll(features.split, 1))))
    digests.add(features_digest(replace(features, speakers=np.roll(features.speakers, 1))))
    assert len(digests) == 5


def test_another_recording_under_the_same_name_is_another_entry(tmp_path) -> None:
    soundfile = pytest.importorskip("soundfile")
    utterance = replace(CORPUS.utterances[0], audio=AudioFile(tmp_path / "one.wav"))
    corpus = Corpus("mine", (utterance,))
    split = split_speakers(corpus, [], [])
    found = []
    for hz in (200, 900):
        soundfile.write(tmp_path / "one.wav", 0.5 * np.sin(np.arange(16000) * hz * 2 * np.pi / 16000), 16000)
        found.append(corpus_features(corpus, split, SPEC, Cache(tmp_path / "cache")).x)
    assert (found[0] != found[1]).any()


def test_a_recording_that_is_gone_is_named(tmp_path) -> None:
    gone = replace(CORPUS.utterances[0], audio=AudioFile(tmp_path / "gone.wav"))
    corpus = Corpus("mine", (gone,))
    with pytest.raises(CorpusError, match=r"gone\.wav: cannot be read"):
        corpus_features(corpus, split_speakers(corpus, [], []), SPEC, Cache(tmp_path / "cache"))
