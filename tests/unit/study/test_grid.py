# SPDX-License-Identifier: Apache-2.0
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.errors import ConfigError
from mcu_ser.recipe import GraphRecipe, parse_recipe
from mcu_ser.recipe.study import APPROACHES, ChoicesRecipe
from mcu_ser.study.grid import make_jobs, model_name
from mcu_ser.study.prepare import prepare
from mcu_ser.study.study import GridCell, StudyFold

BASE = """
name = "toy"
[corpora.source]
reader = "synthetic"
language = "source"
[corpora.target]
reader = "synthetic"
language = "target"
left_out_speakers = ["t08"]
"""
FOLDS = (
    StudyFold(("t05", "t06"), ("t03", "t04"), ("t01", "t02")),
    StudyFold(("t01", "t02"), ("t05", "t06"), ("t03", "t04")),
    StudyFold(("t03", "t04"), ("t01", "t02"), ("t05", "t06")),
)
INPUTS = {"source": "1", "target": "2"}


def jobs_of(text, folds=FOLDS, inputs=INPUTS):
    return make_jobs(parse_recipe(BASE + text, "toy.toml"), folds, inputs)


def row(approaches=APPROACHES, seeds=(1, 2)):
    return f"[[study.rows]]\napproaches = {list(approaches)}\nseeds = {list(seeds)}\n"


CHOICES = "[study.choices]\nneighbours = [3, 6]\nmultiplier = [0.1, 0.5, 1.0]\n"


def test_the_grid_is_every_approach_seed_and_fold_of_every_row() -> None:
    grid, jobs = jobs_of(
        row() + '[[study.rows]]\nmodel = {family = "cnn6", width = 0.25}\napproaches = ["nsl"]\nseeds = [7]\n'
    )
    assert len(grid) == len(set(grid)) == 5 * 2 * 3 + 3
    assert {job.place for job in jobs} == set(grid)
    assert [job.kind for job in jobs] == ["cell"] * len(grid)
    assert grid[:4] == (
        *(GridCell("ds_cnn 16", "speech_only", fold, 1) for fold in range(3)),
        GridCell("ds_cnn 16", "speech_only", 0, 2),
    )
    assert grid[-1] == GridCell("cnn6 0.25", "nsl", 2, 7)


def test_an_approach_is_a_transfer_and_a_graph_or_none() -> None:
    _, jobs = jobs_of("[graph]\nmultiplier = 0.3\n" + row(seeds=(4,)), FOLDS[:1])
    what = {job.place.approach: (job.recipe.transfer.method, job.recipe.graph.multiplier) for job in jobs}
    assert what == {
        "speech_only": ("none", 0),
        "fine_tuning": ("fine_tuning", 0),
        "frozen_features": ("frozen_features", 0),
        "nsl": ("none", 0.3),
        "nsl_fine_tuning": ("fine_tuning", 0.3),
    }
    assert {job.recipe.seed for job in jobs} == {4}


def test_approaches_differ_in_nothing_else() -> None:
    _, jobs = jobs_of(row(seeds=(4,)), FOLDS[:1])
    rest = {job.recipe.model_dump_json(exclude={"transfer": {"method"}, "graph": True}) for job in jobs}
    assert len(rest) == 1


def test_what_chooses_never_hears_the_test_speakers() -> None:
    _, jobs = jobs_of(CHOICES + row())
    choosing = [job for job in jobs if job.kind == "choice"]
    assert len(choosing) == 6 * 2 * 3  # for two approaches and three folds, whatever the number of seeds
    for job in choosing:
        target, fold = job.recipe.corpora.target, FOLDS[job.place.fold]
        assert target.left_out_speakers == (*fold.test, "t08")
        assert target.test_speakers == fold.validation
        assert target.validation_speakers == ()
        assert job.recipe.seed == 1


def test_a_cell_trains_on_everyone_but_the_test_speakers() -> None:
    _, jobs = jobs_of(CHOICES + row())
    for job in jobs:
        if job.kind == "cell":
            target = job.recipe.corpora.target
            assert target.test_speakers == FOLDS[job.place.fold].test
            assert target.validation_speakers == ()
            assert target.left_out_speakers == ("t08",)


def test_every_seed_of_a_fold_waits_for_the_same_choice_and_comes_after_it() -> None:
    _, jobs = jobs_of(CHOICES + row())
    places = {job.key: index for index, job in enumerate(jobs)}
    waiting = [job for job in jobs if job.candidates]
    assert {job.place.approach for job in waiting} == {"nsl", "nsl_fine_tuning"}
    for job in waiting:
        assert [dict(one.chosen) for one in job.candidates] == [
            {"neighbours": n, "multiplier": m} for n in (3, 6) for m in (0.1, 0.5, 1.0)
        ]
        assert all(places[one.key] < places[job.key] for one in job.candidates)
        tried = [jobs[places[one.key]] for one in job.candidates]
        assert {(one.place.approach, one.place.fold) for one in tried} == {
            (job.place.approach, job.place.fold)
        }
        assert [one.recipe.graph.neighbours for one in tried] == [3, 3, 3, 6, 6, 6]


def test_a_row_without_a_model_has_that_of_the_recipe() -> None:
    table = '[model]\nfamily = "residual_cnn"\nwidth = 2.0\n'
    grid, jobs = jobs_of(table + row(["nsl"], [1]), FOLDS[:1])
    assert [one.model for one in grid] == ["residual_cnn 2"]
    assert {job.recipe.model.family for job in jobs} == {"residual_cnn"}
    twice = table + row() + '[[study.rows]]\nmodel = {family = "residual_cnn", width = 2.0}\n'
    with pytest.raises(ConfigError, match=r"study\.rows: two rows have the model residual_cnn 2;"):
        jobs_of(twice)


