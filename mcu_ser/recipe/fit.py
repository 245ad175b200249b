# SPDX-License-Identifier: Apache-2.0
"""One gradient descent of a recipe."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from mcu_ser.recipe.table import Fraction, Stage

MOST_EPOCHS = 100_000
Epochs = Annotated[int, Field(ge=1, le=MOST_EPOCHS)]

# Of frames or bands: more than any clip has, and nothing that overflows.
_MOST_PLACES = 1 << 16


class AugmentationRecipe(Stage):
    """Random changes to a training clip; all sizes are upper bounds of uniform draws."""

    speeds: Annotated[tuple[Annotated[float, Field(ge=0.5, le=2)], ...], Field(strict=False)] = Field(
        default=(),
        description="true speeds of the recordings, pitch included; a clip is cut from one of them at a "
        "random place, in place of time_shift_frames; tilt is then in natural logarithm of power",
    )
    time_shift_frames: int = Field(
        default=64, ge=0, le=_MOST_PLACES, description="circular; not used with speeds"
    )
    time_stretch_fraction: Fraction = Field(default=0.0, description="faster or slower, as a share of 1")
    mel_warp_fraction: Fraction = Field(default=0.0, description="longer or shorter vocal tract")
    mel_shift_bands: float = Field(default=0.0, ge=0, description="with the warp")
    tilt: float = Field(
        default=0.0, ge=0, description="standard deviation, not a bound: of a microphone's slope, normalised"
    )
    time_mask_frames: int = Field(default=16, ge=0, le=_MOST_PLACES)
    mel_mask_bands: int = Field(default=6, ge=0, le=_MOST_PLACES)
    masks: int = Field(default=1, ge=0, le=100, description="of each kind")

    @model_validator(mode="after")
    def _one_kind_of_speed(self) -> AugmentationRecipe:
        if self.speeds and self.time_stretch_fraction:
            raise ValueError("speeds and time_stretch_fraction both change the speed; leave one out")
        if len(set(self.speeds)) < len(self.speeds):
            raise ValueError(f"speeds {list(self.speeds)} name one twice")
        return self


class FitRecipe(Stage):
    """One gradient descent: Adam with decoupled weight decay, linear warm-up, then the schedule.

    `cosine` falls to zero with the last step. `steps` multiplies the rate by `step_factor` after every
    `step_epochs` epochs, warm-up included.
    """

    epochs: Epochs
    batch_size: PositiveInt = 32
    learning_rate: float = Field(gt=0, le=10)
    warmup_fraction: Fraction = 0.1
    schedule: Literal["cosine", "steps"] = "cosine"
    step_factor: float = Field(default=0.9, gt=0, le=1)
    step_epochs: PositiveInt = 5
    weight_decay: float = Field(default=1e-4, ge=0)
    weight_averaging: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="decay per step of a moving average of the weights, with which the fit ends; 0: the last",
    )
    label_smoothing: Fraction = 0.1
    class_balance: bool = True
    augmentation: AugmentationRecipe = AugmentationRecipe()
