# SPDX-License-Identifier: Apache-2.0
"""Turns a study's protocol and the speakers of its target corpus into folds.

While hyper-parameters are chosen, a fold's training speakers train, its validation speakers judge, and its
test speakers are not read. The final cells train on training and validation speakers and are tested once.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from mcu_ser.corpus.splits import SpeakerSplit, require_speakers, split_speakers
from mcu_ser.errors import ConfigError
from mcu_ser.recipe.study import LeaveOneSpeakerOut, SpeakerGroups
from mcu_ser.study.study import StudyFold

if TYPE_CHECKING:
    from mcu_ser.corpus.utterance import Corpus
    from mcu_ser.recipe import CorpusRecipe
    from mcu_ser.recipe.study import FixedSplit


def make_folds(
    protocol: FixedSplit | SpeakerGroups | LeaveOneSpeakerOut, target: CorpusRecipe, corpus: Corpus
) -> tuple[StudyFold, ...]:
    """The folds of a protocol; with groups or single speakers every speaker is tested exactly once.

    Args:
        protocol: How speakers are divided.
        target: The recipe's table of the corpus; only a fixed split reads its lists of speakers.
        corpus: The target corpus.

    Raises:
        ConfigError: A speaker is unknown, in two groups or in none, or too few speakers are left.
    """
    if isinstance(protocol, SpeakerGroups):
        return _one_per_group(_checked_groups(protocol.groups, corpus), 1)
    if isinstance(protocol, LeaveOneSpeakerOut):
        least = protocol.validation_speakers + 2
        if len(corpus.speakers) < least:
            raise ConfigError(
                "recipe study.folds",
                f"{corpus.name} has {len(corpus.speakers)} speakers",
                limit=f"at least {least} (one tests, {protocol.validation_speakers} validate, one trains)",
            )
        return _one_per_group([(speaker,) for speaker in corpus.speakers], protocol.validation_speakers)
    if not target.test_speakers:
        raise ConfigError(
            "recipe corpora.target", "names no test_speakers", hint="speakers, or groups in [study.folds]"
        )
    return (_fold(split_speakers(corpus, target.validation_speakers, target.test_speakers)),)


def _checked_groups(groups: tuple[tuple[str, ...], ...], corpus: Corpus) -> list[tuple[str, ...]]:
    """The groups, once they are known to divide the corpus."""
    counts = Counter(speaker for group in groups for speaker in group)
    require_speakers(corpus, counts, "recipe study.folds")
    repeated = sorted(speaker for speaker, count in counts.items() if count > 1)
    if repeated:
        raise ConfigError("recipe study.folds", f"speaker {repeated[0]} is in the groups more than once")
    absent = sorted(frozenset(corpus.speakers) - frozenset(counts))
    if absent:
        raise ConfigError(
            "recipe study.folds",
            f"speaker {absent[0]} of {corpus.name} is in no group",
            hint="a group for everyone, or corpora.target.left_out_speakers",
        )
    return list(groups)


def _one_per_group(groups: list[tuple[str, ...]], validating: int) -> tuple[StudyFold, ...]:
    """One fold per group, which it tests; the next `validating` groups, in a circle, validate."""
    folds = []
    everyone = frozenset(speaker for group in groups for speaker in group)
    for index, test in enumerate(groups):
        following = [groups[(index + step) % len(groups)] for step in range(1, validating + 1)]
        validation = frozenset(speaker for group in following for speaker in group)
        folds.append(
            _fold(SpeakerSplit(everyone - validation - frozenset(test), validation, frozenset(test)))
        )
    return tuple(folds)


def _fold(split: SpeakerSplit) -> StudyFold:
    return StudyFold(tuple(sorted(split.train)), tuple(sorted(split.validation)), tuple(sorted(split.test)))
