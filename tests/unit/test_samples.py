# SPDX-License-Identifier: Apache-2.0
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest

from mcu_ser.errors import SamplesError
from mcu_ser.verify.samples import load_samples, random_samples

SPEC = SimpleNamespace(shape=(1, 4, 3, 1), scale=0.5, zero_point=-1, dtype="INT8")


@pytest.fixture
def saved(tmp_path):
    def save(**arrays):
        path = tmp_path / "samples.npz"
        np.savez(path, **arrays)
        return path

    return save


@pytest.mark.parametrize("shape", [(5, 4, 3, 1), (5, 12)])
def test_int8_is_taken_as_it_is(saved, shape):
    x = np.arange(60, dtype=np.int8).reshape(shape)
    samples = load_samples(saved(x=x), SPEC, classes=2)
    assert samples.x.dtype == np.int8
    assert np.array_equal(samples.x, x.reshape(5, 12))
    assert samples.y is None
    assert samples.ids == tuple(f"sample-{index}" for index in range(5))


def test_floats_are_quantized_with_the_models_scale(saved):
    x = np.full((2, 12), 1.0, dtype=np.float32)
    x[1] = 1000.0
    samples = load_samples(saved(x=x), SPEC, classes=2)
    assert samples.x.tolist() == [[1] * 12, [127] * 12]


def test_labels_and_ids_are_read(saved):
    path = saved(x=np.zeros((2, 12), np.int8), y=[1, 0], labels=["calm", "anger"], ids=["a", "b"])
    samples = load_samples(path, SPEC, classes=2)
    assert samples.y.tolist() == [1, 0]
    assert samples.labels == ("calm", "anger")
    assert samples.ids == ("a", "b")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"z": np.zeros(3)}, r"holds \['z'\], not x"),
        ({"x": np.zeros((5, 11), np.int8)}, r"x has shape \(5, 11\), the model takes \(n, 4, 3, 1\)"),
        ({"x": np.zeros((5, 3, 4, 1), np.int8)}, r"x has shape \(5, 3, 4, 1\)"),
        ({"x": np.zeros((0, 12), np.int8)}, "holds no sample"),
        ({"x": np.int8(3)}, r"x has shape \(\)"),
        ({"x": np.zeros((5, 12), np.int16)}, "x has dtype int16"),
        ({"x": np.zeros((5, 12), np.uint8)}, "x has dtype uint8"),
        ({"x": np.full((5, 12), np.nan)}, "NaN"),
        ({"x": np.zeros((2, 12), np.int8), "y": [0, 2]}, "y holds class 0..2, limit 0..1"),
        ({"x": np.zeros((2, 12), np.int8), "y": [0]}, r"y is int64 of shape \(1,\)"),
        ({"x": np.zeros((2, 12), np.int8), "y": [0.0, 1.0]}, "y is float64"),
        ({"x": np.zeros((2, 12), np.int8), "labels": ["calm"]}, r"labels has shape \(1,\), not \(2,\)"),
        ({"x": np.array([object()])}, "plain arrays"),
        ({"x": np.array(["1", "2"])}, "x has shape"),
    ],
)
def test_content_that_does_not_fit_is_refused(saved, arrays, message):
    with pytest.raises(SamplesError, match=message) as error:
        load_samples(saved(**arrays), SPEC, classes=2)
    assert error.value.exit_code == 2


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 cut off", b"text"])
def test_files_that_are_no_npz_are_refused(tmp_path, content):
    path = tmp_path / "samples.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SamplesError, match="is not a"):
        load_samples(path, SPEC, classes=2)


def test_a_single_array_is_refused(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.zeros((5, 12), np.int8))
    with pytest.raises(SamplesError, match=r"single \.npy array"):
        load_samples(path, SPEC, classes=2)


def zip_file(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


HUGE = b"{'descr': '|i1', 'fortran_order': False, 'shape': (9223372036854775807, 4), }"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x", b"no array"),
        ("x.npy", b""),
        ("x.npy", b"\x93NUMPY\x01\x00\x10\x00{'descr': (((  \n"),
        ("x.npy", b"\x93NUMPY\x01\x00\x60\x00" + HUGE.ljust(95) + b"\n"),
    ],
    ids=["no array", "empty", "broken header", "huge"],
)
def test_damaged_members_are_refused(tmp_path, name, content):
    path = tmp_path / "samples.npz"
    zip_file(path, {name: content})
    with pytest.raises(SamplesError, match=r"is not an"):
        load_samples(path, SPEC, classes=2)


def test_random_samples_that_cannot_be():
    with pytest.raises(SamplesError, match="do not fit the memory"):
        random_samples(10**15, 1, SPEC)
    with pytest.raises(SamplesError, match="--seed: -1, limit at least 0"):
        random_samples(1, -1, SPEC)


def test_random_samples_depend_on_the_seed_alone():
    first, again, other = (random_samples(3, seed, SPEC) for seed in (7, 7, 8))
    assert first.x.shape == (3, 12)
    assert np.array_equal(first.x, again.x)
    assert not np.array_equal(first.x, other.x)
    with pytest.raises(SamplesError, match="0 samples, limit at least 1"):
        random_samples(0, 1, SPEC)


def test_samples_of_16_bits_are_their_bytes(saved):
    spec = SimpleNamespace(shape=(1, 2), scale=2.0**-13, zero_point=0, dtype="INT16")
    x = np.array([[1.0, -9.0]], np.float32)
    rows = load_samples(saved(x=x), spec, classes=2).x
    assert (rows.dtype, rows.tolist()) == (np.int8, [[0, 32, 0, -128]])
    assert load_samples(saved(x=rows.view("<i2")), spec, classes=2).x.tolist() == rows.tolist()
    with pytest.raises(
        SamplesError, match="x has dtype int8, the model takes int16 tensors or float features"
    ):
        load_samples(saved(x=np.zeros((1, 2), np.int8)), spec, classes=2)
    assert np.abs(random_samples(50, 1, spec).x.view("<i2")).max() > 30_000
