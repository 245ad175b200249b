# SPDX-License-Identifier: Apache-2.0
"""A small classifier of log-mel maps with its front end, and clips for it: firmware that hears, for tests."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from mcu_ser.board import load_board
from mcu_ser.features.front_end import FrontEnd
from mcu_ser.features.integer_log_mel import level_map, log_power
from mcu_ser.features.normalization import Normalization
from mcu_ser.generate.project import Project, generate
from mcu_ser.recipe import FeaturesRecipe
from tests.speech import synthetic_clips
from tests.tiny_model import tiny_classifier

SPEC = FeaturesRecipe(mels=8, frames=24)
SCALE = 0.025
ZERO_POINT = -3  # that of tiny_classifier


@lru_cache
def front_end_of(spec: FeaturesRecipe = SPEC, scale: float = SCALE) -> FrontEnd:
    """A front end for made-up voices, whose steps are a fortieth of a standard deviation."""
    maps = np.array([log_power(level_map(pcm, spec), spec) for pcm in synthetic_clips(spec)])
    return FrontEnd.folded(spec, Normalization.measured(maps), float(np.float32(scale)), ZERO_POINT)


@dataclass(frozen=True)
class Hearing:
    """A model and its front end as files."""

    model: Path
    front_end: Path

    def project(self, board: str, out: Path, engine: str = "aot") -> Project:
        """Firmware of them."""
        return generate(self.model, load_board(board), engine, out, front_end=self.front_end)


def hearing_model(directory: Path, spec: FeaturesRecipe = SPEC) -> Hearing:
    """The two files, in `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    files = Hearing(directory / "model.tflite", directory / "front_end.json")
    files.model.write_bytes(tiny_classifier(shape=(1, spec.frames, spec.mels, 1), scale=SCALE))
    front_end_of(spec).save(files.front_end)
    return files
