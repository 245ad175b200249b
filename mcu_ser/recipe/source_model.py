# SPDX-License-Identifier: Apache-2.0
"""The source model of a recipe."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, PositiveInt, Tag

from mcu_ser.recipe.fit import Epochs, FitRecipe
from mcu_ser.recipe.table import Fraction, Stage


class SourceCnnRecipe(Stage):
    """A CNN on log-mel, trained on the source corpus from random weights."""

    model: Literal["source_cnn"] = "source_cnn"
    width: int = Field(default=32, ge=8, multiple_of=8)
    centred: bool = Field(
        default=True,
        description="the mean embedding of the training utterances is taken off each; without, all point "
        "the same way after a ReLU, and thresholds are close to 1, as the paper's 0.99",
    )
    fit: FitRecipe = FitRecipe(epochs=40, learning_rate=2e-3)


class Wav2Vec2Recipe(Stage):
    """A pretrained wav2vec 2.0 model on raw audio, fine-tuned on the source corpus (extra [wav2vec2])."""

    model: Literal["wav2vec2"]
    checkpoint: str = Field(
        min_length=1, description="a directory with config.json and weights; nothing is ever downloaded"
    )
    max_seconds: float = Field(default=6.0, gt=0.1, le=60, description="of a longer clip, its middle")
    epochs: Epochs = 10
    batch_size: PositiveInt = 8
    learning_rate: float = Field(default=5e-5, gt=0, le=10)
    warmup_fraction: Fraction = 0.1
    weight_decay: float = Field(default=0.01, ge=0)
    class_balance: bool = True


def _model_of(table: Any) -> str:
    """Which of the models a table describes: the CNN, if it does not say."""
    named = table.get("model", "source_cnn") if isinstance(table, dict) else getattr(table, "model", None)
    return named if isinstance(named, str) else ""


SourceModelRecipe = Annotated[
    Annotated[SourceCnnRecipe, Tag("source_cnn")] | Annotated[Wav2Vec2Recipe, Tag("wav2vec2")],
    Discriminator(
        _model_of,
        custom_error_type="source_model",
        custom_error_message="model has to be source_cnn or wav2vec2",
    ),
]
"""The model trained on the source corpus, whose embeddings make the graph."""
