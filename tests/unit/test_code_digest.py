# SPDX-License-Identifier: Apache-2.0
"""The hash of our own code that kept results go by."""

import re
from pathlib import Path

import mcu_ser
from mcu_ser.code_digest import STUDY_CODE, TRAINING_CODE, code_digest

ROOT = Path(mcu_ser.__file__).parent
# Used by what trains, and without a say in what it comes to: the resolved recipe is hashed as such, the
# others name, check, move and show.
WITHOUT_A_SAY = {
    *("artifacts", "code_digest", "errors", "npz_arrays", "programs", "progress", "provenance", "recipe")
}


def test_everything_that_decides_a_study_is_in_its_hash() -> None:
    files = [path for name in TRAINING_CODE for path in (ROOT / name).rglob("*.py")]
    assert len(files) > 50
    used = {
        name for path in files for name in re.findall(r"from mcu_ser(?:\.| import )(\w+)", path.read_text())
    }
    assert used - WITHOUT_A_SAY <= set(STUDY_CODE)
    assert set(STUDY_CODE) <= used, "a name that nothing uses"


def test_the_hash_follows_packages_and_modules(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(mcu_ser, "__file__", str(tmp_path / "__init__.py"))
    (tmp_path / "train" / "models").mkdir(parents=True)
    files = [tmp_path / "train" / "fit.py", tmp_path / "train" / "models" / "one.py", tmp_path / "metrics.py"]
    for path in [*files, tmp_path / "other.py"]:
        path.write_text("a = 1\n")

    def digest() -> str:
        code_digest.cache_clear()
        return code_digest("train", "metrics")

    try:
        first = digest()
        for path in files:
            path.write_text("a = 2\n")
            assert digest() != first
            path.write_text("a = 1\n")
            assert digest() == first
        (tmp_path / "other.py").write_text("a = 2\n")
        assert digest() == first
    finally:
        code_digest.cache_clear()
