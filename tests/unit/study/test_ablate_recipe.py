# SPDX-License-Identifier: Apache-2.0
"""tools/ablate_recipe.py: what it leaves out, on whom it is scored, and its table."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mcu_ser.corpus.utterance import Corpus, Utterance
from mcu_ser.recipe import load_recipe, parse_recipe
from mcu_ser.study import crew
from mcu_ser.study.directory import StudyDir
from mcu_ser.study.prepare import prepare
from mcu_ser.study.results import METRICS
from mcu_ser.study.study import StudyFold
from mcu_ser.study.verdict import points
from tests.study_worker import made_up_confusion
from tests.unit.study.test_crew import RECIPE, WORKER
from tools.ablate_recipe import AS_IT_IS, ablate, class_places, counted, trials, without


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
    assert parts["speeds"].training.fit.augmentation.speeds == (1.0,)
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
    tables = []
    for _ in range(2):
        ablate(recipe, None, tmp_path / "ablation", [1, 2, 1], 2)
        tables.append(capsys.readouterr().out)
    assert tables[0] == tables[1]
    head, _, rule, *rows = tables[0].splitlines()
    prepared, every = prepare(recipe, None), without(recipe)

    def uar(name: str, seed: int) -> float:
        jobs = trials(every[name], prepared, [seed])
        pooled = sum(np.array(made_up_confusion(job.key)) for job in jobs)
        return float(np.mean(np.diag(pooled) / pooled.sum(axis=1)))

    whole = [uar(AS_IT_IS, seed) for seed in (1, 2)]
    assert head == f"validation UAR, pooled over folds, mean over seeds: {np.mean(whole):.3f}"
    assert [row.split("|")[1].strip() for row in rows] == [name for name in every if name != AS_IT_IS]
    less = [uar("masks", seed) for seed in (1, 2)]
    gains = [a - b for a, b in zip(whole, less, strict=True)]
    _, _, *cells, _ = (cell.strip() for cell in rows[-1].split("|"))
    assert cells[:2] == [f"{np.mean(less):.3f}", points(float(np.mean(gains)))]
    assert re.fullmatch(r"[+−]?[0-9.]+ to [+−]?[0-9.]+", cells[2])
    assert cells[3] == ", ".join(points(gain) for gain in gains)
    assert rule.count("|") == rows[-1].count("|")
    runs = list((tmp_path / "ablation" / "log").glob("*/*"))
    assert len(runs) == 2 * 3 * len(every)


def test_a_training_that_fails_leaves_no_table(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    monkeypatch.setenv("MCU_SER_TEST_FAIL", "fold 2")
    monkeypatch.setattr(crew, "WORKER", WORKER)
    with pytest.raises(SystemExit, match="5 trainings failed"):
        ablate(parse_recipe(RECIPE, "toy.toml"), None, tmp_path / "ablation", [1], 2)
    assert "UAR" not in capsys.readouterr().out
    assert StudyDir(tmp_path / "ablation").recipe.exists()


def test_a_recipe_without_a_graph_has_its_parts_too(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    monkeypatch.setattr(crew, "WORKER", WORKER)
    plain = parse_recipe(RECIPE + "[graph]\nmultiplier = 0.0\n", "toy.toml")
    ablate(plain, None, tmp_path / "ablation", [1], 2)
    assert "| balanced classes |" in capsys.readouterr().out


def test_decisions_are_counted_by_the_name_of_the_class() -> None:
    """Each of three speakers has an emotion that nobody else has."""
    pairs = [("a", "hate"), ("b", "joy"), ("c", "love"), *((one, "calm") for one in "abc")]
    corpus = Corpus("toy", tuple(Utterance(f"{s}-{e}", s, e, None) for s, e in pairs))
    folds = [StudyFold(("c",), ("b",), ("a",)), StudyFold(("a",), ("c",), ("b",))]
    prepared = SimpleNamespace(labels=corpus.emotions, folds=folds)
    assert corpus.emotions == ("calm", "hate", "joy", "love")
    # Without a: calm, joy, love. Without b: calm, hate, love.
    assert class_places(corpus, prepared) == [[0, 2, 3], [0, 1, 3]]


def test_folds_that_know_other_classes_are_pooled_class_by_class(tmp_path) -> None:
    study, jobs = StudyDir(tmp_path), []
    for index, confusion in enumerate(([[2, 0, 0], [0, 3, 1], [0, 0, 0]], [[1, 0, 0], [0, 0, 0], [0, 4, 1]])):
        job = SimpleNamespace(key=f"{index}" * 64, place=SimpleNamespace(seed=7))
        place = study.cell(job.key)
        place.mkdir(parents=True)
        (place / METRICS).write_text(json.dumps({"train": {"target": {"test": {"confusion": confusion}}}}))
        jobs.append(job)
    counts = counted(study, jobs, [[0, 2, 3], [0, 1, 3]])
    assert counts.seeds == (7,)
    assert counts.hits.tolist() == [[[2, 0, 3, 0], [1, 0, 0, 1]]]
    assert counts.support.tolist() == [[2, 0, 4, 0], [1, 0, 0, 5]]
