# SPDX-License-Identifier: Apache-2.0
"""Turns the speech recordings of RAVDESS into utterances; labels and actors come from the file names.

Livingstone and Russo, "The Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS)", PLoS ONE
13(5), 2018. A name is seven two-digit fields: modality (03 audio-only), channel (01 speech), emotion,
intensity, statement, repetition, actor.
"""

from __future__ import annotations

import re
from pathlib import Path

from mcu_ser.corpus.recordings import find_recordings
from mcu_ser.corpus.utterance import AudioFile, Corpus, Utterance
from mcu_ser.errors import CorpusError

DOWNLOAD = "https://zenodo.org/records/1188976"
EMOTIONS = {
    "01": "neutral",
    "02": "calm",
    "03": "happiness",
    "04": "sadness",
    "05": "anger",
    "06": "fear",
    "07": "disgust",
    "08": "surprise",
}

# Song and video recordings may lie in the same folder; they have other first fields.
_AUDIO_ONLY_SPEECH = re.compile(r"03-01-(?P<emotion>\d\d)-\d\d-\d\d-\d\d-(?P<actor>\d\d)")

# The published corpus holds the audio of 03-01-03-01-02-01-07 a second time under this name.
_DUPLICATE = "03-01-03-01-02-02-07"


def read(corpus_root: Path) -> Corpus:
    """RAVDESS speech, 1439 utterances of 24 actors when complete.

    Args:
        corpus_root: The directory that holds `ravdess/`, or that directory.

    Raises:
        CorpusError: No recordings there, or one with an unknown emotion code.
    """
    recordings = find_recordings(corpus_root, "ravdess", _AUDIO_ONLY_SPEECH, download=DOWNLOAD)
    return Corpus(
        "ravdess",
        tuple(_utterance(path, match) for path, match in recordings if path.stem != _DUPLICATE),
    )


def _utterance(path: Path, match: re.Match[str]) -> Utterance:
    code = match["emotion"]
    if code not in EMOTIONS:
        raise CorpusError(path, f"emotion code {code} is not one of {', '.join(EMOTIONS)}", hint=DOWNLOAD)
    return Utterance(path.stem, match["actor"], EMOTIONS[code], AudioFile(path))
