# SPDX-License-Identifier: Apache-2.0
"""The source model of a recipe."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mcu_ser.recipe.fit import FitRecipe
from mcu_ser.recipe.table import Stage


class SourceModelRecipe(Stage):
    """The model trained on the source corpus, whose embeddings make the graph."""

    model: Literal["source_cnn"] = "source_cnn"
    width: int = Field(default=32, ge=8, multiple_of=8)
    fit: FitRecipe = FitRecipe(epochs=40, learning_rate=2e-3)
