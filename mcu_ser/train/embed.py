# SPDX-License-Identifier: Apache-2.0
"""Turns clips into the source model's embeddings, and keeps them with their ids in an npz."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mcu_ser.artifacts import replaced_file
from mcu_ser.train.nsl_import import keras, tf

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def embed(model: Any, x: NDArray[np.float32], *, centred: bool = True) -> NDArray[np.float32]:
    """Outputs of the source model's `embedding` layer: its last feature maps, averaged.

    Args:
        model: The trained source model.
        x: Normalised clips, float32 (n, frames, mels).
        centred: The mean embedding of the set is taken off each: features after a ReLU all point the same
            way, and cosine similarity would be close to 1 everywhere.

    Returns:
        float32 (n, dimensions).
    """
    encoder = keras.Model(model.inputs, model.get_layer("embedding").output)
    parts = [
        encoder(tf.constant(x[start : start + 128, ..., None]), training=False).numpy()
        for start in range(0, len(x), 128)
    ]
    embeddings: NDArray[np.float32] = np.concatenate(parts)
    if centred:
        embeddings -= embeddings.mean(axis=0)
    return embeddings


def save_embeddings(path: Path, ids: NDArray[np.str_], embeddings: NDArray[np.float32]) -> None:
    """Write an npz of ids (n,) and embeddings (n, dimensions)."""
    with replaced_file(path) as temporary:
        np.savez(temporary, ids=ids, embeddings=embeddings)
