# SPDX-License-Identifier: Apache-2.0
"""Turns a split corpus into an array of log-mel spectrograms with labels and parts, kept in an npz."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mcu_ser.artifacts import replaced_file
from mcu_ser.errors import ConfigError
from mcu_ser.features.clip import SAMPLE_RATE_HZ, pcm16, trimmed
from mcu_ser.features.integer_log_mel import level_map, log_power
from mcu_ser.features.log_mel import log_mel
from mcu_ser.features.recordings import Recordings
from mcu_ser.npz_arrays import NOT_AN_NPZ
from mcu_ser.progress import silent

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from mcu_ser.corpus.splits import SpeakerSplit
    from mcu_ser.corpus.utterance import Corpus
    from mcu_ser.progress import Track
    from mcu_ser.recipe import FeaturesRecipe


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """Features of n utterances.

    Args:
        x: Log-mel, float32 (n, frames, mels).
        y: Class index, int64 (n,).
        ids: Utterance ids, str (n,).
        speakers: Speaker names, str (n,).
        split: train, validation or test, str (n,).
        labels: Class names, str (classes,).
        recordings: The utterances before they were fitted, at several speeds; None unless asked for.
    """

    x: NDArray[np.float32]
    y: NDArray[np.int64]
    ids: NDArray[np.str_]
    speakers: NDArray[np.str_]
    split: NDArray[np.str_]
    labels: NDArray[np.str_]
    recordings: Recordings | None = None

    def __len__(self) -> int:
        return len(self.y)

    def part(self, *names: str) -> FeatureSet:
        """The utterances of one or more parts, in the order of the set."""
        chosen = np.isin(self.split, names)
        return FeatureSet(
            self.x[chosen],
            self.y[chosen],
            self.ids[chosen],
            self.speakers[chosen],
            self.split[chosen],
            self.labels,
            self.recordings.part(chosen) if self.recordings else None,
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Every array of the set by its name."""
        own = {name: array for name, array in vars(self).items() if name != "recordings"}
        return own | (self.recordings.arrays() if self.recordings else {})

    def save(self, path: Path) -> None:
        """Write an npz with one array per field."""
        with replaced_file(path) as temporary:
            np.savez(temporary, allow_pickle=False, **self.arrays())

    @classmethod
    def load(cls, path: Path) -> FeatureSet:
        """Read what `save` wrote.

        Raises:
            ConfigError: The file is not that.
        """
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
                own = {name: arrays[name] for name in cls.__dataclass_fields__ if name != "recordings"}
                return cls(**own, recordings=Recordings.found_in(arrays))
        except (*NOT_AN_NPZ, KeyError) as error:
            raise ConfigError(path, f"holds no features ({error})", hint="mcu-ser train again") from error


def clip_features(samples: NDArray[np.float32], spec: FeaturesRecipe) -> NDArray[np.float32]:
    """The features of one recording: trimmed, then through the front end that the recipe names.

    Args:
        samples: Mono float32 (n,), n >= 1, at 16 kHz, full scale = 1.0.
        spec: Everything about the front end.

    Returns:
        float32 (frames, mels), natural logarithm of power.
    """
    pcm = trimmed(pcm16(samples), spec)
    if spec.arithmetic == "float64":
        return log_mel(pcm, spec).astype(np.float32)
    return log_power(level_map(pcm, spec), spec)


def extract(corpus: Corpus, split: SpeakerSplit, spec: FeaturesRecipe, track: Track = silent) -> FeatureSet:
    """Log-mel features of every utterance of a corpus.

    Raises:
        CorpusError: A recording is unreadable or empty.
    """
    x = np.empty((len(corpus.utterances), spec.frames, spec.mels), np.float32)
    with track(f"log-mel of {corpus.name}", len(x)) as advance:
        for index, utterance in enumerate(corpus.utterances):
            x[index] = clip_features(utterance.audio.samples(SAMPLE_RATE_HZ), spec)
            advance(1)
    return labelled(x, corpus, split)


def labelled(x: NDArray[np.float32], corpus: Corpus, split: SpeakerSplit) -> FeatureSet:
    """Features with what the corpus and its split say of them.

    Args:
        x: Log-mel of the corpus's utterances in their order, float32 (n, frames, mels).
        corpus: Of n utterances.
        split: Of its speakers.
    """
    labels = corpus.emotions
    return FeatureSet(
        x,
        np.array([labels.index(one.emotion) for one in corpus.utterances], np.int64),
        np.array([one.id for one in corpus.utterances]),
        np.array([one.speaker for one in corpus.utterances]),
        np.array([split.part(one) for one in corpus.utterances]),
        np.array(labels),
    )
