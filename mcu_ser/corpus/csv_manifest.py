# SPDX-License-Identifier: Apache-2.0
"""Turns a CSV of recordings (file, speaker, emotion) into utterances, for corpora of the user's own.

    file,speaker,emotion
    anna/001.wav,anna,joy

Files are relative to the CSV's directory; further columns are ignored.
"""

from __future__ import annotations

import csv
from pathlib import Path, PurePosixPath

from mcu_ser.corpus.utterance import AudioFile, Corpus, Utterance
from mcu_ser.errors import CorpusError

COLUMNS = ("file", "speaker", "emotion")


def read(manifest: Path) -> Corpus:
    """The utterances a CSV manifest lists; an utterance's id is its file without the suffix.

    Raises:
        CorpusError: The manifest or a file it names is absent, or a row lacks a value.
    """
    try:
        # Spreadsheets put a byte-order mark before the first column.
        with manifest.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.DictReader(stream)
            missing = [column for column in COLUMNS if column not in (rows.fieldnames or ())]
            if missing:
                raise CorpusError(
                    manifest, f"lacks the column {missing[0]}", hint=f"a first line {','.join(COLUMNS)}"
                )
            utterances = tuple(_utterance(manifest, rows.line_num, row) for row in rows)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(
            manifest, f"cannot be read ({error})", hint=f"a CSV of {', '.join(COLUMNS)}"
        ) from error
    if not utterances:
        raise CorpusError(manifest, "lists no recordings")
    return Corpus(manifest.name, utterances)


def _utterance(manifest: Path, line: int, row: dict[str, str | None]) -> Utterance:
    file, speaker, emotion = ((row[column] or "").strip() for column in COLUMNS)
    for column, value in zip(COLUMNS, (file, speaker, emotion), strict=True):
        if not value:
            raise CorpusError(f"{manifest} line {line}", f"has no {column}")
    relative = PurePosixPath(file)
    path = manifest.parent / relative
    if not path.is_file():
        raise CorpusError(
            f"{manifest} line {line}",
            f"names {file}, which is not there",
            hint=f"files beside {manifest.name}",
        )
    return Utterance(relative.with_suffix("").as_posix(), speaker, emotion, AudioFile(path))
