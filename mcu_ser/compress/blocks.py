# SPDX-License-Identifier: Apache-2.0
"""Makes TFMOT prune whole blocks: four weights that multiply four neighbouring input channels.

In the .tflite such a block is four bytes that follow each other, and the engine needs one word of weights and
one byte of place for it. TFMOT's own blocks are of two-dimensional weights only.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from mcu_ser.aot.kernels.sparse import BLOCK
from mcu_ser.train.nsl_import import tf

# Kernels are (height, width, input channels, output channels) or (inputs, outputs).
_INPUT_AXIS = -2


def prune_in_blocks(model: Any) -> None:
    """Let TFMOT's wrappers in a model remove blocks of the least mean magnitude, not single weights.

    A layer whose input channels are no multiple of four, as the first one's of a single spectrogram, stays
    dense.

    Args:
        model: From `prune_low_magnitude`, not trained yet.
    """
    for layer in model.layers:
        pruning = getattr(layer, "pruning_obj", None)
        if pruning is not None:
            # What decides which of a kernel's weights stay; the rest of TFMOT's pruning is as it is.
            pruning._maybe_update_block_mask = partial(_block_mask, pruning)


def _block_mask(pruning: Any, weights: Any) -> tuple[Any, Any]:
    """TFMOT's threshold and mask, of blocks."""
    shape = weights.shape.as_list()
    inputs, outputs = shape[_INPUT_AXIS:]
    if inputs % BLOCK:
        return tf.zeros((), weights.dtype), tf.ones(shape, weights.dtype)
    blocks = tf.reshape(weights, (-1, BLOCK, outputs))
    threshold, kept = pruning._update_mask(tf.reduce_mean(tf.abs(blocks), axis=1))
    return threshold, tf.reshape(tf.repeat(kept[:, None], BLOCK, axis=1), shape)
