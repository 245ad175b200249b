# SPDX-License-Identifier: Apache-2.0
"""Turns a split corpus into its feature set, speaker by speaker, each computed once per cache.

Folds of a study leave out other speakers but have all others in common; hence the speaker is the unit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mcu_ser.code_digest import code_digest
from mcu_ser.corpus.content import audio_content
from mcu_ser.corpus.splits import SpeakerSplit
from mcu_ser.corpus.utterance import Corpus
from mcu_ser.features.clip import SAMPLE_RATE_HZ
from mcu_ser.features.feature_set import extract, labelled
from mcu_ser.features.recordings import Recordings, rows_at_speeds
from mcu_ser.programs import package_versions
from mcu_ser.progress import silent

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mcu_ser.features.feature_set import FeatureSet
    from mcu_ser.features.recordings import Rows
    from mcu_ser.progress import Track
    from mcu_ser.recipe import FeaturesRecipe
    from mcu_ser.train.cache import Cache


def corpus_features(
    corpus: Corpus, split: SpeakerSplit, spec: FeaturesRecipe, cache: Cache, track: Track = silent
) -> FeatureSet:
    """What `extract` gives for the corpus, bit for bit.

    Raises:
        CorpusError: A recording is unreadable or empty.
        ConfigError: The cache cannot be written.
    """
    x = np.empty((len(corpus.utterances), spec.frames, spec.mels), np.float32)
    speakers = np.array([one.speaker for one in corpus.utterances])
    with track(f"log-mel of {corpus.name}", len(x)) as advance:
        for speaker in corpus.speakers:
            own = Corpus(corpus.name, tuple(one for one in corpus.utterances if one.speaker == speaker))
            x[speakers == speaker] = _speaker_features(own, spec, cache)
            advance(len(own.utterances))
    return labelled(x, corpus, split)


def _speaker_features(corpus: Corpus, spec: FeaturesRecipe, cache: Cache) -> Any:
    def make(directory: Path) -> None:
        everyone = SpeakerSplit(frozenset(corpus.speakers), frozenset(), frozenset())
        np.save(directory / "x.npy", extract(corpus, everyone, spec).x)

    with cache.entry("features", _inputs(corpus, spec), make) as found:
        return np.load(found / "x.npy", allow_pickle=False)


def corpus_recordings(
    corpus: Corpus, speeds: Sequence[float], spec: FeaturesRecipe, cache: Cache, track: Track = silent
) -> Recordings:
    """Every utterance of a corpus at its whole length and at each speed, in the order of the corpus.

    Raises:
        CorpusError: A recording is unreadable or empty.
        ConfigError: The cache cannot be written.
    """
    rows: dict[str, list[Rows]] = {}
    with track(f"{corpus.name} at {len(speeds)} speeds", len(corpus.utterances)) as advance:
        for speaker in corpus.speakers:
            own = Corpus(corpus.name, tuple(one for one in corpus.utterances if one.speaker == speaker))
            rows |= _speaker_rows(own, speeds, spec, cache)
            advance(len(own.utterances))
    return Recordings.joined([rows[one.id] for one in corpus.utterances], speeds, spec)


def _speaker_rows(
    corpus: Corpus, speeds: Sequence[float], spec: FeaturesRecipe, cache: Cache
) -> dict[str, list[Rows]]:
    def make(directory: Path) -> None:
        rows = [rows_at_speeds(one.audio.samples(SAMPLE_RATE_HZ), speeds, spec) for one in corpus.utterances]
        np.save(directory / "levels.npy", np.concatenate([version for one in rows for version in one]))
        np.save(directory / "lengths.npy", [[len(version) for version in one] for one in rows])

    with cache.entry("recordings", _inputs(corpus, spec) | {"speeds": list(speeds)}, make) as found:
        levels = np.load(found / "levels.npy", allow_pickle=False)
        lengths = np.load(found / "lengths.npy", allow_pickle=False)
    parts = iter(np.split(levels, np.cumsum(lengths.ravel())[:-1]))
    return {one.id: [next(parts) for _ in speeds] for one in corpus.utterances}


def _inputs(corpus: Corpus, spec: FeaturesRecipe) -> dict[str, Any]:
    """What decides features, for the cache."""
    return {
        "utterances": {one.id: audio_content(one) for one in corpus.utterances},
        "features": spec.model_dump(mode="json"),
        "code": code_digest("corpus", "features"),
        "versions": {**package_versions(""), **package_versions("train")},
    }
