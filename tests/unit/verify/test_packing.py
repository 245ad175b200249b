# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.verify.messages import LAYOUTS
from mcu_ser.verify.packing import InputPacker, neighbours
from tests.packed_input import unpacked

SHAPES = [(1, 300), (1, 30, 10), (1, 30, 10, 1), (1, 10, 10, 3), (1, 1, 300, 1), (1, 2, 3, 10, 5), (300,)]


def smooth_map(frames, bands, seed=0):
    """Something like log-mels: silence, then a surface with noise on it."""
    rng = np.random.default_rng(seed)
    surface = np.cumsum(rng.normal(0, 4, (frames, bands)), axis=0) + np.cumsum(rng.normal(0, 4, bands))
    surface[: frames // 4] = -128
    return np.clip(np.round(surface), -128, 127).astype(np.int8)


@given(data=st.data(), shape=st.sampled_from(SHAPES), kind=st.sampled_from(["any", "few", "constant", "map"]))
def test_what_was_packed_comes_back(data, shape, kind):
    total = math.prod(shape)
    if kind == "map":
        x = smooth_map(30, 10, data.draw(st.integers(0, 99))).tobytes()
    else:
        values = {"any": range(256), "few": (0, 1, 127, 128), "constant": (data.draw(st.integers(0, 255)),)}[
            kind
        ]
        x = bytes(data.draw(st.lists(st.sampled_from(list(values)), min_size=total, max_size=total)))
    start = data.draw(st.integers(0, total - 1))
    end = data.draw(st.integers(start + 1, total))
    payload = InputPacker(x, shape).pack(start, end)
    if payload is not None:
        assert unpacked(payload, x[:start]) == x[start:end]


def test_a_smooth_map_gets_shorter_and_noise_stays_as_it_is():
    x = smooth_map(160, 40)
    packer = InputPacker(x.tobytes(), (1, 160, 40, 1))
    assert sum(len(packer.pack(at, at + 400)) for at in range(0, 6400, 400)) < 0.7 * 6400
    noise = np.random.default_rng(1).integers(-128, 128, 6400, np.int8)
    assert InputPacker(noise.tobytes(), (1, 160, 40, 1)).pack(0, 508) is None


@pytest.mark.parametrize(
    "values", [[7], [7, 9], [0] * 33, [-128, 127] * 40, list(range(-128, 128)) * 3], ids=len
)
def test_a_packed_piece_is_shorter_than_an_input(values):
    x = np.array(values, np.int8).tobytes()
    payload = InputPacker(x, (1, len(x))).pack(0, len(x))
    assert payload is None or len(payload) < LAYOUTS["INPUT"].bytes + len(x)


def test_a_constant_block_takes_a_bit_for_each_value():
    payload = InputPacker(bytes(320), (1, 320)).pack(0, 320)
    assert len(payload) == LAYOUTS["INPUT_PACKED"].bytes + (320 + 10 * 3 + 7) // 8


@pytest.mark.parametrize(
    ("shape", "left", "above"),
    [
        ((1, 490), 1, 1),
        ((1, 49, 10), 1, 10),
        ((1, 49, 10, 1), 1, 10),
        ((1, 32, 32, 3), 3, 96),
        ((490,), 1, 1),
        ((1, 2, 2, 300), 1, 1),
        ((1, 2, 70000), 1, 1),
        ((1, 2, 70000, 1), 1, 1),
    ],
)
def test_the_neighbours_are_those_of_the_shape(shape, left, above):
    assert neighbours(shape) == (left, above)


def test_a_piece_of_more_values_than_the_message_can_say_is_not_packed():
    assert InputPacker(bytes(70000), (1, 70000)).pack(0, 65536) is None
    assert InputPacker(bytes(70000), (1, 70000)).pack(0, 65535) is not None
