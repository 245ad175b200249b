# SPDX-License-Identifier: Apache-2.0
"""The similarity graph of a recipe, and the loss that it adds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from mcu_ser.recipe.table import Stage


class GraphRecipe(Stage):
    """The similarity graph of the target's training utterances and its loss.

    The paper's graph: similarity_threshold 0.99, lsh_splits 2, lsh_rounds 4, neighbours 3, 6 or 9.
    """

    builder: Literal["nsl", "exact", "hnsw"] = Field(
        default="nsl",
        description="nsl.tools.build_graph; all pairs as matrix products, for the edges that nsl finds "
        "without hashing, in less time; approximate search, which pays above some 80 000 utterances",
    )
    similarity_threshold: float = Field(default=0.7, ge=-1, le=1, description="least cosine of an edge")
    similarity_quantile: Annotated[float, Field(ge=0, lt=1)] | None = Field(
        default=None,
        description="in place of the threshold: pairs above this quantile of all pairs' similarities; 0.98 "
        "keeps the most similar 2 %",
    )
    lsh_splits: int = Field(default=0, ge=0, description="builder nsl: bits of a hash; 0 compares all pairs")
    lsh_rounds: PositiveInt = Field(default=1, description="builder nsl: hashings whose edges are united")
    neighbours: int = Field(
        default=2, ge=1, le=16, description="nearest ones that train with an utterance, itself not counted"
    )
    mutual: bool = Field(default=False, description="only pairs of which each is among the other's nearest")
    same_emotion_only: bool = Field(default=False, description="only pairs of equal training labels")
    across_speakers_only: bool = Field(default=False, description="only pairs of two speakers")
    multiplier: float = Field(default=0.1, ge=0, description="weight of the graph loss; 0 turns it off")
    multiplier_schedule: Literal["constant", "linear_up", "cosine_down"] = Field(
        default="constant", description="over each training: as it is, from 0 up to it, from it down to 0"
    )
    layer: str = Field(
        default="embedding",
        description="whose outputs the neighbours pull together: fc1 (before ReLU), embedding (after it), "
        "logits, or any layer of the model",
    )

    @model_validator(mode="after")
    def _hashing_is_of_one_builder(self) -> GraphRecipe:
        if self.lsh_splits and self.builder != "nsl":
            raise ValueError(f"lsh_splits is of builder nsl, not of {self.builder}")
        return self
