# SPDX-License-Identifier: Apache-2.0
"""Which maps are due in a stream, and the energy gate, against their definitions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.features.clip import frame_count
from mcu_ser.features.front_end import FrontEnd
from mcu_ser.features.listening import FULL_SCALE_POWER, Gate, due_maps, hop_powers, level_dbfs
from mcu_ser.features.normalization import Normalization
from mcu_ser.recipe import FeaturesRecipe

SPEC = FeaturesRecipe(mels=4, frames=8)
FRONT_END = FrontEnd.folded(
    SPEC, Normalization(np.full(4, -6.0, np.float32), np.full(4, 2.0, np.float32)), 0.025, 0
)
NOISE = np.random.default_rng(1).integers(-5000, 5000, 9000).astype(np.int16)


def test_a_map_is_that_of_the_clip_that_ends_there() -> None:
    found = list(due_maps(NOISE, FRONT_END, 3, Gate()))
    assert [one.rows for one in found] == [8, 11, 14, 17, 20, 23, 26, 29, 32]
    for one in found:
        end = 512 + (one.rows - 1) * 256
        assert (one.features == FRONT_END.run(NOISE[end - 512 - 7 * 256 : end])).all()
        assert one.is_open


@given(st.integers(0, 9000), st.integers(1, 40))
def test_how_many_are_due(length: int, period: int) -> None:
    found = list(due_maps(NOISE[:length], FRONT_END, period, Gate()))
    rows = frame_count(length, SPEC) if length >= 512 else 0
    assert len(found) == (0 if rows < 8 else 1 + (rows - 8) // period)


def test_a_hop_is_loud_from_the_threshold_on() -> None:
    pcm = np.zeros(4000, np.int16)
    pcm[1024:1280] = np.where(np.arange(256) % 2, 105, 95)  # hop 4: variance 25, upon a constant
    assert hop_powers(pcm, 256)[4] == 25
    for power, hops, expected in ((25, 1, True), (26, 1, False), (25, 2, False), (26, 0, True)):
        (first, *_) = due_maps(pcm, FRONT_END, 1, Gate(power, hops))
        assert first.is_open is expected
    # The first map hears hops 1 to 8, the fourth 4 to 11, the fifth 5 to 12.
    opened = [one.is_open for one in due_maps(pcm, FRONT_END, 1, Gate(25, 1))]
    assert opened == [True] * 4 + [False] * (len(opened) - 4)


@given(st.lists(st.integers(-32768, 32767), min_size=64, max_size=64))
def test_the_power_of_a_hop_is_its_variance(samples: list[int]) -> None:
    mean = sum(samples) / 64
    variance = sum((sample - mean) ** 2 for sample in samples) / 64
    (power,) = hop_powers(np.array(samples, np.int16), 64).tolist()
    assert math.isclose(power, variance, abs_tol=1.0)
    assert power <= FULL_SCALE_POWER


def test_levels() -> None:
    assert Gate.of_level(0.0, 3) == Gate(FULL_SCALE_POWER, 3)
    assert Gate.of_level(-60.0, 1).power == 1074
    assert level_dbfs(FULL_SCALE_POWER) == 0.0
    # 1074 is -60 dB rounded to a whole power.
    assert level_dbfs(1074) == pytest.approx(-60.0, abs=0.01)
    assert level_dbfs(0) == -math.inf
