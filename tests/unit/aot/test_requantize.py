# SPDX-License-Identifier: Apache-2.0
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.aot.ir import Activation
from mcu_ser.aot.requantize import (
    Multiplier,
    activation_range,
    quantize_multiplier,
    round_half_away,
    scale,
    scale_fits,
)


@given(st.floats(2.0**-30, 2.0**30))
def test_multiplier_is_the_nearest_with_31_bits(real):
    multiplier = quantize_multiplier(real)
    assert 2**30 <= multiplier.mantissa < 2**31
    error = Fraction(multiplier.mantissa) * Fraction(2) ** (multiplier.shift - 31) - Fraction(real)
    assert abs(error) <= Fraction(2) ** (multiplier.shift - 32)


@pytest.mark.parametrize(
    ("real", "expected"),
    [
        (0.0, Multiplier(0, 0)),
        (1.0, Multiplier(1 << 30, 1)),
        (0.5, Multiplier(1 << 30, 0)),
        # The mantissa rounds up to 2^31, which only the next power of two can hold.
        (1 - 2.0**-40, Multiplier(1 << 30, 1)),
        (2.0**-32, Multiplier(1 << 30, -31)),
        (2.0**-33, Multiplier(0, 0)),
    ],
)
def test_multipliers_at_the_edges(real, expected):
    assert quantize_multiplier(real) == expected


@pytest.mark.parametrize("real", [-1.0, float("inf"), float("nan")])
def test_no_multiplier_for_what_is_no_factor(real):
    with pytest.raises(ValueError, match="scale factor"):
        quantize_multiplier(real)


@pytest.mark.parametrize(("x", "expected"), [(0.5, 1), (-0.5, -1), (2.5, 3), (-2.5, -3), (0.49, 0)])
def test_rounding_goes_away_from_zero(x, expected):
    assert round_half_away(x) == expected


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        (Activation.NONE, (-128, 127)),
        (Activation.RELU, (-10, 127)),
        (Activation.RELU6, (-10, 50)),
        (Activation.RELU_N1_TO_1, (-20, 0)),
    ],
)
def test_activation_bounds(activation, expected):
    assert activation_range(activation, 0.1, -10) == expected


def test_activation_bounds_stay_within_int8():
    assert activation_range(Activation.RELU6, 0.01, 100) == (100, 127)
    assert activation_range(Activation.RELU_N1_TO_1, 0.001, 0) == (-128, 127)


def test_scale_fits_up_to_the_last_value():
    double = Multiplier(1 << 30, 2)
    assert scale_fits(-(2**29) + 1, 2**29 - 1, double, 0)
    assert not scale_fits(0, 2**29, double, 0)
    assert not scale_fits(-(2**29), 0, double, 0)
    one = Multiplier(2**31 - 1, 0)
    top = 2**31 - 1
    assert scale_fits(0, top, one, 0)
    assert scale(top, one) == top - 1
    assert not scale_fits(0, top, one, 127)


@pytest.mark.parametrize("shift", [-32, 31])
def test_scale_does_not_fit_shifts_that_the_kernels_lack(shift):
    assert not scale_fits(0, 0, Multiplier(1 << 30, shift), 0)
