# SPDX-License-Identifier: Apache-2.0
"""Turns a corpus into one hash of all that may be learned from it, for results that are kept by content."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcu_ser.artifacts import canonical_json, sha256_file, sha256_hex
from mcu_ser.corpus.utterance import AudioFile
from mcu_ser.errors import ConfigError, CorpusError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mcu_ser.corpus.utterance import Corpus, Utterance


def corpus_sha256(corpus: Corpus) -> str:
    """SHA-256 over ids, speakers, emotions and recordings, 64 hex digits; where files lie is no part of it.

    Raises:
        CorpusError: A recording cannot be read.
    """
    rows = [[one.id, one.speaker, one.emotion, audio_content(one)] for one in corpus.utterances]
    return sha256_hex(canonical_json(rows).encode())


def require_unheard(source: Corpus, target: Corpus, held_out: Iterable[str]) -> None:
    """Check that a source corpus has no recording that the target holds out: a test set must be news.

    Args:
        source: Without the speakers that it tests itself: nothing learns from them.
        target: The corpus to be recognised.
        held_out: Its speakers who validate or test.

    Raises:
        ConfigError: One recording is in both.
        CorpusError: A recording cannot be read.
    """
    speakers = frozenset(held_out)
    kept = {audio_content(one): one for one in target.utterances if one.speaker in speakers}
    for one in source.utterances:
        other = kept.get(audio_content(one))
        if other:
            raise ConfigError(
                "recipe corpora.source",
                f"{one.id} of speaker {one.speaker} is {other.id}, which corpora.target holds out",
                hint="its speaker among corpora.source.left_out_speakers",
            )


def audio_content(utterance: Utterance) -> str:
    """What identifies the samples of an utterance: a hash of the file, or what a made-up voice is made of.

    Raises:
        CorpusError: The recording cannot be read.
    """
    if not isinstance(utterance.audio, AudioFile):
        return repr(utterance.audio)
    try:
        return sha256_file(utterance.audio.path)
    except OSError as error:
        raise CorpusError(
            f"recording {utterance.audio.path}", f"cannot be read ({error.strerror})"
        ) from error
