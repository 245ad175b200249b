# SPDX-License-Identifier: Apache-2.0
"""Evaluates the logistic function and tanh in fixed point, bit for bit as the oracle does, to tabulate them.

Qm.n means m integer and n fraction bits beside the sign, in 32 bits. The steps are gemmlowp's: exp() of a
quarter by a Taylor series, each higher bit of the exponent by one multiplication, 1 / (1 + x) by three Newton
steps. `softmax.h` has the same steps in C.
"""

from __future__ import annotations

from mcu_ser.aot.requantize import INT32_MAX, INT32_MIN, doubling_high_mul, rounding_shift_right

# exp(-1/4), exp(-1/2), exp(-1), exp(-2), exp(-4), exp(-8), exp(-16) in Q0.31.
_EXP_FACTORS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
_EXP_OF_MINUS_EIGHTH = 1895147668
_ONE_THIRD = 715827883
# In Q2.29.
_48_OVER_17 = 1515870810
_MINUS_32_OVER_17 = -1010580540
_Q2_ONE = 1 << 29

# Integer bits of the argument of `logistic` and `tanh`: Q4.27 reaches to 16, where both are 1 in int8.
INTEGER_BITS = 4
FRACTION_BITS = 31 - INTEGER_BITS


def saturating_shift_left(x: int, exponent: int) -> int:
    """The product x * 2^exponent, limited to int32; exponent > 0."""
    limit = INT32_MAX >> exponent
    if -limit <= x <= limit:
        return x << exponent
    return INT32_MAX if x > 0 else INT32_MIN


def exp_of_negative(x: int, integer_bits: int) -> int:
    """The exponential of x in Q0.31 for x <= 0 with 4 or 5 integer bits."""
    fraction_bits = 31 - integer_bits
    if x == 0:
        return INT32_MAX
    quarter = 1 << (fraction_bits - 2)
    remainder = (x & (quarter - 1)) - quarter
    result = _exp_of_quarter(remainder << integer_bits)
    quarters = remainder - x
    for bit in range(integer_bits + 2):
        if quarters & (quarter << bit):
            result = doubling_high_mul(result, _EXP_FACTORS[bit])
    return result


def _exp_of_quarter(x: int) -> int:
    """exp(x) in Q0.31 for x in Q0.31, -1/4 <= x < 0: Taylor series around -1/8."""
    d = x + (1 << 28)
    d2 = doubling_high_mul(d, d)
    d3 = doubling_high_mul(d2, d)
    d4_over_4 = rounding_shift_right(doubling_high_mul(d2, d2), 2)
    tail = rounding_shift_right(doubling_high_mul(d4_over_4 + d3, _ONE_THIRD) + d2, 1)
    return _EXP_OF_MINUS_EIGHTH + doubling_high_mul(_EXP_OF_MINUS_EIGHTH, d + tail)


def _two_over_one_plus(x: int) -> int:
    """2 / (1 + x) in Q2.29 for x in Q0.31, 0 <= x < 1."""
    half_denominator = (x + INT32_MAX + 1) // 2
    estimate = _48_OVER_17 + doubling_high_mul(half_denominator, _MINUS_32_OVER_17)
    for _ in range(3):
        error = _Q2_ONE - doubling_high_mul(half_denominator, estimate)
        estimate += saturating_shift_left(doubling_high_mul(estimate, error), 2)
    return estimate


def logistic(x: int) -> int:
    """The logistic function 1 / (1 + exp(-x)) in Q0.31 for x in Q4.27."""
    if x == 0:
        return 1 << 30
    positive = saturating_shift_left(_two_over_one_plus(exp_of_negative(-abs(x), INTEGER_BITS)), 1)
    return positive if x > 0 else INT32_MAX - positive


def tanh(x: int) -> int:
    """Hyperbolic tangent in Q0.31 for x in Q4.27."""
    if x == 0:
        return 0
    # exp(-2 |x|): doubling is reading the same bits with one more integer bit.
    exponential = exp_of_negative(-abs(x), INTEGER_BITS + 1)
    positive = saturating_shift_left(_two_over_one_plus(exponential) - _Q2_ONE, 2)
    return positive if x > 0 else -positive
