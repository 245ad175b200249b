# SPDX-License-Identifier: Apache-2.0
"""Turns the corpus table of a recipe into a corpus: chooses the reader and gives it its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcu_ser.corpus import csv_manifest, emodb, ravdess, synthetic
from mcu_ser.corpus.splits import without_speakers
from mcu_ser.errors import ConfigError
from mcu_ser.recipe import CsvCorpus, RavdessCorpus, SyntheticCorpus

if TYPE_CHECKING:
    from pathlib import Path

    from mcu_ser.corpus.utterance import Corpus
    from mcu_ser.recipe import EmodbCorpus


def read_corpus(
    recipe: RavdessCorpus | EmodbCorpus | CsvCorpus | SyntheticCorpus, corpus_root: Path | None
) -> Corpus:
    """The corpus a recipe asks for, without the speakers that it leaves out.

    Args:
        recipe: Which reader, and what it needs.
        corpus_root: Where recordings are; the synthetic corpus needs none.

    Raises:
        ConfigError: The corpus needs recordings and there is no corpus root, or a speaker to leave out is not
            in it.
        CorpusError: The corpus is absent, empty or unreadable.
    """
    return without_speakers(_whole_corpus(recipe, corpus_root), recipe.left_out_speakers)


def _whole_corpus(
    recipe: RavdessCorpus | EmodbCorpus | CsvCorpus | SyntheticCorpus, corpus_root: Path | None
) -> Corpus:
    if isinstance(recipe, SyntheticCorpus):
        return synthetic.read(
            recipe.language, speakers=recipe.speakers, takes=recipe.takes, seed=recipe.voices
        )
    if corpus_root is None:
        raise ConfigError(f"corpus {recipe.reader}", "needs its recordings", hint="--corpus-root DIR")
    if isinstance(recipe, CsvCorpus):
        return csv_manifest.read(corpus_root / recipe.manifest)
    if isinstance(recipe, RavdessCorpus):
        return ravdess.read(corpus_root)
    return emodb.read(corpus_root)
