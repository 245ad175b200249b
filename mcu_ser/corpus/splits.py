# SPDX-License-Identifier: Apache-2.0
"""Divides a corpus by speakers into training, validation and test, so that no voice is ever in two parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcu_ser.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mcu_ser.corpus.utterance import Corpus, Utterance

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
    present = frozenset(corpus.speakers)
    unknown = sorted((held_out[0] | held_out[1]) - present)
    if unknown:
        raise ConfigError(
            "split", f"{corpus.name} has no speaker {unknown[0]}", hint=f"one of {', '.join(sorted(present))}"
        )
    return SpeakerSplit(present - held_out[0] - held_out[1], *held_out)