def test_a_candidate_takes_the_place_of_what_stands_for_it() -> None:
    quantile = "[graph]\nsimilarity_quantile = 0.9\n"
    _, jobs = jobs_of(quantile + "[study.choices]\nsimilarity_threshold = [0.2, 0.5]\n" + row(["nsl"], [1]))
    tried = [job.recipe.graph for job in jobs if job.kind == "choice"]
    assert [(one.similarity_threshold, one.similarity_quantile) for one in tried] == [
        (0.2, None),
        (0.5, None),
    ] * 3


def test_what_only_a_graph_depends_on_is_in_the_keys_of_graphs_alone() -> None:
    def keys(version):
        inputs = {**INPUTS, "graph": {"faiss": version}}
        return {job.place.approach: job.key for job in jobs_of(row(seeds=(1,)), FOLDS[:1], inputs)[1]}

    before, after = keys("1"), keys("2")
    assert {name for name in before if before[name] != after[name]} == {"nsl", "nsl_fine_tuning"}


def test_a_study_whose_source_has_the_recordings_that_a_fold_holds_out_is_refused() -> None:
    same = BASE.replace('language = "source"', 'language = "target"')
    folds = '[study.folds]\nprotocol = "leave_one_speaker_out"\n'
    with pytest.raises(ConfigError, match=r"of speaker t01 is \S+, which corpora\.target holds"):
        prepare(parse_recipe(same + row() + folds, "toy.toml"), None)
    assert prepare(parse_recipe(same + row(["speech_only"]) + folds, "toy.toml"), None).jobs


def test_one_candidate_is_no_choice() -> None:
    _, jobs = jobs_of("[study.choices]\nneighbours = [9]\n" + row(["nsl"]))
    assert {(job.kind, job.recipe.graph.neighbours) for job in jobs} == {("cell", 9)}


@given(
    st.lists(st.sampled_from(APPROACHES), min_size=1, unique=True),
    st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True),
    st.booleans(),
)
def test_keys_name_jobs(approaches, seeds, choose) -> None:
    text = (CHOICES if choose else "") + row(approaches, seeds)
    grid, jobs = jobs_of(text)
    assert len({job.key for job in jobs}) == len(jobs)
    assert jobs_of(text) == (grid, jobs)
    others = jobs_of(text, inputs={**INPUTS, "target": "3"})[1]
    assert not {job.key for job in jobs} & {job.key for job in others}


def test_a_key_depends_on_what_decides_the_result_alone() -> None:
    def key(text):
        return jobs_of(text + row(["speech_only"], [1]), FOLDS[:1])[1][0].key

    assert key("") == key("[graph]\nneighbours = 5\n") == key(CHOICES)
    assert key("") != key("[training.fit]\nepochs = 2\nlearning_rate = 1e-3\n")
    _, [few] = jobs_of("[study.choices]\nneighbours = [3]\n" + row(["nsl"], [1]), FOLDS[:1])
    _, *_, many = jobs_of(CHOICES + row(["nsl"], [1]), FOLDS[:1])[1]
    assert few.key != many.key  # what it chooses from decides what it is


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[graph]\nmultiplier = 0\n" + row(), "recipe study: compares an approach whose graph has the multi"),
        (
            "[study.choices]\nmultiplier = [0.0, 0.1]\n" + row(),
            "whose graph has the multiplier 0; try: graph",
        ),
        (
            "[study.choices]\nneighbours = [3, 99]\n" + row(),
            "recipe study.choices.neighbours: 99: Input should be less than or equal to 16",
        ),
    ],
)
def test_a_graph_that_cannot_be_is_refused_before_anything_trains(text, problem) -> None:
    with pytest.raises(ConfigError, match=re.escape(problem)):
        jobs_of(text)


def test_without_an_approach_that_has_a_graph_its_values_do_not_matter() -> None:
    assert jobs_of("[graph]\nmultiplier = 0\n" + row(["speech_only"], [1]))[1]


def test_a_choice_needs_someone_to_judge() -> None:
    fold = StudyFold(("t01", "t02"), (), ("t03",))
    with pytest.raises(ConfigError, match=r"study.choices: has candidates, but no speakers validate them"):
        jobs_of(CHOICES + row(), (fold,))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (row(seeds=(1, 1)), "1 is in the list twice"),
        (row(approaches=("nsl", "nsl")), "'nsl' is in the list twice"),
        (row() + row(), "two rows have the same model"),
        ('[study]\nfolds = {protocol = "speaker_groups", groups = [["a"], ["b"]]}', "study.folds.groups = "),
        (
            "[study.choices]\nsimilarity_threshold = [0.5]\nsimilarity_quantile = [0.9]",
            "similarity_threshold and similarity_quantile stand for each other",
        ),
        ("[study.choices]\nneighbors = [3]", "unknown key study.choices.neighbors"),
    ],
)
def test_a_study_table_says_what_is_wrong(text, problem) -> None:
    with pytest.raises(ConfigError, match=re.escape(problem)):
        parse_recipe(BASE + text, "toy.toml")


@pytest.mark.parametrize(
    ("table", "name"),
    [
        ("", "ds_cnn 16"),
        ('[model]\nfamily = "ds_cnn"\nwidth = 24\nblocks = 3', "ds_cnn 24 blocks=3"),
        ('[model]\nfamily = "mobilenet15"\nwidth = 0.25', "mobilenet15 0.25"),
    ],
)
def test_a_model_is_named_by_family_size_and_what_is_unusual(table, name) -> None:
    assert model_name(parse_recipe(BASE + table, "toy.toml").model) == name


def test_candidates_are_of_keys_that_the_graph_has() -> None:
    assert set(ChoicesRecipe.model_fields) <= set(GraphRecipe.model_fields)
