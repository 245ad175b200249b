# SPDX-License-Identifier: Apache-2.0
import ctypes
import math
import subprocess
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.aot.requantize import Multiplier, doubling_high_mul, rounding_shift_right, scale
from tests.native_models import RUNTIME, STRICT

INT32 = st.integers(-(2**31) + 1, 2**31 - 1)
MANTISSAS = st.one_of(st.just(0), st.integers(2**30, 2**31 - 1))

_SOURCE = """
#include "kernels/kernel.h"
#include "kernels/softmax.h"
int32_t high_mul(int32_t a, int32_t b) { return aot_doubling_high_mul(a, b); }
int32_t shift_right(int32_t x, int32_t exponent) { return aot_rounding_shift_right(x, exponent); }
int32_t scale(int32_t x, int32_t multiplier, int32_t shift) { return aot_scale(x, multiplier, shift); }
int32_t exp_of_negative(int32_t x) { return aot_exp_of_negative(x); }
int32_t reciprocal(int32_t x) { return aot_reciprocal_of_one_plus(x); }
int32_t taps_first(int32_t origin, int32_t taps, int32_t dilation, int32_t size) {
  return aot_taps_inside(origin, taps, dilation, size).first;
}
int32_t taps_end(int32_t origin, int32_t taps, int32_t dilation, int32_t size) {
  return aot_taps_inside(origin, taps, dilation, size).end;
}
"""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    directory = tmp_path_factory.mktemp("arithmetic")
    (directory / "arithmetic.c").write_text(_SOURCE)
    library = directory / "arithmetic.so"
    # Undefined behaviour traps: the program under test is this Python process.
    flags = ("-O1", "-shared", "-fPIC", "-fsanitize=undefined", "-fsanitize-undefined-trap-on-error")
    subprocess.run(
        ["gcc", *STRICT, *flags, f"-I{RUNTIME}", "-o", library, directory / "arithmetic.c"],
        check=True,
        timeout=60,
    )
    return ctypes.CDLL(str(library))


def _nearest(x, ties):
    """Nearest integer; ties "up" or "away" from zero."""
    if ties == "away" and x < 0:
        return -_nearest(-x, "away")
    return math.floor(x + Fraction(1, 2))


@given(INT32, INT32)
def test_doubling_product_is_the_nearest_with_ties_upwards(kernel, a, b):
    expected = _nearest(Fraction(a * b, 2**31), "up")
    assert doubling_high_mul(a, b) == expected
    assert kernel.high_mul(a, b) == expected


@given(INT32, st.integers(0, 31))
def test_shift_is_the_nearest_with_ties_away_from_zero(kernel, x, exponent):
    expected = _nearest(Fraction(x, 2**exponent), "away")
    assert rounding_shift_right(x, exponent) == expected
    assert kernel.shift_right(x, exponent) == expected


@given(st.integers(1, 31), st.integers(-100, 100), st.sampled_from([-1, 0, 1]))
def test_shift_near_ties(kernel, exponent, whole, beside):
    x = whole * 2**exponent + 2 ** (exponent - 1) + beside
    if -(2**31) <= x < 2**31:
        assert kernel.shift_right(x, exponent) == _nearest(Fraction(x, 2**exponent), "away")


@given(INT32, MANTISSAS, st.integers(-31, 30))
def test_scale_rounds_twice(kernel, x, mantissa, shift):
    # The generator emits a left shift only where its result fits.
    if shift > 0:
        x = int(x / 2**shift)
    doubled = _nearest(Fraction((x << max(shift, 0)) * mantissa, 2**31), "up")
    expected = _nearest(Fraction(doubled, 2 ** max(-shift, 0)), "away")
    assert scale(x, Multiplier(mantissa, shift)) == expected
    assert kernel.scale(x, mantissa, shift) == expected


@given(st.integers(-31 << 26, 0))
def test_exp_is_close_to_the_real_one(kernel, x):
    # The Taylor series ends after the fourth power; the next term is (1/8)^5 / 120 at most.
    assert abs(kernel.exp_of_negative(x) - math.exp(x / 2**26) * 2**31) < 2**31 * (1 / 8) ** 5 / 120 + 64


