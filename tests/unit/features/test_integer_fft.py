# SPDX-License-Identifier: Apache-2.0
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.features.integer_fft import (
    digit_reversed,
    first_stage,
    high_mul,
    later_stage,
    power_spectrum,
    split_power,
    windowed,
)
from mcu_ser.features.integer_tables import front_end_tables
from mcu_ser.recipe import FeaturesRecipe

TABLES = front_end_tables(FeaturesRecipe())
INT32 = st.integers(-(2**31), 2**31 - 1)

n = np.arange(512)
HARDEST = {
    "full-scale square wave": np.where(n // 8 % 2, 32767, -32768),
    "square wave of half the sampling rate": np.where(n % 2, 32767, -32768),
    "lowest constant": np.full(512, -32768),
    "highest constant": np.full(512, 32767),
    "click": np.where(n == 256, -32768, 0),
    "sine": np.rint(32767 * np.sin(2 * np.pi * 32 * n / 512)),
    # Every sample of the sign that a bin's cosine has: the most that any bin can get.
    **{
        f"bin {k}": np.where(np.cos(2 * np.pi * k * n / 512) < 0, -32768, 32767) for k in (0, 1, 37, 128, 255)
    },
    **{f"bin {k}, sine": np.where(np.sin(2 * np.pi * k * n / 512) < 0, -32768, 32767) for k in (1, 64, 200)},
}


def exact_power(frames: np.ndarray) -> np.ndarray:
    window = np.asarray(TABLES.window) / 32768
    return np.square(np.abs(np.fft.rfft(frames * window, axis=1)[:, :256].T))


def frames_of(*frames: np.ndarray) -> np.ndarray:
    return np.array(frames).astype(np.int16)


def largest(points) -> int:
    return max(int(np.abs(part).max()) for part in points)


@given(INT32, INT32)
def test_the_upper_half_of_a_product_is_the_nearest_with_ties_upwards(a, b) -> None:
    exact = Fraction(a * b, 2**32)
    assert high_mul(np.array([a]), np.array([b]))[0] == (exact + Fraction(1, 2)).__floor__()


def test_digits_are_reversed() -> None:
    order = digit_reversed()
    assert order[:6].tolist() == [0, 64, 128, 192, 16, 80]
    assert (order[order] == np.arange(256)).all()


@pytest.mark.parametrize("name", HARDEST)
def test_no_step_leaves_32_bits(name) -> None:
    """The bound that the docstring proves, on the inputs that come nearest to it."""
    points = windowed(frames_of(HARDEST[name]), TABLES)
    assert largest(points) <= 2**25
    points = first_stage(points)
    for twiddles in TABLES.stages:
        assert largest(points) < 2**30
        points = later_stage(points, twiddles)
    # 2^30, and half a step for each of the roundings that went into a point.
    assert largest(points) <= 2**30 + 64
    re, im = points
    assert np.abs(re[1:] + re[:0:-1]).max() <= 2**30 + 128
    assert np.abs(im[1:] + im[:0:-1]).max() <= 2**30 + 128
    assert 0 <= split_power(points, TABLES.split).min() <= split_power(points, TABLES.split).max() < 2**47


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 3, 30, 1000, 32767]), st.integers(1, 4))
def test_power_is_that_of_the_exact_transform(seed, amplitude, count) -> None:
    rng = np.random.default_rng(seed)
    frames = frames_of(*rng.integers(-amplitude, amplitude + 1, (count, 512)))
    # The spectrum is rounded to whole steps: at most 0.5 in each component, and less than 0.5 before that.
    error = np.abs(np.sqrt(power_spectrum(frames, TABLES)) - np.sqrt(exact_power(frames)))
    assert error.max() <= 1.5


@pytest.mark.parametrize("name", HARDEST)
def test_power_of_the_hardest_frames(name) -> None:
    frames = frames_of(HARDEST[name])
    error = np.abs(np.sqrt(power_spectrum(frames, TABLES)) - np.sqrt(exact_power(frames)))
    assert error.max() <= 1.5


def test_frames_do_not_touch_each_other() -> None:
    frames = frames_of(*(HARDEST[name] for name in HARDEST))
    together = power_spectrum(frames, TABLES)
    for index, frame in enumerate(frames):
        assert (together[:, [index]] == power_spectrum(frame[None], TABLES)).all()


def test_silence_has_no_power() -> None:
    assert not power_spectrum(np.zeros((1, 512), np.int16), TABLES).any()
