# SPDX-License-Identifier: Apache-2.0
"""tools/ablate_recipe.py: what it leaves out, on whom it is scored, and its table."""

from pathlib import Path

import pytest

from mcu_ser.artifacts import sha256_hex
from mcu_ser.recipe import load_recipe, parse_recipe
from mcu_ser.study import crew
from mcu_ser.study.directory import StudyDir
from mcu_ser.study.prepare import prepare
from tests.unit.study.test_crew import RECIPE, WORKER
from tools.ablate_recipe import AS_IT_IS, ablate, trials, without


def test_each_part_of_the_shipped_recipe_is_left_out_of_both_trainings() -> None:
    recipe = load_recipe("ravdess-emodb")
    parts = without(recipe)
    assert parts.pop(AS_IT_IS) == recipe
    for name, one in parts.items():
        assert one != recipe
        if name in {"transfer", "graph"}:
            assert one.training == recipe.training
        else:
            assert one.training.fit != recipe.training.fit
            assert one.transfer.fit != recipe.transfer.fit
        assert (one.pruning, one.model, one.features) == (recipe.pruning, recipe.model, recipe.features)
    assert parts["speeds"].training.fit.augmentation.speeds == ()
    assert parts["transfer"].transfer.method == "none"
    assert parts["graph"].graph.multiplier == 0
    # What the recipe has not cannot be left out.
    plain = without(parse_recipe(RECIPE, "toy.toml"))
    assert set(plain) == {AS_IT_IS, "graph", "balanced classes", "label smoothing", "masks"}


def test_the_test_speakers_of_a_fold_are_not_read() -> None:
    recipe = parse_recipe(RECIPE, "toy.toml")
    prepared = prepare(recipe, None)
    jobs = trials(recipe, prepared, [1, 2])
    assert len(jobs) == 2 * 3
    for job, fold in zip(jobs, prepared.folds * 2, strict=True):
        target = job.recipe.corpora.target
        assert target.test_speakers == fold.validation
        assert set(fold.test) <= set(target.left_out_speakers)


def test_the_table_compares_the_same_folds_and_the_call_goes_on_where_it_stopped(
    tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    monkeypatch.setattr(crew, "WORKER", WORKER)
    recipe = parse_recipe(RECIPE, "toy.toml")
    # What a candidate is worth is made up from its name.
    monkeypatch.setenv("MCU_SER_TEST_UAR_BY_KEY", "1")
    tables = []
    for _ in range(2):
        ablate(recipe, None, tmp_path / "ablation", [1], 2)
        tables.append(capsys.readouterr().out)
    assert tables[0] == tables[1]
    head, *_, masks = tables[0].splitlines()
    prepared, every = prepare(recipe, None), without(recipe)

    def uar(job) -> float:
        return int(sha256_hex(job.key.encode())[:4], 16) / 0x10000

    whole, less = ([uar(job) for job in trials(every[name], prepared, [1])] for name in (AS_IT_IS, "masks"))
    assert head == f"validation UAR, mean of 3 trainings: {sum(whole) / 3:.3f}"
    gains = [100 * (a - b) for a, b in zip(whole, less, strict=True)]
    assert masks.startswith(f"| masks | {sum(less) / 3:.3f} | {sum(gains) / 3:+.1f} ± ")
    assert masks.endswith(f" | {sum(gain > 0 for gain in gains)} of 3 |")
    runs = list((tmp_path / "ablation" / "log").glob("*/*"))
    assert len(runs) == 3 * len(every)


def test_a_training_that_fails_leaves_no_table(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    monkeypatch.setenv("MCU_SER_TEST_FAIL", "fold 2")
    monkeypatch.setattr(crew, "WORKER", WORKER)
    with pytest.raises(SystemExit, match="5 trainings failed"):
        ablate(parse_recipe(RECIPE, "toy.toml"), None, tmp_path / "ablation", [1], 2)
    assert "UAR" not in capsys.readouterr().out
    assert StudyDir(tmp_path / "ablation").recipe.exists()
