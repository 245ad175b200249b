# SPDX-License-Identifier: Apache-2.0
"""Turns a trained model into a sparse one: magnitude pruning with TFMOT while training goes on.

Zhu and Gupta, "To prune, or not to prune" (arXiv 1710.01878): sparsity grows along a cubic polynomial. TFMOT
prunes the kernels of convolutions and dense layers and leaves depthwise kernels, which are few, alone; by
single weights, or by blocks that a device gains from (`blocks`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mcu_ser.compress.blocks import prune_in_blocks
from mcu_ser.progress import silent
from mcu_ser.train.fit import Clips, Descent, Fitted, steps_per_epoch
from mcu_ser.train.nsl_import import keras, tfmot
from mcu_ser.train.transfer import head_of

if TYPE_CHECKING:
    from mcu_ser.progress import Track
    from mcu_ser.recipe import PruningRecipe
    from mcu_ser.train.graph_regularization import GraphRegularization


def prune(
    model: Any,
    training: Clips,
    recipe: PruningRecipe,
    *,
    seed: int,
    validation: Clips | None = None,
    graph: GraphRegularization | None = None,
    head_only: bool = False,
    track: Track = silent,
) -> tuple[Any, Fitted]:
    """The pruned model, without pruning wrappers, and its descent.

    Args:
        model: The trained model. TFMOT wraps its layers and trains them: it is of no use afterwards.
        training: The clips it was trained on.
        recipe: Sparsity, its structure and schedule, and the descent.
        seed: Of order and augmentation.
        validation: Chooses among the epochs of full sparsity; without it the last epoch stays.
        graph: The graph loss, still on.
        head_only: The trunk is frozen (`transfer.freeze_trunk`) and sparse already; only the head is pruned.
        track: Told of each epoch done.
    """
    steps = recipe.fit.epochs * steps_per_epoch(training, recipe.fit)
    wrapped = _wrapped(model, _schedule(recipe, steps), head_only=head_only)
    if recipe.structure == "block4":
        prune_in_blocks(wrapped)
    steering = tfmot.sparsity.keras.UpdatePruningStep()
    steering.set_model(wrapped)
    steering.on_train_begin()
    descent = Descent(
        wrapped,
        training,
        recipe.fit,
        what="pruning",
        seed=seed,
        validation=validation,
        graph=graph,
        first_choice=min(math.floor(recipe.end_fraction * recipe.fit.epochs) + 1, recipe.fit.epochs),
        # The optimiser's momentum moves pruned weights off zero; this puts the mask back on.
        after_epoch=lambda: steering.on_epoch_end(0),
    )
    fitted = descent.run(track)
    return tfmot.sparsity.keras.strip_pruning(wrapped), fitted


def _wrapped(model: Any, schedule: Any, *, head_only: bool) -> Any:
    if not head_only:
        return tfmot.sparsity.keras.prune_low_magnitude(model, pruning_schedule=schedule)
    head = head_of(model)

    def wrapper(layer: Any) -> Any:
        if layer is not head:
            # A layer in two models has two outputs, and a graph loss would ask for that of the other one.
            return type(layer).from_config(layer.get_config())
        return tfmot.sparsity.keras.prune_low_magnitude(layer, pruning_schedule=schedule)

    wrapped = keras.models.clone_model(model, clone_function=wrapper)
    for layer in model.layers:
        if layer is not head:
            wrapped.get_layer(layer.name).set_weights(layer.get_weights())
    return wrapped


def _schedule(recipe: PruningRecipe, steps: int) -> Any:
    end_step = max(1, math.floor(recipe.end_fraction * steps))
    return tfmot.sparsity.keras.PolynomialDecay(
        initial_sparsity=0.0,
        final_sparsity=recipe.sparsity_fraction,
        begin_step=min(math.floor(recipe.begin_fraction * steps), end_step - 1),
        end_step=end_step,
        # Every step: runs are so short that TFMOT's default of 100 could miss the last one.
        frequency=1,
    )
