# SPDX-License-Identifier: Apache-2.0
"""Turns a corpus into one hash of all that may be learned from it, for results that are kept by content."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcu_ser.artifacts import canonical_json, sha256_file, sha256_hex
from mcu_ser.corpus.utterance import AudioFile
from mcu_ser.errors import CorpusError

if TYPE_CHECKING:
    from mcu_ser.corpus.utterance import Corpus, Utterance


def corpus_sha256(corpus: Corpus) -> str:
    """SHA-256 over ids, speakers, emotions and recordings, 64 hex digits; where files lie is no part of it.

    Raises:
        CorpusError: A recording cannot be read.
    """
    rows = [[one.id, one.speaker, one.emotion, audio_content(one)] for one in corpus.utterances]
    return sha256_hex(canonical_json(rows).encode())


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
