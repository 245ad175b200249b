# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.errors import SamplesError
from mcu_ser.features.clip_set import EXPECTED, ClipSet

CLIPS = (np.array([1, -2, 32767], np.int16), np.array([-32768], np.int16))
ARRAYS = {"pcm": np.concatenate(CLIPS), "lengths": np.array([3, 1]), "sample_rate_hz": np.array(16000)}


@given(st.lists(st.lists(st.integers(-32768, 32767), min_size=1, max_size=9), min_size=1, max_size=5))
def test_what_is_saved_is_loaded(tmp_path_factory, values) -> None:
    path = tmp_path_factory.mktemp("clips") / "audio.npz"
    clips = tuple(np.array(one, np.int16) for one in values)
    y = np.arange(len(clips)) % 2
    ids = tuple(f"clip {number}" for number in range(len(clips)))
    ClipSet(clips, y, ("calm", "anger"), ids).save(path)
    loaded = ClipSet.load(path, 2)
    assert [one.tolist() for one in loaded.clips] == values
    assert loaded.y.tolist() == y.tolist()
    assert (loaded.labels, loaded.ids) == (("calm", "anger"), ids)
    before = path.read_bytes()
    loaded.save(path)
    assert path.read_bytes() == before


def test_classes_and_names_may_be_absent(tmp_path) -> None:
    ClipSet(CLIPS, None, None, None).save(tmp_path / "audio.npz")
    loaded = ClipSet.load(tmp_path / "audio.npz", 2)
    assert (loaded.y, loaded.labels, loaded.ids) == (None, None, None)


BAD = {
    "no samples": ({"pcm": None}, "holds lengths, sample_rate_hz, not pcm"),
    "no lengths": ({"lengths": None}, "holds pcm, sample_rate_hz, not lengths"),
    "no rate": ({"sample_rate_hz": None}, "holds lengths, pcm, not sample_rate_hz"),
    "another rate": ({"sample_rate_hz": np.array(44100)}, "has sample_rate_hz 44100, limit 16000"),
    "two rates": ({"sample_rate_hz": np.array([16000, 16000])}, r"has sample_rate_hz \[16000, 16000\]"),
    "floats": ({"pcm": np.zeros(4, np.float32)}, r"pcm is float32 of shape \(4,\), not int16"),
    "two channels": ({"pcm": np.zeros((2, 2), np.int16)}, r"pcm is int16 of shape \(2, 2\)"),
    "no clip": ({"lengths": np.zeros(0, np.int64)}, r"lengths is int64 of shape \(0,\), not integers"),
    "lengths of floats": ({"lengths": np.array([3.0, 1.0])}, "lengths is float64"),
    "an empty clip": ({"lengths": np.array([4, 0])}, "has a clip of 0 samples, limit 1 to 4294967294"),
    "a negative clip": ({"lengths": np.array([5, -1])}, "has a clip of -1 samples"),
    "too few samples": ({"lengths": np.array([3, 2])}, "lengths add up to 5 samples, pcm has 4"),
    "lengths that overflow": (
        {"lengths": np.array([2**63, 2**63, 4], np.uint64)},
        "has a clip of 9223372036854775808 samples",
    ),
    "a class too many": ({"y": np.array([0, 2])}, "y holds class 0..2, limit 0..1"),
    "classes of one clip": ({"y": np.array([0])}, r"y is int64 of shape \(1,\)"),
    "names of one clip": ({"ids": np.array(["a"])}, r"ids has shape \(1,\), not \(2,\)"),
    "names of three classes": ({"labels": np.array(["a", "b", "c"])}, r"labels has shape \(3,\)"),
}


@pytest.mark.parametrize("bad", BAD)
def test_what_cannot_be_is_named(bad, tmp_path) -> None:
    changes, problem = BAD[bad]
    arrays = {name: array for name, array in (ARRAYS | changes).items() if array is not None}
    np.savez(tmp_path / "audio.npz", **arrays)
    with pytest.raises(SamplesError, match=rf"audio\.npz: {problem}"):
        ClipSet.load(tmp_path / "audio.npz", 2)


def test_what_is_no_npz_is_named(tmp_path) -> None:
    (tmp_path / "audio.npz").write_bytes(b"RIFF")
    with pytest.raises(SamplesError, match=r"audio\.npz: is not an \.npz of plain arrays") as caught:
        ClipSet.load(tmp_path / "audio.npz", 2)
    assert caught.value.hint == EXPECTED
    with pytest.raises(SamplesError, match=r"none\.npz: is not a file"):
        ClipSet.load(tmp_path / "none.npz", 2)
