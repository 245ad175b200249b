# SPDX-License-Identifier: Apache-2.0
"""The tables as C text. That they are the right ones is for the tests that compile them."""

import re

import numpy as np
import pytest

from mcu_ser.features.front_end import FrontEnd
from mcu_ser.features.integer_tables import front_end_tables
from mcu_ser.features.normalization import Normalization
from mcu_ser.generate.front_end import front_end_sources
from mcu_ser.recipe import FeaturesRecipe


def sources(**changes) -> dict[str, str]:
    spec = FeaturesRecipe(mels=8, frames=16).model_copy(update=changes)
    normalization = Normalization(np.zeros(8, np.float32), np.ones(8, np.float32))
    return front_end_sources(FrontEnd.folded(spec, normalization, 0.02, -7))


def array(text: str, name: str) -> list[int]:
    body = re.search(rf"\b{name}\[[^=]*\] = \{{(.*?)\}};", text, re.DOTALL)
    assert body
    return [int(number) for number in re.findall(r"-?\d+", body.group(1))]


def test_sizes_are_those_of_the_recipe() -> None:
    config = sources(window_samples=400, hop_samples=160)["front_end_config.h"]
    for line in ("FRAMES 16u", "MELS 8u", "WINDOW 400u", "HOP 160u", "ZERO_POINT (-7)"):
        assert f"#define FRONT_END_{line}\n" in config


@pytest.mark.parametrize("clip_mean", ["keep", "level", "band"])
def test_the_clip_mean_is_one_of_three(clip_mean) -> None:
    config = sources(clip_mean=clip_mean)["front_end_config.h"]
    assert f"#define FRONT_END_CLIP_MEAN FRONT_END_CLIP_MEAN_{clip_mean.upper()}\n" in config
    numbers = dict(re.findall(r"#define FRONT_END_CLIP_MEAN_(\w+) (\d)", config))
    assert numbers == {"KEEP": "0", "LEVEL": "1", "BAND": "2"}


def test_tables_are_printed_whole() -> None:
    text = sources()["front_end_tables.c"]
    tables = front_end_tables(FeaturesRecipe(mels=8, frames=16))
    assert array(text, "front_end_window") == tables.window.tolist()
    assert array(text, "front_end_log2") == tables.log2.tolist()
    assert array(text, "front_end_split_twiddles") == tables.split.ravel().tolist()
    assert array(text, "front_end_stage_twiddles") == [
        number for stage in tables.stages for number in stage.ravel().tolist()
    ]
    assert array(text, "front_end_weights") == [w for band in tables.bands for w in band.weights]


def test_the_same_front_end_gives_the_same_text() -> None:
    assert sources() == sources()
    for text in sources().values():
        assert max(map(len, text.splitlines())) <= 110
        assert text.startswith("/* SPDX-License-Identifier: Apache-2.0 */\n")
        assert text.endswith("\n")