@pytest.mark.parametrize("bit", range(7))
def test_exp_factors_are_exact(kernel, bit):
    # The polynomial's value at -1/4, which every power of two shares.
    base = kernel.exp_of_negative(-1)
    factor = math.floor(math.exp(-(2.0 ** (bit - 2))) * 2**31 + 0.5)
    assert kernel.exp_of_negative(-(1 << (24 + bit)) - 1) == doubling_high_mul(base, factor)


def _constant(value, fraction_bits):
    return math.floor(value * 2**fraction_bits + 0.5)


def _exp_model(x):
    """gemmlowp's exp(x) for x < 0 in Q5.26, with its constants computed instead of written down."""
    quarter = 1 << 24
    remainder = x % quarter - quarter
    d = (remainder << 5) + (1 << 28)
    d2 = doubling_high_mul(d, d)
    d3, d4 = doubling_high_mul(d2, d), doubling_high_mul(d2, d2)
    cubic = doubling_high_mul(rounding_shift_right(d4, 2) + d3, _constant(1 / 3, 31))
    offset = _constant(math.exp(-1 / 8), 31)
    result = offset + doubling_high_mul(offset, d + rounding_shift_right(cubic + d2, 1))
    for bit in range(7):
        if (remainder - x) >> (24 + bit) & 1:
            result = doubling_high_mul(result, _constant(math.exp(-(2.0 ** (bit - 2))), 31))
    return result


def test_exp_is_that_of_gemmlowp_to_the_last_bit(kernel):
    # Steps that share no factor with the powers of two: points all over the range, and close together where
    # no later factor hides the last bits of the polynomial.
    points = [*range(-31 << 26, 0, 1_048_573), *range(-1 << 24, 0, 421)]
    assert [kernel.exp_of_negative(x) for x in points] == [_exp_model(x) for x in points]


def test_exp_of_zero_is_one(kernel):
    assert kernel.exp_of_negative(0) == 2**31 - 1


def _reciprocal_model(x):
    """gemmlowp's 1 / (1 + x) for 0 <= x < 1 in Q0.31, with its constants computed."""
    half = (x + 2**31) // 2
    estimate = _constant(48 / 17, 29) + doubling_high_mul(half, -_constant(32 / 17, 29))
    for _ in range(3):
        error = (1 << 29) - doubling_high_mul(half, estimate)
        estimate += doubling_high_mul(estimate, error) << 2
    return min(estimate << 1, 2**31 - 1)


@given(st.one_of(st.sampled_from([0, 2**31 - 1]), st.integers(0, 2**31 - 1)))
def test_reciprocal_is_that_of_gemmlowp_to_the_last_bit(kernel, x):
    assert kernel.reciprocal(x) == _reciprocal_model(x)


@given(st.integers(0, 2**31 - 1))
def test_reciprocal_is_exact_but_for_its_last_bits(kernel, x):
    assert abs(kernel.reciprocal(x) - 2**31 / (1 + x / 2**31)) <= 8


@given(st.integers(-40, 39), st.integers(1, 9), st.integers(1, 9), st.integers(1, 40))
def test_taps_inside_are_exactly_those_inside(kernel, origin, taps, dilation, size):
    if origin >= size:
        return
    inside = [tap for tap in range(taps) if 0 <= origin + tap * dilation < size]
    first, end = (f(origin, taps, dilation, size) for f in (kernel.taps_first, kernel.taps_end))
    assert list(range(first, end)) == inside


def test_all_kernels_fit_one_translation_unit(tmp_path):
    """A model may need any of them, and includes those that it needs into one file."""
    # Others include those of the DSP instructions, where there are any.
    names = (path.name for path in (RUNTIME / "kernels").glob("*.h"))
    headers = sorted(name for name in names if not name.endswith("_dsp.h"))
    source = tmp_path / "all.c"
    source.write_text("".join(f'#include "kernels/{name}"\n' for name in headers) + "int none;\n")
    command = ["gcc", *STRICT, "-Wno-unused-function", "-fsyntax-only", f"-I{RUNTIME}", source]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
