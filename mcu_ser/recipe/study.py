# SPDX-License-Identifier: Apache-2.0
"""The grid of a study: which approaches, models, folds and seeds it compares, and what validation chooses."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, field_validator, model_validator

from mcu_ser.recipe.small_model import ModelRecipe
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

    protocol: Literal["fixed_split"] = "fixed_split"


class SpeakerGroups(Stage):
    """One fold per group, which is its test set; the next group validates.

    The groups divide the corpus: every speaker is in one of them.
    """

    protocol: Literal["speaker_groups"] = "speaker_groups"
    groups: Annotated[tuple[SpeakerGroup, ...], Field(strict=False, min_length=3)]


class LeaveOneSpeakerOut(Stage):
    """One fold per speaker, who is its test set; the next ones, in sorted order, validate."""

    protocol: Literal["leave_one_speaker_out"] = "leave_one_speaker_out"
    validation_speakers: PositiveInt = 1


Protocol = Annotated[FixedSplit | SpeakerGroups | LeaveOneSpeakerOut, Field(discriminator="protocol")]

Seed = Annotated[int, Field(ge=0, lt=2**31)]


class GridRow(Stage):
    """A model, the approaches it is trained with, and the seeds of each."""

    model: ModelRecipe | None = Field(default=None, description="the recipe's [model] if absent")
    approaches: Annotated[tuple[Approach, ...], Field(strict=False, min_length=1)] = APPROACHES
    seeds: Annotated[tuple[Seed, ...], Field(strict=False, min_length=1)] = (1, 2, 3)

    @field_validator("approaches", "seeds")
    @classmethod
    def _each_once(cls, values: tuple[object, ...]) -> tuple[object, ...]:
        repeated = [value for index, value in enumerate(values) if value in values[:index]]
        if repeated:
            raise ValueError(f"{repeated[0]!r} is in the list twice")
        return values


class ChoicesRecipe(Stage):
    """Candidates of the graph's hyper-parameters: keys of [graph], each with the values it may take.

    Validation speakers choose one combination per fold. A key without candidates stays as [graph] has it.
    """

    similarity_threshold: Annotated[tuple[float, ...], Field(strict=False)] = ()
    similarity_quantile: Annotated[tuple[float, ...], Field(strict=False)] = ()
    neighbours: Annotated[tuple[int, ...], Field(strict=False)] = ()
    mutual: Annotated[tuple[bool, ...], Field(strict=False)] = ()
    same_emotion_only: Annotated[tuple[bool, ...], Field(strict=False)] = ()
    across_speakers_only: Annotated[tuple[bool, ...], Field(strict=False)] = ()
    multiplier: Annotated[tuple[float, ...], Field(strict=False)] = ()
    multiplier_schedule: Annotated[tuple[str, ...], Field(strict=False)] = ()
    layer: Annotated[tuple[str, ...], Field(strict=False)] = ()

    @model_validator(mode="after")
    def _one_limit_of_similarity(self) -> ChoicesRecipe:
        if self.similarity_threshold and self.similarity_quantile:
            raise ValueError(
                "similarity_threshold and similarity_quantile stand for each other; leave one out"
            )
        return self


class StudyRecipe(Stage):
    """The comparison that `mcu-ser study` makes; everything else of the recipe holds for every cell."""

    folds: Protocol = FixedSplit()
    rows: Annotated[tuple[GridRow, ...], Field(strict=False, min_length=1)] = (GridRow(),)
    choices: ChoicesRecipe = ChoicesRecipe()

    @field_validator("rows")
    @classmethod
    def _each_model_once(cls, rows: tuple[GridRow, ...]) -> tuple[GridRow, ...]:
        models = [row.model for row in rows]
        if any(model in models[:index] for index, model in enumerate(models)):
            raise ValueError("two rows have the same model; one row may have all its approaches and seeds")
        return rows
