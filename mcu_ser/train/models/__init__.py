# SPDX-License-Identifier: Apache-2.0
"""The networks, one file each: `build(shape, classes, ...)` returns an untrained Keras model.

Input (frames, mels, 1), output the class probabilities; a layer named `embedding` gives one vector per clip.
Every layer is named, so that the converted file depends on the weights and the recipe alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcu_ser.train.models import ds_cnn

if TYPE_CHECKING:
    from mcu_ser.recipe import ModelRecipe


def build_small(shape: tuple[int, int], classes: int, recipe: ModelRecipe) -> Any:
    """The untrained small model of a recipe.

    Args:
        shape: Frames and mel bands of the input.
        classes: Number of emotions.
        recipe: Family and size.
    """
    assert recipe.family == "ds_cnn"
    return ds_cnn.build(shape, classes, width=recipe.width, blocks=recipe.blocks, dropout=recipe.dropout)
