# SPDX-License-Identifier: Apache-2.0
"""The C front end under sanitizers against the numpy one: whatever a signal is made of, equal bytes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcu_ser.features.clip import frame_count
from mcu_ser.features.integer_log_mel import level_rows
from mcu_ser.recipe import FeaturesRecipe
from tests.hearing_model import front_end_of
from tests.native_front_end import NativeFrontEnd, push, start_clip

SPEC = FeaturesRecipe(mels=24, frames=12)
LONGEST = 3 * SPEC.frames * SPEC.hop_samples


def sweep(n, start_hz, end_hz):
    return np.sin(2 * np.pi * np.cumsum(np.linspace(start_hz, end_hz, len(n))) / 16000)


HZ = st.floats(0, 8000)
SHAPES = st.one_of(
    st.tuples(st.just(sweep), HZ, HZ),
    st.tuples(st.just(lambda n, period: np.where(n % period == 0, 1.0, 0.0)), st.integers(1, 4000)),
    st.tuples(st.just(lambda n, half: np.where(n // half % 2, 1.0, -1.0)), st.integers(1, 2000)),
    st.tuples(st.just(lambda n: np.ones(len(n)))),
    st.tuples(
        st.just(lambda n, seed: np.random.default_rng(seed).uniform(-1, 1, len(n))), st.integers(0, 999)
    ),
    st.tuples(st.just(lambda n, at: np.where(n == at % len(n), 1.0, 0.0)), st.integers(0, LONGEST)),
)
# From silence and -90 dBFS to four times full scale, of either sign.
GAINS = st.one_of(st.sampled_from([0.0, 10**-4.5, 1 / 32768, 1.0, -1.0, 4.0]), st.floats(-4, 4))


@st.composite
def signals(draw):
    n = np.arange(draw(st.one_of(st.integers(1, 1000), st.integers(1, LONGEST))))
    mixed = np.zeros(len(n))
    for shape, *values in draw(st.lists(SHAPES, min_size=1, max_size=3)):
        mixed += draw(GAINS) * shape(n, *values)
    return np.clip(np.rint(mixed * 32768), -32768, 32767).astype(np.int16)


@pytest.fixture(scope="module", params=["gcc", "clang"])
def native(request, tmp_path_factory) -> NativeFrontEnd:
    return NativeFrontEnd(front_end_of(SPEC), tmp_path_factory.mktemp("front_end"), compiler=request.param)


@settings(max_examples=150)
@given(pcm=signals(), cuts=st.lists(st.integers(0, LONGEST), max_size=6))
def test_whatever_a_signal_is_made_of(native, pcm, cuts) -> None:
    front_end = front_end_of(SPEC)
    pieces = b"".join(push(piece) for piece in np.split(pcm, sorted(cut % len(pcm) for cut in cuts)))
    rows, found = native.rows_and_map(start_clip(len(pcm)) + pieces)
    assert rows == min(frame_count(len(pcm), SPEC), SPEC.frames)
    assert (found == front_end.run(pcm)).all()
    rows, found = native.rows_and_map(b"s" + pieces)
    if len(pcm) < SPEC.window_samples:
        assert (rows, found) == (0, None)
    else:
        assert (found == front_end.newest(level_rows(pcm, SPEC))).all()
