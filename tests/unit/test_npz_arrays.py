# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import numpy as np
import pytest

from mcu_ser.errors import SamplesError
from mcu_ser.npz_arrays import read_arrays, strings


def named(path, ids):
    np.savez(path, ids=ids)
    return strings(path, read_arrays(path, "names"), "ids", len(ids))


def test_bytes_are_text_in_utf_8(tmp_path):
    ids = np.array(["a", "ärger", "b c"])
    assert named(tmp_path / "s.npz", np.char.encode(ids, "utf-8")) == ("a", "ärger", "b c")
    assert named(tmp_path / "s.npz", ids) == ("a", "ärger", "b c")
    assert named(tmp_path / "s.npz", np.array([3, 14])) == ("3", "14")


@pytest.mark.parametrize(
    "ids",
    [
        np.array([b"a", b"\xe4rger"]),
        np.array(["a", "\udce4rger"]),
        np.array([0x61, 0x110000], "<u4").view("<U1"),
    ],
    ids=["Latin-1", "surrogate", "no character"],
)
def test_names_that_no_report_can_hold_are_refused(tmp_path, ids):
    with pytest.raises(SamplesError, match=r"s\.npz: ids has at index 1 what is not UTF-8 text$"):
        named(tmp_path / "s.npz", ids)


def test_a_file_that_may_not_be_read_says_so(tmp_path, monkeypatch):
    def refusing(path, *args):
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "s.npz"
    np.savez(path, x=np.zeros(3))
    monkeypatch.setattr(Path, "open", refusing)
    with pytest.raises(SamplesError, match=r"cannot be read \(Permission denied\); try: read permission"):
        read_arrays(path, "samples")
