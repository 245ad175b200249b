# SPDX-License-Identifier: Apache-2.0
from hypothesis import given, settings
from hypothesis import strategies as st

from mcu_ser.aot.finish import (
    END_SHIFTS,
    Channel,
    Output,
    all_channels,
    constant_output,
    shifted,
    signed,
)
from mcu_ser.aot.requantize import INT8_MAX, INT8_MIN, INT32_MAX, INT32_MIN, Multiplier

MULTIPLIERS = st.builds(
    Multiplier,
    st.one_of(st.sampled_from([1 << 30, (1 << 31) - 1, 3 << 29]), st.integers(1 << 30, (1 << 31) - 1)),
    st.integers(-31, 1),
)
OUTPUTS = st.one_of(
    st.just(Output(-128, -128, 127)),
    st.builds(lambda zero_point: Output(zero_point, -128, 127), st.integers(-128, 127)),
    st.builds(lambda zero_point: Output(zero_point, zero_point, 127), st.integers(-128, 127)),
)


@st.composite
def channels(draw):
    reach = 1 << draw(st.integers(1, 30))
    low, high = sorted(draw(st.tuples(st.integers(-reach, reach), st.integers(-reach, reach))))
    return Channel(low, high, draw(MULTIPLIERS))


def _sums(channel, rng_draw):
    """Ends, signs, and sums near the ties of the last rounding."""
    sums = {channel.low, channel.high, 0, -1, 1}
    exponent = -channel.multiplier.shift
    for output in range(-3, 4):
        tie = ((2 * output + 1) << (30 + exponent)) // channel.multiplier.mantissa
        sums |= {tie + i for i in (-2, -1, 0, 1, 2)}
    sums |= set(rng_draw(st.lists(st.integers(channel.low, channel.high), max_size=20)))
    return [x for x in sums if channel.low <= x <= channel.high]


def _int32(x):
    assert INT32_MIN <= x <= INT32_MAX
    return x


def _saturated(x, output):
    return max(output.min, min(output.max, max(INT8_MIN, min(INT8_MAX, x))))


@settings(max_examples=600)
@given(channels(), OUTPUTS, st.sampled_from(END_SHIFTS), st.data())
def test_the_shifted_way_gives_the_output_of_the_specification(channel, output, end_shift, data):
    finish = shifted(channel, output, end_shift)
    if finish is None:
        return
    for x in _sums(channel, data.draw):
        left = _int32(x << finish.shift) if finish.multiplier else 0
        total = _int32((left * finish.multiplier >> 32) + finish.constant)
        assert _saturated(total >> end_shift, output) == output.value(x, channel.multiplier)


@settings(max_examples=600)
@given(channels(), OUTPUTS, st.data())
def test_the_signed_way_gives_the_output_of_the_specification(channel, output, data):
    finish = signed(channel, output)
    if finish is None:
        return
    for x in _sums(channel, data.draw):
        twice = _int32(2 * x) if finish.multiplier else 2 * x
        total = _int32((twice * finish.multiplier + (1 << 31) >> 32) + finish.constant)
        total = _int32(total - (x < 0))
        assert _saturated(total >> finish.shift, output) == output.value(x, channel.multiplier)


def test_ties_of_negative_sums_are_what_the_shifted_way_cannot_do():
    # -1.5 becomes -2 by the specification and -1 without its tie rule.
    channel = Channel(-100, 100, Multiplier(1 << 30, -1))
    assert Output(0, -128, 127).value(-6, channel.multiplier) == -2
    assert shifted(channel, Output(0, -128, 127), 10) is None
    assert shifted(channel, Output(0, 0, 127), 10) is not None
    assert signed(channel, Output(0, -128, 127)) is not None


def test_the_left_shift_is_limited_by_the_sum_and_by_the_caller():
    output = Output(-128, -128, 127)
    small, multiplier = Channel(-100, 100, Multiplier(1 << 30, -1)), Multiplier(1 << 30, -1)
    assert shifted(small, output, 10, most_left=9) is None
    assert shifted(small, output, 10, most_left=10).shift == 10
    # 2^21 << 10 is just too much for an int32.
    assert shifted(Channel(0, (1 << 21) - 1, multiplier), output, 10) is not None
    assert shifted(Channel(0, 1 << 21, multiplier), output, 10) is None


def test_a_channel_with_one_output_is_a_constant_at_any_shift():
    channel = Channel(-(1 << 30), 1 << 30, Multiplier(0, 0))
    for output in (Output(-128, -128, 127), Output(77, -128, 127)):
        assert constant_output(channel, output) == output.zero_point
        for finish, end_shift in ((shifted(channel, output, 12), 12), (signed(channel, output), 8)):
            assert finish.multiplier == 0
            assert finish.constant >> end_shift == (finish.constant - 1) >> end_shift or end_shift == 12
            assert finish.constant >> end_shift == output.zero_point


def test_one_channel_without_a_form_leaves_the_layer_without():
    found = signed(Channel(-5, 5, Multiplier(1 << 30, -3)), Output(0, -128, 127))
    assert all_channels([found, found]) == (found, found)
    assert all_channels([found, None]) is None
