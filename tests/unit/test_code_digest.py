# SPDX-License-Identifier: Apache-2.0
"""The hash of our own code that kept results go by."""

import re
from pathlib import Path

import pytest

import mcu_ser
from mcu_ser.code_digest import STUDY_CODE, TRAINING_CODE, code_digest

ROOT = Path(mcu_ser.__file__).parent
# Used by what trains and chooses, and without a say in what it comes to: the resolved recipe is hashed as
# such, the others name, check, move and show.
WITHOUT_A_SAY = {
    *("artifacts", "board", "claims", "code_digest", "errors", "npz_arrays", "programs", "progress"),
    *("provenance", "recipe", "study/directory", "study/study"),
}


def files_of(names) -> list[Path]:
    return [path for name in names for path in [*ROOT.glob(f"{name}.py"), *(ROOT / name).rglob("*.py")]]


def used_by(files) -> set[str]:
    """Packages and modules of this project that files import; of mcu_ser.study, which of its modules."""
    names = set()
    for path in files:
        for package, module in re.findall(
            r"from mcu_ser(?:\.| import )(\w+)(?:(?:\.| import )(\w+))?", path.read_text(encoding="utf-8")
        ):
            names.add(f"study/{module}" if package == "study" else package)
    return names - {"__version__"}  # the hash begins with it


@pytest.mark.parametrize("code", [TRAINING_CODE, STUDY_CODE])
def test_everything_that_decides_a_result_is_in_its_hash(code) -> None:
    files = files_of(code)
    assert len(files) > 50
    # A training is not decided by what a study or an engine makes of it.
    assert used_by(files) - WITHOUT_A_SAY - (set(STUDY_CODE) - set(code)) <= set(code)


def test_no_code_is_in_the_hash_that_a_study_does_not_use() -> None:
    assert all(files_of([name]) for name in STUDY_CODE)
    assert set(STUDY_CODE) - {"study/compute"} <= used_by(files_of(STUDY_CODE))


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
