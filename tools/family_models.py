# SPDX-License-Identifier: Apache-2.0
"""Every model family at a microcontroller's width, as int8: .venv/bin/python tools/family_models.py DIR.

What an engine costs depends on shapes, not on what a model learned: weights are random, activations
quantised post-training over noise. For tools/bench_engines.py DIR, and for any other engine.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mcu_ser.artifacts import write_bytes
from mcu_ser.recipe import DsCnnRecipe, PaperModelRecipe, ResidualCnnRecipe

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mcu_ser.recipe import ModelRecipe

# Frames and mel bands of the shipped recipe for real speech, and its emotions.
SHAPE = (160, 40)
CLASSES = 7
# Those that an STM32F405 with 128 KB of RAM can hold.
FAMILIES: dict[str, ModelRecipe] = {
    "vgg15": PaperModelRecipe(family="vgg15", width=0.0625),
    "resnet9": PaperModelRecipe(family="resnet9", width=0.0625),
    "mobilenet15": PaperModelRecipe(family="mobilenet15", width=0.25),
    "cnn6": PaperModelRecipe(family="cnn6", width=0.0625),
    "ds_cnn": DsCnnRecipe(),
    "residual_cnn": ResidualCnnRecipe(family="residual_cnn"),
}


def family_model(recipe: ModelRecipe, shape: tuple[int, int] = SHAPE) -> bytes:
    """The .tflite of one family; the same bytes every time.

    Args:
        recipe: Family and width.
        shape: Frames and mel bands of its input.
    """
    from mcu_ser.convert.post_training import quantized_post_training
    from mcu_ser.train.fit import make_reproducible
    from mcu_ser.train.models import build_small

    make_reproducible(1)
    model = build_small(shape, CLASSES, recipe)
    draws = np.random.default_rng(1)
    clips = draws.uniform(-3, 3, (16, *shape)).astype(np.float32)
    _normalise(model, clips)
    return quantized_post_training(model, clips)


def _normalise(model: Any, clips: NDArray[np.float32]) -> None:
    """Batch normalisation of the clips' activations; as drawn, deep models answer all clips alike."""
    for layer in model.layers:
        if layer.__class__.__name__ == "BatchNormalization":
            layer.momentum = 0.0
    model(clips[..., None], training=True)


def main() -> int:
    """Write one file per family."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path, help="where the files go")
    parser.add_argument("--family", choices=FAMILIES, action="append", help="only this one")
    arguments = parser.parse_args()
    arguments.directory.mkdir(parents=True, exist_ok=True)
    for name in arguments.family or FAMILIES:
        path = arguments.directory / f"{name}.tflite"
        write_bytes(path, family_model(FAMILIES[name]))
        print(f"{path}: {path.stat().st_size:,} B")
    return 0


if __name__ == "__main__":
    sys.exit(main())
