# SPDX-License-Identifier: Apache-2.0
"""The similarity graph of a recipe, and the loss that it adds."""

from __future__ import annotations

from pydantic import Field, PositiveInt

from mcu_ser.recipe.table import Stage


class GraphRecipe(Stage):
    """The similarity graph of the target's training utterances (`nsl.tools.build_graph`) and its loss."""

    similarity_threshold: float = Field(default=0.7, ge=-1, le=1)
    lsh_splits: int = Field(default=0, ge=0)
    lsh_rounds: PositiveInt = 1
    neighbours: int = Field(default=2, ge=1, le=16)
    multiplier: float = Field(default=0.1, ge=0, description="weight of the graph loss; 0 turns it off")
    layer: str = Field(default="embedding", description="whose outputs the neighbours pull together")
