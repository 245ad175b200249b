# SPDX-License-Identifier: Apache-2.0
"""Trains toy models as one of several workers: python worker_training.py OUT.npz, with TF_CONFIG."""

import sys
from pathlib import Path

import numpy as np

CASES = ("plain", "graph", "dropout")
STEPS = 6 * 3


def trained(case):
    """Weights of a toy model after 6 epochs of 3 steps, concatenated: float32 (n,)."""
    from mcu_ser.recipe import AugmentationRecipe, FitRecipe
    from mcu_ser.train.fit import Clips, Descent, make_reproducible
    from mcu_ser.train.graph_regularization import GraphRegularization
    from mcu_ser.train.neighbours import Neighbours
    from mcu_ser.train.nsl_import import keras

    draws = np.random.default_rng(0)
    y = draws.integers(0, 3, 48)
    x = draws.normal(0, 0.5, (48, 8, 6)).astype(np.float32)
    x[np.arange(48), :, 2 * y] += 1.0
    rows = ((np.arange(48, dtype=np.int32)[:, None] + [1, 2]) % 48).astype(np.int32)
    weights = np.ones((48, 2), np.float32)
    # Some neighbours are absent, and not as many in each worker's part.
    weights[:20, 1] = 0.0
    graph = GraphRegularization(Neighbours(rows, weights), 0.5, "embedding") if case == "graph" else None

    make_reproducible(1)
    layers = keras.layers
    inputs = keras.Input((8, 6, 1), name="log_mel")
    # No bias before a norm, as in the models here: its gradient is 0 but for rounding, and Adam would make
    # whole steps of that.
    z = layers.Conv2D(4, (3, 6), use_bias=False, name="bands")(inputs)
    z = layers.BatchNormalization(momentum=0.7, name="norm")(z)
    z = layers.ReLU(name="relu")(z)
    z = layers.GlobalAveragePooling2D(name="embedding")(z)
    z = layers.Dropout(0.4 if case == "dropout" else 0.0, name="dropout")(z)
    model = keras.Model(inputs, layers.Dense(3, activation="softmax", name="emotion")(z), name="toy")
    recipe = FitRecipe(
        epochs=6,
        batch_size=16,
        learning_rate=0.01,
        augmentation=AugmentationRecipe(time_shift_frames=2, time_mask_frames=2, mel_mask_bands=1),
    )
    Descent(model, Clips(x, y), recipe, "toy", seed=1, validation=Clips(x[:9], y[:9]), graph=graph).run()
    return np.concatenate([one.ravel() for one in model.get_weights()])


if __name__ == "__main__":
    from mcu_ser.train.distributed import join

    workers = join()
    np.savez(Path(sys.argv[1]), **{case: trained(case) for case in CASES})
    workers.wait_for_all()
