# SPDX-License-Identifier: Apache-2.0
"""Finds the recordings of a corpus under the directory that the user gave, for the corpus readers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcu_ser.corpus.audio import SUFFIXES
from mcu_ser.errors import CorpusError

if TYPE_CHECKING:
    import re
    from pathlib import Path


def find_recordings(
    corpus_root: Path, name: str, stem: re.Pattern[str], *, download: str
) -> list[tuple[Path, re.Match[str]]]:
    """Wav and flac files whose stem matches, with the match, sorted by stem.

    Args:
        corpus_root: Holds the corpus in a folder `name`, or is that folder; official subfolders may remain.
        name: Folder name of the corpus.
        stem: What the whole file name without its suffix must match.
        download: Where the corpus is officially offered, for the error's hint.

    Raises:
        CorpusError: No such directory, or no matching file in it.
    """
    nested = corpus_root / name
    folder = nested if nested.is_dir() else corpus_root
    if not folder.is_dir():
        raise CorpusError(nested, "is not a directory", hint=f"--corpus-root DIR; {name} is at {download}")
    found = []
    for path in sorted(folder.rglob("*"), key=lambda path: (path.stem, path.as_posix())):
        match = stem.fullmatch(path.stem)
        if match and path.suffix.lower() in SUFFIXES:
            found.append((path, match))
    if not found:
        raise CorpusError(
            folder,
            f"holds no {name} recordings ({' or '.join(SUFFIXES)} under their official names)",
            hint=f"--corpus-root DIR with a folder {name} in it; {name} is at {download}",
        )
    return found
