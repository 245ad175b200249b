# SPDX-License-Identifier: Apache-2.0
"""What every corpus reader yields: labelled utterances whose samples are read when they are needed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mcu_ser.corpus.audio import read_audio
from mcu_ser.errors import CorpusError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Audio(Protocol):
    """Where the samples of an utterance come from."""

    def samples(self, rate_hz: int) -> NDArray[np.float32]:
        """Mono float32 (n,), n >= 1, full scale = 1.0."""


@dataclass(frozen=True)
class AudioFile:
    """Samples in a wav or flac file."""

    path: Path

    def samples(self, rate_hz: int) -> NDArray[np.float32]:
        """Mono samples of the file; see `read_audio` for errors."""
        return read_audio(self.path, rate_hz)


@dataclass(frozen=True)
class Utterance:
    """One recording of one speaker in one emotion."""

    id: str
    speaker: str
    emotion: str
    audio: Audio


@dataclass(frozen=True)
class Corpus:
    """All utterances of a corpus, in the order of their ids.

    Raises:
        CorpusError: No utterances, or two with one id.
    """

    name: str
    utterances: tuple[Utterance, ...]

    def __post_init__(self) -> None:
        if not self.utterances:
            raise CorpusError(self.name, "has no utterances")
        object.__setattr__(self, "utterances", tuple(sorted(self.utterances, key=lambda one: one.id)))
        repeated = sorted(id for id, count in Counter(one.id for one in self.utterances).items() if count > 1)
        if repeated:
            raise CorpusError(
                self.name, f"has {len(repeated)} utterance ids more than once, e.g. {repeated[0]}"
            )

    @property
    def emotions(self) -> tuple[str, ...]:
        """Class names in alphabetical order; a class index is a position in it."""
        return tuple(sorted({utterance.emotion for utterance in self.utterances}))

    @property
    def speakers(self) -> tuple[str, ...]:
        """Speaker names in alphabetical order."""
        return tuple(sorted({utterance.speaker for utterance in self.utterances}))
