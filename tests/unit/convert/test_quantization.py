# SPDX-License-Identifier: Apache-2.0
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.convert.quantization import Quantization, dequantize, quantize
from mcu_ser.errors import ModelError, SamplesError

FLOAT32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
SCALE = st.floats(min_value=2**-60, max_value=2**60, width=32)
ZERO_POINT = st.integers(-128, 127)


def exact_quantize(x: float, scale: float, zero_point: int) -> int:
    """Round half away from zero in rational arithmetic, then saturate."""
    quotient = Fraction(x) / Fraction(scale)
    magnitude = (2 * abs(quotient) + 1) // 2
    nearest = int(magnitude if quotient >= 0 else -magnitude)
    return max(-128, min(127, nearest + zero_point))


@given(FLOAT32, SCALE, ZERO_POINT)
def test_equals_exact_arithmetic(x: float, scale: float, zero_point: int) -> None:
    assert quantize([x], scale, zero_point).tolist() == [exact_quantize(x, scale, zero_point)]


@given(st.integers(-300, 300), SCALE, ZERO_POINT, st.integers(-2, 2))
def test_equals_exact_arithmetic_around_ties(steps: int, scale: float, zero_point: int, ulps: int) -> None:
    x = np.float32((steps + 0.5) * scale)
    for _ in range(abs(ulps)):
        x = np.nextafter(x, np.float32(np.inf * ulps))
    assert quantize([x], scale, zero_point).tolist() == [exact_quantize(float(x), scale, zero_point)]


def test_ties_go_away_from_zero_and_ends_saturate() -> None:
    x = np.array([0.5, 1.5, -0.5, -1.5, 0.49999997, 200.0, -200.0], np.float32)
    assert quantize(x, 1.0, 0).tolist() == [1, 2, -1, -2, 0, 127, -128]
    assert quantize(x, 1.0, -128).tolist() == [-127, -126, -128, -128, -128, 72, -128]


@given(st.lists(st.integers(-128, 127), min_size=1), SCALE, ZERO_POINT)
def test_dequantize_then_quantize_is_the_identity(values: list[int], scale: float, zero_point: int) -> None:
    q = np.array(values, np.int8)
    assert quantize(dequantize(q, scale, zero_point), scale, zero_point).tolist() == values


def test_keeps_the_shape() -> None:
    q = quantize(np.zeros((2, 3, 4)), 0.5, 7)
    assert q.dtype == np.int8
    assert q.shape == (2, 3, 4)
    assert (q == 7).all()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_refuses_values_that_are_not_finite(value: float) -> None:
    with pytest.raises(SamplesError, match="not finite"):
        quantize([0.0, value], 1.0, 0)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_refuses_a_scale_that_is_not_positive(scale: float) -> None:
    with pytest.raises(ModelError, match="not a positive number"):
        quantize([0.0], scale, 0)
    with pytest.raises(ModelError, match="not a positive number"):
        dequantize(np.zeros(1, np.int8), scale, 0)


@pytest.mark.parametrize("zero_point", [-129, 128])
def test_refuses_a_zero_point_outside_int8(zero_point: int) -> None:
    with pytest.raises(ModelError, match="not an int8 value"):
        Quantization(1.0, zero_point)
