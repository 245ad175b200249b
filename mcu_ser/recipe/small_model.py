# SPDX-License-Identifier: Apache-2.0
"""The small model of a recipe: its family and size, where it starts from, and how it is trained."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mcu_ser.recipe.fit import FitRecipe
from mcu_ser.recipe.table import Fraction, Stage


class DsCnnRecipe(Stage):
    """A light model of depthwise-separable convolutions."""

    family: Literal["ds_cnn"] = "ds_cnn"
    width: int = Field(default=16, ge=8, multiple_of=8, description="channels of the first layer")
    blocks: int = Field(default=5, ge=1, le=5, description="separable blocks between stem and bands")
    dropout: Fraction = 0.2


class ResidualCnnRecipe(Stage):
    """A light model of plain convolutions."""

    family: Literal["residual_cnn"]
    width: float = Field(default=1.0, gt=0, le=4, description="multiplies all channels")
    dropout: Fraction = 0.3


class PaperModelRecipe(Stage):
    """A model of the paper, as it is or narrower."""

    family: Literal["vgg15", "resnet9", "mobilenet15", "cnn6"]
    width: float = Field(default=1.0, gt=0, le=1, description="multiplies all channels and the dense layer")


ModelRecipe = Annotated[DsCnnRecipe | ResidualCnnRecipe | PaperModelRecipe, Field(discriminator="family")]


class TrainingRecipe(Stage):
    """The first training of the small model."""

    fit: FitRecipe = FitRecipe(epochs=60, learning_rate=2e-3)


class TransferRecipe(Stage):
    """What the small model takes over from a copy of itself that was trained on the source corpus.

    `fine_tuning` starts from all its weights but those of the last dense layer; `frozen_features` keeps these
    as they are, and only the last dense layer learns the target corpus. With either, the graph may be on or
    off.
    """

    method: Literal["none", "fine_tuning", "frozen_features"] = "none"
    fit: FitRecipe = FitRecipe(epochs=40, learning_rate=2e-3)
