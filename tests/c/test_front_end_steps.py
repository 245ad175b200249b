# SPDX-License-Identifier: Apache-2.0
"""The steps inside the C front end, each to its last bit: quantisation to int8 would hide most of it."""

import ctypes
import subprocess

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.ctypeslib import ndpointer

from mcu_ser.features.front_end import FrontEnd
from mcu_ser.features.integer_fft import power_spectrum
from mcu_ser.features.integer_log_mel import level_rows, log2_q15
from mcu_ser.features.integer_tables import front_end_tables
from mcu_ser.features.normalization import Normalization
from mcu_ser.recipe import FeaturesRecipe
from tests.cortex_m4_front_end import FACTORS
from tests.native_firmware import STRICT, require_gcc
from tests.native_front_end import FRONT_END_DIR, write_sources
from tests.speech import worst_clips

SPEC = FeaturesRecipe(frames=16)
TABLES = front_end_tables(SPEC)
# Components of points and twiddles: a product of two is at most 2^62.
INT32 = st.integers(-(2**31) + 1, 2**31 - 1)

_SOURCE = """
#include "front_end_tables.c"
#include "spectrum.c"
#include "log_mel.c"
int32_t product(int32_t a, int32_t b) { return high_mul(a, b); }
int32_t added(int32_t to, int32_t a, int32_t b) { return high_mul_add(to, a, b); }
int32_t subtracted(int32_t from, int32_t a, int32_t b) { return high_mul_sub(from, a, b); }
int32_t logarithm(uint64_t value) { return log2_q15(value); }
void power(const int16_t *samples, uint64_t *out) {
  const uint64_t *found = spectrum_power(samples);
  for (uint32_t bin = 0; bin < FRONT_END_BINS; bin++) {
    out[bin] = found[bin];
  }
}
"""


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    directory = tmp_path_factory.mktemp("steps")
    bands = np.ones(SPEC.mels, np.float32)
    write_sources(FrontEnd.folded(SPEC, Normalization(bands, bands), 0.02, 0), directory)
    (directory / "steps.c").write_text(_SOURCE)
    library = directory / "steps.so"
    # Undefined behaviour traps: the program under test is this Python process.
    flags = ("-O1", "-shared", "-fPIC", "-fsanitize=undefined", "-fsanitize-undefined-trap-on-error")
    includes = (f"-I{FRONT_END_DIR}", f"-I{directory}")
    command = [require_gcc(), *STRICT, *flags, *includes, "-o", str(library), str(directory / "steps.c")]
    subprocess.run(command, check=True, timeout=60)
    loaded = ctypes.CDLL(str(library))
    loaded.logarithm.argtypes = [ctypes.c_uint64]
    frame = ndpointer(np.int16, flags="C_CONTIGUOUS")
    loaded.power.argtypes = [frame, ndpointer(np.int64, flags="C_CONTIGUOUS")]
    loaded.log_mel_row.argtypes = [frame, ndpointer(np.uint16, flags="C_CONTIGUOUS")]
    return loaded


def assert_products_are_exact(steps, a, b) -> None:
    nearest, negative = ((x * b + 2**31) >> 32 for x in (a, -a))
    assert steps.product(a, b) == nearest
    assert steps.added(7, a, b) == 7 + nearest
    assert steps.subtracted(7, a, b) == 7 + negative


@given(INT32, INT32)
def test_products_are_the_nearest_with_ties_upwards(steps, a, b) -> None:
    assert_products_are_exact(steps, a, b)


@pytest.mark.parametrize(("a", "b"), FACTORS)
def test_products_at_a_tie(steps, a, b) -> None:
    assert_products_are_exact(steps, a, b)


def test_logarithm(steps) -> None:
    rng = np.random.default_rng(0)
    values = (rng.integers(2**62, 2**63 - 1, 20000) >> rng.integers(0, 63, 20000)).clip(min=1)
    found = [steps.logarithm(int(value)) for value in values]
    assert (found == log2_q15(values, TABLES)).all()


def frames() -> np.ndarray:
    """Frames of every bad clip, beginning anywhere in it."""
    rng = np.random.default_rng(0)
    starts = {name: rng.integers(0, 23000, 12) for name in worst_clips()}
    return np.array([clip[at : at + 512] for name, clip in worst_clips().items() for at in starts[name]])


def test_power_and_levels(steps) -> None:
    found = np.empty(256, np.int64)
    row = np.empty(SPEC.mels, np.uint16)
    expected = power_spectrum(frames(), TABLES).T
    for frame, power in zip(frames(), expected, strict=True):
        steps.power(frame, found)
        assert (found == power).all()
        steps.log_mel_row(frame, row)
        assert (row == level_rows(frame, SPEC)[0]).all()


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 5, 300, 32767]))
def test_power_and_levels_of_noise(steps, seed, amplitude) -> None:
    frame = np.random.default_rng(seed).integers(-amplitude, amplitude + 1, 512).astype(np.int16)
    found = np.empty(256, np.int64)
    steps.power(frame, found)
    assert (found == power_spectrum(frame[None], TABLES)[:, 0]).all()
    row = np.empty(SPEC.mels, np.uint16)
    steps.log_mel_row(frame, row)
    assert (row == level_rows(frame, SPEC)[0]).all()
