# SPDX-License-Identifier: Apache-2.0
"""Divides a corpus by speakers into training, validation and test, so that no voice is ever in two parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcu_ser.corpus.utterance import Corpus
from mcu_ser.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mcu_ser.corpus.utterance import Utterance

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class SpeakerSplit:
    """Which speakers each part holds.

    Raises:
        ConfigError: A speaker in two parts, or no speaker to train on.
    """

    train: frozenset[str]
    validation: frozenset[str]
    test: frozenset[str]

    def __post_init__(self) -> None:
        for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
            shared = sorted(getattr(self, one) & getattr(self, other))
            if shared:
                raise ConfigError("split", f"speaker {shared[0]} is in {one} and in {other}")
        if not self.train:
            raise ConfigError("split", "leaves no speaker to train on")

    def as_document(self) -> dict[str, list[str]]:
        """Part to its speakers, sorted, for JSON."""
        return {name: sorted(getattr(self, name)) for name in PARTS}

    def part(self, utterance: Utterance) -> str:
        """The part of an utterance: train, validation or test."""
        for name in PARTS:
            if utterance.speaker in getattr(self, name):
                return name
        raise ConfigError("split", f"speaker {utterance.speaker} is in no part")


def split_speakers(corpus: Corpus, validation: Iterable[str], test: Iterable[str]) -> SpeakerSplit:
    """The split that trains on every speaker the two lists do not name.

    Raises:
        ConfigError: A speaker in both lists or not in the corpus, or nobody left to train on.
    """
    held_out = (frozenset(validation), frozenset(test))
    require_speakers(corpus, held_out[0] | held_out[1])
    return SpeakerSplit(frozenset(corpus.speakers) - held_out[0] - held_out[1], *held_out)


def without_speakers(corpus: Corpus, left_out: Iterable[str]) -> Corpus:
    """The corpus as if these speakers had never been recorded: nothing after this can hear them.

    Raises:
        ConfigError: One of them is not in the corpus.
        CorpusError: They are all the corpus has.
    """
    absent = frozenset(left_out)
    require_speakers(corpus, absent)
    return Corpus(corpus.name, tuple(one for one in corpus.utterances if one.speaker not in absent))


def require_speakers(corpus: Corpus, speakers: Iterable[str], named_by: str = "split") -> None:
    """Check that a corpus has these speakers.

    Args:
        corpus: The corpus.
        speakers: Names.
        named_by: Subject of the error.

    Raises:
        ConfigError: It lacks one.
    """
    unknown = sorted(frozenset(speakers) - frozenset(corpus.speakers))
    if unknown:
        raise ConfigError(
            named_by,
            f"{corpus.name} has no speaker {unknown[0]}",
            hint=f"one of {', '.join(corpus.speakers)}",
        )
