# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcu_ser.aot.direct_finish import choose_direct, direct, first_multiple, rising_sums
from mcu_ser.aot.finish import Channel, Output, sums_keep_to
from mcu_ser.aot.requantize import INT8_MAX, INT8_MIN, INT32_MAX, INT32_MIN, Multiplier, scale

RELU = Output(-128, -128, 127)
OUTPUTS = st.one_of(
    st.just(RELU),
    st.builds(lambda zero_point: Output(zero_point, zero_point, 127), st.integers(-128, 127)),
    st.builds(lambda zero_point: Output(zero_point, zero_point, zero_point + 40), st.integers(-128, 87)),
    st.builds(lambda zero_point: Output(zero_point, -128, 127), st.integers(-128, 127)),
)
MANTISSAS = st.one_of(st.sampled_from([1 << 30, (1 << 31) - 1, 3 << 29]), st.integers(1 << 30, (1 << 31) - 1))


@st.composite
def channels(draw, least=1, greatest=22):
    reach = 1 << draw(st.integers(1, 30))
    low, high = sorted(draw(st.tuples(st.integers(-reach, reach), st.integers(-reach, reach))))
    return Channel(low, high, Multiplier(draw(MANTISSAS), -draw(st.integers(least, greatest))))


def _output(x, finish, end_shift, output):
    """As the assembly has it, whose registers have 32 bits."""
    total = x + finish.bias
    assert INT32_MIN <= total <= INT32_MAX or not finish.multiplier
    added = (total * finish.multiplier >> 32) + finish.constant
    assert INT32_MIN <= added <= INT32_MAX
    return max(output.min, min(output.max, max(INT8_MIN, min(INT8_MAX, added >> end_shift))))


def _sums(channel, output, drawn):
    """Ends, and the sums on both sides of each at which the output rises."""
    sums = {channel.low, channel.high, -1, 0, 1, *drawn}
    steps = range(output.min - output.zero_point, output.max - output.zero_point + 2)
    for step in steps:
        least = int(rising_sums(channel.multiplier, step))
        sums |= {least - 1, least}
    return [x for x in sums if channel.low <= x <= channel.high]


@settings(max_examples=300)
@given(channels(), OUTPUTS, st.integers(0, 8), st.data())
def test_the_direct_way_gives_the_output_of_the_specification(channel, output, lost, data):
    end_shift = -channel.multiplier.shift - 1 - lost
    if end_shift < 0:
        return
    finish = direct(channel, output, end_shift)
    if finish is None:
        return
    assert 0 <= finish.multiplier <= INT32_MAX
    assert finish.shift == 0
    drawn = data.draw(st.lists(st.integers(channel.low, channel.high), max_size=20))
    for x in _sums(channel, output, drawn):
        assert _output(x, finish, end_shift, output) == output.value(x, channel.multiplier), x


@given(st.integers(-256, 256), MANTISSAS, st.integers(1, 22))
def test_a_sum_rises_where_the_specification_says(step, mantissa, exponent):
    multiplier = Multiplier(mantissa, -exponent)
    least = int(rising_sums(multiplier, step))
    assert scale(least, multiplier) >= step > scale(least - 1, multiplier)


@given(st.integers(1, 60), st.data())
def test_the_first_multiple_is_the_first(modulus, data):
    factor = data.draw(st.integers(0, modulus - 1))
    low = data.draw(st.integers(0, modulus - 1))
    high = data.draw(st.integers(low, modulus - 1))
    inside = (x for x in range(modulus) if low <= factor * x % modulus <= high)
    assert first_multiple(factor, modulus, low, high) == next(inside, None)


def _layer(*multipliers, low=-100_000, high=100_000):
    return tuple(Channel(low, high, Multiplier(mantissa, -e)) for mantissa, e in multipliers)


def test_channels_with_a_fused_relu_have_constants_that_need_no_shift():
    layer = _layer((1_500_000_001, 8), (1_300_000_003, 9), (2_000_000_011, 11))
    end_shift, finishes = choose_direct(layer, RELU)
    assert end_shift == 7
    # What the first channel has in full, the others have less some bits.
    assert [f.multiplier for f in finishes] == [1_500_000_001, 650_000_002, 250_000_001]
    assert all(f.bias or f.constant for f in finishes)


@pytest.mark.parametrize(
    ("layer", "output"),
    [
        # Negative sums whose ties count: no multiplier rises where they do.
        (_layer((1_500_000_001, 8)), Output(4, -128, 127)),
        # No right shift is left for the common one, or none of those that there is code for.
        (_layer((1_500_000_001, 1)), RELU),
        (_layer((1_500_000_001, 20), low=-(2**28), high=2**28), RELU),
        (_layer((1_500_000_001, 0)), RELU),
        # Numbers of 64 bits would not hold the last one's sums.
        (_layer((1_500_000_001, 8), (1_500_000_001, 23), low=-(2**30), high=2**30), RELU),
        # One channel has nothing left of its multiplier beside the other's.
        (_layer((1_500_000_001, 5), (1_500_000_001, 22), low=-(2**30), high=2**30), RELU),
    ],
)
def test_a_layer_without_such_constants_has_no_direct_way(layer, output):
    assert choose_direct(layer, output) is None


def test_a_channel_with_one_output_has_it_whatever_its_multiplier():
    dead = Channel(-5000, -10, Multiplier(1_500_000_001, 0))
    end_shift, (_, constant) = choose_direct((*_layer((1_500_000_001, 8)), dead), Output(3, 3, 127))
    assert (constant.multiplier, constant.constant >> end_shift, constant.bias) == (0, 3, 0)


def test_sums_that_a_bias_would_take_out_of_32_bits_have_no_direct_way():
    whole = Channel(INT32_MIN, INT32_MAX, Multiplier(1_500_000_001, -8))
    assert direct(whole, RELU, 7) is None
    half = Channel(INT32_MIN // 2, INT32_MAX // 2, Multiplier(1_500_000_001, -8))
    assert direct(half, RELU, 7) is not None


@pytest.mark.parametrize(("before", "keeps"), [(0, False), (2, False), (3, True)])
def test_a_limit_of_sums_is_that_of_sums_with_their_bias(before, keeps):
    channel = Channel(6275747 - before, (1 << 23) - 1 - before, Multiplier(1771046675, -17))
    _, finishes = choose_direct((channel,), RELU)
    assert finishes[0].bias == 3
    assert sums_keep_to(24, (channel,), finishes) is keeps
