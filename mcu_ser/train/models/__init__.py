# SPDX-License-Identifier: Apache-2.0
"""The networks, one file each: `build(shape, classes, ...)` returns an untrained Keras model.

Input (frames, mels, 1), output the class probabilities. Every layer is named, so that the converted file
depends on the weights and the recipe alone, and so that `graph.layer` of a recipe can take any of them. The
small models, which `build_small` returns, end alike:

| layer       | what it gives                                                                  |
|-------------|--------------------------------------------------------------------------------|
| `fc1`       | one vector of a clip, before its ReLU (no such layer in `residual_cnn`)         |
| `embedding` | the same after its ReLU; in `residual_cnn` the mean of the last maps           |
| `logits`    | a number for each class (fc2 of the paper); the only layer bound to the classes |
| `emotion`   | the probabilities: the softmax of the logits, without weights                  |

The source model has `embedding`, the mean of its last maps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcu_ser.train.models import cnn6, ds_cnn, mobilenet15, residual_cnn, resnet9, vgg15

if TYPE_CHECKING:
    from mcu_ser.recipe import ModelRecipe

_PAPER = {
    "vgg15": vgg15.build,
    "resnet9": resnet9.build,
    "mobilenet15": mobilenet15.build,
    "cnn6": cnn6.build,
}


def build_small(shape: tuple[int, int], classes: int, recipe: ModelRecipe) -> Any:
    """The untrained small model of a recipe.

    Args:
        shape: Frames and mel bands of the input.
        classes: Number of emotions.
        recipe: Family and size.

    Raises:
        ConfigError: The family needs more frames or mel bands.
    """
    if recipe.family == "ds_cnn":
        return ds_cnn.build(shape, classes, width=recipe.width, blocks=recipe.blocks, dropout=recipe.dropout)
    if recipe.family == "residual_cnn":
        return residual_cnn.build(shape, classes, width=recipe.width, dropout=recipe.dropout)
    return _PAPER[recipe.family](shape, classes, width=recipe.width)
