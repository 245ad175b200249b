# SPDX-License-Identifier: Apache-2.0
import json
import re

import pytest

from mcu_ser.errors import ConfigError
from mcu_ser.recipe import load_recipe, parse_recipe, save_recipe
from mcu_ser.study.directory import StudyDir
from mcu_ser.study.grid import Candidate, Job
from mcu_ser.study.results import best_candidate, read_cell
from mcu_ser.study.study import GridCell

RECIPE = load_recipe("synthetic")


def job(key, candidates=()) -> Job:
    place = GridCell("ds_cnn 16", "nsl", 0, 1)
    return Job(key, "cell", place, RECIPE, tuple(Candidate({"neighbours": 3}, one) for one in candidates))


@pytest.fixture
def study(tmp_path) -> StudyDir:
    return StudyDir(tmp_path / "study")


def finish(study, key, **document) -> None:
    with study.publish(key) as place:
        (place / "cell.json").write_text(json.dumps(document))


def test_a_study_is_opened_again_with_the_same_recipe(study) -> None:
    study.open(RECIPE)
    finish(study, "a")
    study.open(RECIPE)
    assert load_recipe(study.recipe) == RECIPE


def test_another_recipe_is_refused_with_its_first_difference(study) -> None:
    study.open(RECIPE)
    other = RECIPE.model_copy(update={"seed": 2})
    with pytest.raises(
        ConfigError,
        match=re.escape(
            f"{study.root}: holds the study of another recipe (seed is 1 there, 2 here); try: another --out"
        ),
    ):
        study.open(other)


def test_a_grid_may_grow(study) -> None:
    study.open(RECIPE)
    finish(study, "a")
    more = parse_recipe(
        'name = "more"\nbase = "synthetic"\n[[study.rows]]\nseeds = [1, 2, 3, 4]\n', "more.toml"
    )
    study.open(more)
    assert study.is_done("a")
    assert load_recipe(study.recipe) == more
    study.open(RECIPE)
    assert load_recipe(study.recipe) == RECIPE


def test_a_recipe_that_says_the_same_otherwise_is_the_same(study, tmp_path) -> None:
    study.open(RECIPE)
    save_recipe(RECIPE, tmp_path / "resolved.toml")
    study.open(parse_recipe((tmp_path / "resolved.toml").read_text(), "resolved.toml"))


def test_something_else_is_not_written_into(study) -> None:
    study.root.mkdir()
    (study.root / "photos").mkdir()
    with pytest.raises(ConfigError, match=r"study: is not empty and has no study\.toml; try: another --out"):
        study.open(RECIPE)
    assert [path.name for path in study.root.iterdir()] == ["photos"]


def test_a_study_that_another_call_is_starting_is_joined(study) -> None:
    study.root.mkdir()
    (study.root / ".study-abc.toml").touch()
    study.open(RECIPE)


def test_a_file_is_no_directory(study) -> None:
    study.root.write_text("")
    with pytest.raises(ConfigError, match="study: is not a directory; try: another --out"):
        study.open(RECIPE)


def test_a_damaged_recipe_is_named(study) -> None:
    study.root.mkdir()
    study.recipe.write_text("= no TOML")
    with pytest.raises(ConfigError, match=r"study\.toml: is not TOML"):
        study.open(RECIPE)


def test_the_first_result_stays(study) -> None:
    finish(study, "a", validation_uar=0.1)
    finish(study, "a", validation_uar=0.2)
    assert json.loads((study.cell("a") / "cell.json").read_text()) == {"validation_uar": 0.1}
    assert [path.name for path in study.cell("a").parent.iterdir()] == ["a"]


def test_half_a_result_is_none(study) -> None:
    with pytest.raises(RuntimeError), study.publish("a") as place:
        (place / "cell.json").write_text("{}")
        raise RuntimeError
    assert not study.is_done("a")
    assert list(study.cell("a").parent.iterdir()) == []


def test_a_job_is_ready_when_what_it_waits_for_is_done(study) -> None:
    jobs = [job("a"), job("b"), job("c", ["a"]), job("d", ["a", "b"]), job("e", ["b"])]

    def state():
        state = study.state(jobs)
        return {name: "".join(one.key for one in getattr(state, name)) for name in vars(state)}

    assert state() == {"done": "", "failed": "", "blocked": "", "ready": "ab", "waiting": "cde"}
    finish(study, "a")
    assert state() == {"done": "a", "failed": "", "blocked": "", "ready": "bc", "waiting": "de"}
    study.record_failure(jobs[1], "no luck")
    assert state() == {"done": "a", "failed": "b", "blocked": "de", "ready": "c", "waiting": ""}
    assert not study.state(jobs).is_over
    finish(study, "c")
    assert study.state(jobs).is_over
    study.forget_failures(jobs)
    assert state() == {"done": "ac", "failed": "", "blocked": "", "ready": "b", "waiting": "de"}


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_a_damaged_result_says_what_to_remove(study, text) -> None:
    with study.publish("a") as place:
        (place / "cell.json").write_text(text)
    hint = f"try: remove {study.cell('a')}"
    with pytest.raises(ConfigError, match=re.escape(hint)):
        read_cell(study, job("a"))
    with pytest.raises(ConfigError, match=re.escape(hint)):
        best_candidate(study, job("b", ["a"]))


def test_a_result_without_predictions_says_what_to_remove(study) -> None:
    finish(study, "a")
    with pytest.raises(ConfigError, match=r"predictions\.npz: cannot be read .*; try: remove .*cells/a"):
        read_cell(study, job("a"))
