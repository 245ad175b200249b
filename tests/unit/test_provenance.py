# SPDX-License-Identifier: Apache-2.0
"""A run directory in which stages ran again or were interrupted."""

import re

import pytest

from mcu_ser.artifacts import RunDir, write_text
from mcu_ser.errors import ConfigError
from mcu_ser.provenance import recipe_tables, require_made_of_one_another
from mcu_ser.recipe import Recipe, load_recipe, parse_recipe, save_recipe

STAGES = ("train", "compress")
RECIPE = load_recipe("synthetic")


def train(run, content="first", recipe=RECIPE):
    save_recipe(recipe, run.recipe)
    for path in (run.target_features, run.float_model):
        write_text(path, content)
    run.record_stage(
        "train",
        seed=1,
        read=[],
        wrote=[run.recipe, run.target_features, run.float_model],
        versions={},
        facts={"recipe": recipe_tables("train", recipe)},
    )


def compress(run, content="first", recipe=RECIPE):
    write_text(run.pruned_model, content)
    run.record_stage(
        "compress",
        seed=1,
        read=[run.recipe, run.target_features, run.float_model],
        wrote=[run.pruned_model],
        versions={},
        facts={"recipe": recipe_tables("compress", recipe)},
    )


@pytest.fixture
def run(tmp_path):
    run = RunDir(tmp_path)
    train(run)
    compress(run)
    return run


def another(changes):
    return parse_recipe(f'name = "another"\nbase = "synthetic"\n{changes}\n', "another.toml")


def refused(run, problem, stages=STAGES, recipe=RECIPE):
    with pytest.raises(ConfigError, match=re.escape(problem)) as error:
        require_made_of_one_another(run, recipe, stages)
    return str(error.value)


def test_stages_in_their_order_belong_together(run) -> None:
    require_made_of_one_another(run, RECIPE, STAGES)
    train(run)  # the same again
    require_made_of_one_another(run, RECIPE, STAGES)


def test_a_stage_that_ran_again_leaves_the_later_ones_behind(run) -> None:
    train(run, "second")
    require_made_of_one_another(run, RECIPE, ["train"])
    message = refused(run, "model.keras: is not what the compress stage was made from")
    assert message.endswith(f"try: mcu-ser compress {run.root}")
    compress(run)
    require_made_of_one_another(run, RECIPE, STAGES)


@pytest.mark.parametrize(
    ("file", "stage"), [("target_features", "train"), ("float_model", "train"), ("pruned_model", "compress")]
)
def test_an_interrupted_stage_is_done_again(run, file, stage) -> None:
    path = getattr(run, file)
    write_text(path, "of a stage that did not finish")
    message = refused(run, f"{path.name}: is not of the last {stage} stage that finished", [stage])
    again = f"--recipe {run.recipe}" if stage == "train" else ""
    assert message.endswith(f"try: mcu-ser {stage} {run.root} {again}".rstrip())


def test_a_stage_that_never_finished(tmp_path) -> None:
    run = RunDir(tmp_path)
    write_text(run.float_model, "whole")
    assert refused(run, "has no finished train stage").endswith(f"try: mcu-ser train {tmp_path}")


@pytest.mark.parametrize(
    ("table", "changes"),
    [
        ("seed", "seed = 2"),
        ("corpora", "[corpora.target]\ntakes = 4"),
        ("features", "[features]\nmin_hz = 400.0"),
        ("source_model", "[source_model]\ncentred = false"),
        ("graph", "[graph]\nneighbours = 3"),
        ("model", "[model]\nblocks = 3"),
        ("transfer", '[transfer]\nmethod = "fine_tuning"'),
        ("training", "[training.fit]\nepochs = 31"),
    ],
)
def test_the_recipe_is_that_of_the_training(run, table, changes) -> None:
    # A second train that was interrupted leaves its recipe beside the model of the first.
    message = refused(
        run, f"recipe.toml: {table} is not what the train stage was made", recipe=another(changes)
    )
    assert message.endswith(f"try: mcu-ser train {run.root} --recipe {run.recipe}")


@pytest.mark.parametrize(
    ("table", "changes"),
    [("pruning", "[pruning]\nsparsity_fraction = 0.75"), ("qat", "[qat.fit]\nepochs = 3")],
)
def test_tables_may_be_changed_for_stages_to_come(run, table, changes) -> None:
    recipe = another(changes)
    require_made_of_one_another(run, recipe, ["train"])
    message = refused(run, f"{table} is not what the compress stage was made with", recipe=recipe)
    assert message.endswith(f"try: mcu-ser compress {run.root}")
    compress(run, recipe=recipe)
    require_made_of_one_another(run, recipe, STAGES)


@pytest.mark.parametrize("changes", ["", "[budget]\nweight_bytes = 1", "[study.choices]\nneighbours = [3]"])
def test_what_decides_no_training_may_be_changed(run, changes) -> None:
    require_made_of_one_another(run, another(changes), STAGES)


def test_every_table_of_a_recipe_is_of_a_stage_or_decides_no_training() -> None:
    tables = recipe_tables("train", RECIPE).keys() | recipe_tables("compress", RECIPE).keys()
    assert set(Recipe.model_fields) - tables == {"name", "budget", "study"}


def test_a_file_that_is_gone_is_left_to_who_reads_it(run) -> None:
    run.float_model.unlink()
    require_made_of_one_another(run, RECIPE, STAGES)


@pytest.mark.parametrize("record", ["[]", '{"read": [], "wrote": 3}', "null"])
def test_a_record_of_another_shape_vouches_for_nothing(run, record) -> None:
    run.manifest_path.write_text(f'{{"stages": {{"train": {record}}}}}')
    refused(run, "has no finished train stage", ["train"])
