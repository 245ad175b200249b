# SPDX-License-Identifier: Apache-2.0
"""The corpora of a recipe, and which of their speakers are held out."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mcu_ser.recipe.table import Stage

# TOML arrays arrive as lists; strictness would refuse them for a tuple.
Speakers = Annotated[tuple[str, ...], Field(strict=False)]


class _Corpus(Stage):
    """Speakers that no list names train the model; those left out are not even read."""

    validation_speakers: Speakers = ()
    test_speakers: Speakers = ()
    left_out_speakers: Speakers = ()
    validation_use: Literal["chooses_epoch", "measures"] = Field(
        default="chooses_epoch",
        description="validation speakers decide which epoch's weights stay, or nothing: the last epoch's",
    )


class RavdessCorpus(_Corpus):
    """RAVDESS speech, audio-only: `<corpus root>/ravdess`."""

    reader: Literal["ravdess"] = "ravdess"


class EmodbCorpus(_Corpus):
    """Berlin Database of Emotional Speech: `<corpus root>/emodb`."""

    reader: Literal["emodb"] = "emodb"


class CsvCorpus(_Corpus):
    """Any recordings, listed in a CSV of file, speaker, emotion: `<corpus root>/<manifest>`."""

    reader: Literal["csv"] = "csv"
    manifest: str


class SyntheticCorpus(_Corpus):
    """The built-in synthetic corpus: made-up voices, in seconds, for tests and demonstrations.

    Speakers are named s01, s02, ... in the source language and t01, t02, ... in the target language.
    """

    reader: Literal["synthetic"] = "synthetic"
    language: Literal["source", "target"]
    speakers: int = Field(default=8, ge=3, le=99)
    takes: int = Field(default=4, ge=1, le=99, description="utterances per speaker and emotion")
    voices: int = Field(default=1, ge=0, lt=2**31, description="seed; another makes another corpus")


CorpusRecipe = Annotated[
    RavdessCorpus | EmodbCorpus | CsvCorpus | SyntheticCorpus, Field(discriminator="reader")
]


class CorporaRecipe(Stage):
    """The corpus whose knowledge is transferred, and the corpus the small model learns."""

    source: CorpusRecipe
    target: CorpusRecipe
