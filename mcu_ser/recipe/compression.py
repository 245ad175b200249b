# SPDX-License-Identifier: Apache-2.0
"""Pruning and quantisation-aware training of a recipe, and what the result may take."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt, model_validator

from mcu_ser.recipe.fit import FitRecipe
from mcu_ser.recipe.table import Fraction, Stage


class PruningRecipe(Stage):
    """Magnitude pruning on a polynomial schedule, from the trained weights."""

    sparsity_fraction: Fraction = 0.5
    structure: Literal["unstructured", "block4"] = Field(
        default="unstructured",
        description="which weights become zero: single ones, which take the firmware two bytes each where "
        "they stay, or fours along the input channels, five bytes; it neither stores nor multiplies the "
        "others. Kernels whose input channels are no multiple of four stay dense",
    )
    begin_fraction: Fraction = Field(default=0.0, description="of the steps; no pruning before")
    end_fraction: float = Field(default=0.6, gt=0, le=1, description="of the steps; full sparsity from here")
    fit: FitRecipe = FitRecipe(epochs=15, learning_rate=1e-3)

    @model_validator(mode="after")
    def _ends_with_its_zeros(self) -> PruningRecipe:
        if self.fit.weight_averaging:
            raise ValueError("weight_averaging would bring pruned weights back; leave it at 0 here")
        return self

    @model_validator(mode="after")
    def _begins_before_it_ends(self) -> PruningRecipe:
        if self.begin_fraction >= self.end_fraction:
            raise ValueError(
                f"begin_fraction {self.begin_fraction} is not below end_fraction {self.end_fraction}"
            )
        return self


class QatRecipe(Stage):
    """Quantisation-aware training that keeps the zeros of pruning."""

    fit: FitRecipe = FitRecipe(epochs=8, learning_rate=3e-4)


class BudgetRecipe(Stage):
    """What the converted model may take."""

    weight_bytes: PositiveInt = 64 << 10
    activation_bytes: PositiveInt = 64 << 10
