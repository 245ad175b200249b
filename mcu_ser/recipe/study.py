# SPDX-License-Identifier: Apache-2.0
"""The grid of a study: which approaches, models, folds and seeds it compares, and what validation chooses."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from mcu_ser.recipe.small_model import DsCnnRecipe, ModelRecipe
from mcu_ser.recipe.table import Stage

Approach = Literal["speech_only", "fine_tuning", "frozen_features", "nsl", "nsl_fine_tuning"]
APPROACHES: tuple[Approach, ...] = (
    "speech_only",
    "fine_tuning",
    "frozen_features",
    "nsl",
    "nsl_fine_tuning",
)

# TOML arrays arrive as lists; strictness would refuse them for tuples.
SpeakerGroup = Annotated[tuple[str, ...], Field(strict=False, min_length=1)]


class FixedSplit(Stage):
    """One fold: the speakers that the recipe's target corpus names."""

    protocol: Literal["fixed_split"]


class SpeakerGroups(Stage):
    """One fold per group, which is its test set; the next group validates."""

    protocol: Literal["speaker_groups"]
    groups: Annotated[tuple[SpeakerGroup, ...], Field(strict=False, min_length=3)]


class LeaveOneSpeakerOut(Stage):
    """One fold per speaker; the next speakers, in sorted order, validate."""

    protocol: Literal["leave_one_speaker_out"]
    validation_speakers: PositiveInt = 1


Protocol = Annotated[FixedSplit | SpeakerGroups | LeaveOneSpeakerOut, Field(discriminator="protocol")]


class GridRow(Stage):
    """A model, the approaches it is trained with, and the seeds of each."""

    model: ModelRecipe = DsCnnRecipe()
    approaches: Annotated[tuple[Approach, ...], Field(strict=False, min_length=1)] = APPROACHES
    seeds: Annotated[tuple[int, ...], Field(strict=False, min_length=1)] = (1, 2, 3)


class ChoicesRecipe(Stage):
    """Candidates of the graph's hyper-parameters; validation speakers choose one of each fold's combinations.

    An empty list leaves the value of [graph] as it is.
    """

    neighbours: Annotated[tuple[int, ...], Field(strict=False)] = ()
    similarity_threshold: Annotated[tuple[float, ...], Field(strict=False)] = ()
    multiplier: Annotated[tuple[float, ...], Field(strict=False)] = ()
    layer: Annotated[tuple[str, ...], Field(strict=False)] = ()


class StudyRecipe(Stage):
    """The comparison that `mcu-ser study` makes; everything else of the recipe holds for every cell."""

    folds: Protocol = FixedSplit(protocol="fixed_split")
    rows: Annotated[tuple[GridRow, ...], Field(strict=False, min_length=1)] = (GridRow(),)
    choices: ChoicesRecipe = ChoicesRecipe()
