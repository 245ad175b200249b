# SPDX-License-Identifier: Apache-2.0
"""Turns the recordings of EmoDB into utterances; labels and speakers come from the file names.

Burkhardt et al., "A Database of German Emotional Speech", Interspeech 2005. A name such as 03a01Fa is speaker
(2 digits), text (letter and 2 digits), emotion (first letter of its German name), version (letter).
"""

from __future__ import annotations

import re
from pathlib import Path

from mcu_ser.corpus.recordings import find_recordings
from mcu_ser.corpus.utterance import AudioFile, Corpus, Utterance
from mcu_ser.errors import CorpusError

DOWNLOAD = "http://emodb.bilderbar.info/download/"
EMOTIONS = {
    "W": "anger",
    "L": "boredom",
    "E": "disgust",
    "A": "fear",
    "F": "happiness",
    "T": "sadness",
    "N": "neutral",
}

_STEM = re.compile(r"(?P<speaker>\d\d)[ab]\d\d(?P<emotion>[A-Z])[a-z]")


def read(corpus_root: Path) -> Corpus:
    """EmoDB, 535 utterances of 10 speakers when complete.

    Args:
        corpus_root: The directory that holds `emodb/`, or that directory.

    Raises:
        CorpusError: No recordings there, or one with an unknown emotion letter.
    """
    recordings = find_recordings(corpus_root, "emodb", _STEM, download=DOWNLOAD)
    return Corpus("emodb", tuple(_utterance(path, match) for path, match in recordings))


def _utterance(path: Path, match: re.Match[str]) -> Utterance:
    letter = match["emotion"]
    if letter not in EMOTIONS:
        raise CorpusError(path, f"emotion letter {letter} is not one of {' '.join(EMOTIONS)}", hint=DOWNLOAD)
    return Utterance(path.stem, match["speaker"], EMOTIONS[letter], AudioFile(path))
