# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from mcu_ser.corpus import synthetic
from mcu_ser.corpus.splits import split_speakers
from mcu_ser.errors import ConfigError
from mcu_ser.features.clip import pcm16, trimmed
from mcu_ser.features.feature_set import FeatureSet, clip_features, extract
from mcu_ser.features.integer_log_mel import level_map, level_values
from mcu_ser.features.log_mel import log_mel
from mcu_ser.features.normalization import Normalization
from mcu_ser.recipe import FeaturesRecipe

SPEC = FeaturesRecipe(mels=8, frames=16)


@pytest.fixture(scope="module")
def corpus():
    return synthetic.read("target", speakers=3, takes=1, seed=2)


@pytest.fixture(scope="module")
def features(corpus) -> FeatureSet:
    return extract(corpus, split_speakers(corpus, ["t02"], ["t03"]), SPEC)


def test_every_utterance_has_its_features_label_and_part(corpus, features) -> None:
    assert len(features) == len(corpus.utterances) == 18
    for index, utterance in enumerate(corpus.utterances):
        assert features.ids[index] == utterance.id
        assert features.labels[features.y[index]] == utterance.emotion
        assert (
            features.split[index] == {"t01": "train", "t02": "validation", "t03": "test"}[utterance.speaker]
        )
        assert (features.x[index] == clip_features(utterance.audio.samples(16000), SPEC)).all()


@pytest.mark.parametrize("clip_mean", ["keep", "level", "band"])
def test_features_are_the_levels_of_the_integer_front_end(corpus, clip_mean) -> None:
    spec = SPEC.model_copy(update={"clip_mean": clip_mean})
    for utterance in corpus.utterances:
        samples = utterance.audio.samples(16000)
        features = clip_features(samples, spec)
        assert features.dtype == np.float32
        assert (level_values(features, spec) == level_map(trimmed(pcm16(samples), spec), spec)).all()


def test_float64_features_are_those_of_the_yardstick(corpus) -> None:
    spec = SPEC.model_copy(update={"arithmetic": "float64"})
    samples = corpus.utterances[0].audio.samples(16000)
    expected = log_mel(trimmed(pcm16(samples), spec), spec).astype(np.float32)
    assert (clip_features(samples, spec) == expected).all()
    assert not (clip_features(samples, SPEC) == expected).all()


def test_parts_keep_the_order(features) -> None:
    both = features.part("test", "train")
    assert set(both.speakers) == {"t01", "t03"}
    assert list(both.ids) == sorted(both.ids)
    assert len(features.part()) == 0


def test_saves_and_loads_the_same_bytes(features, tmp_path) -> None:
    features.save(tmp_path / "one.npz")
    features.save(tmp_path / "two.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    loaded = FeatureSet.load(tmp_path / "one.npz")
    assert loaded.arrays().keys() == features.arrays().keys()
    for name, array in features.arrays().items():
        assert (loaded.arrays()[name] == array).all()


@pytest.mark.parametrize("reader", [FeatureSet.load, Normalization.load])
@pytest.mark.parametrize("content", [b"", b"junk", b"PK\x03\x04junk"])
def test_a_damaged_file_is_named(reader, content, tmp_path) -> None:
    path = tmp_path / "file.npz"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"file\.npz: holds no .*; try: mcu-ser train again"):
        reader(path)


def test_a_file_of_another_kind_is_refused(features, tmp_path) -> None:
    features.save(tmp_path / "file.npz")
    with pytest.raises(ConfigError, match="holds no normalisation"):
        Normalization.load(tmp_path / "file.npz")


def test_normalisation_is_per_band_over_clips_and_frames(features, tmp_path) -> None:
    training = features.part("train").x
    measured = Normalization.measured(training)
    applied = measured.apply(training)
    assert applied.dtype == np.float32
    # Sums of float32.
    assert np.allclose(applied.mean(axis=(0, 1)), 0, atol=1e-4)
    assert np.allclose(applied.std(axis=(0, 1)), 1, atol=1e-4)
    measured.save(tmp_path / "n.npz")
    assert (Normalization.load(tmp_path / "n.npz").apply(training) == applied).all()


def test_a_constant_band_stays_finite() -> None:
    constant = np.full((2, 3, 4), 7.0, np.float32)
    assert (Normalization.measured(constant).apply(constant) == 0).all()
