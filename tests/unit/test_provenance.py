# SPDX-License-Identifier: Apache-2.0
"""A run directory in which stages ran again or were interrupted."""

import re

import pytest

from mcu_ser.artifacts import RunDir, write_text
from mcu_ser.errors import ConfigError
from mcu_ser.provenance import require_made_of_one_another

STAGES = ("train", "compress")


def train(run, content="first"):
    for path in (run.recipe, run.target_features, run.float_model):
        write_text(path, content)
    run.record_stage(
        "train", seed=1, read=[], wrote=[run.recipe, run.target_features, run.float_model], versions={}
    )


def compress(run, content="first"):
    write_text(run.pruned_model, content)
    run.record_stage(
        "compress",
        seed=1,
        read=[run.recipe, run.target_features, run.float_model],
        wrote=[run.pruned_model],
        versions={},
    )


@pytest.fixture
def run(tmp_path):
    run = RunDir(tmp_path)
    train(run)
    compress(run)
    return run


def refused(run, problem, stages=STAGES):
    with pytest.raises(ConfigError, match=re.escape(problem)) as error:
        require_made_of_one_another(run, stages)
    return str(error.value)


def test_stages_in_their_order_belong_together(run) -> None:
    require_made_of_one_another(run, STAGES)
    train(run)  # the same again
    require_made_of_one_another(run, STAGES)


def test_a_stage_that_ran_again_leaves_the_later_ones_behind(run) -> None:
    train(run, "second")
    require_made_of_one_another(run, ["train"])
    message = refused(run, "model.keras: is not what the compress stage was made from")
    assert message.endswith(f"try: mcu-ser compress {run.root}")
    compress(run)
    require_made_of_one_another(run, STAGES)


@pytest.mark.parametrize(
    ("file", "stage"), [("target_features", "train"), ("float_model", "train"), ("pruned_model", "compress")]
)
def test_an_interrupted_stage_is_done_again(run, file, stage) -> None:
    path = getattr(run, file)
    write_text(path, "of a stage that did not finish")
    message = refused(run, f"{path.name}: is not of the last {stage} stage that finished", [stage])
    assert message.endswith(f"try: mcu-ser {stage} {run.root}")


def test_a_stage_that_never_finished(tmp_path) -> None:
    run = RunDir(tmp_path)
    write_text(run.float_model, "whole")
    assert refused(run, "has no finished train stage").endswith(f"try: mcu-ser train {tmp_path}")


def test_the_recipe_may_be_changed_for_stages_to_come(run) -> None:
    write_text(run.recipe, "another table of a later stage")
    require_made_of_one_another(run, STAGES)


def test_a_file_that_is_gone_is_left_to_who_reads_it(run) -> None:
    run.float_model.unlink()
    require_made_of_one_another(run, STAGES)


@pytest.mark.parametrize("record", ["[]", '{"read": [], "wrote": 3}', "null"])
def test_a_record_of_another_shape_vouches_for_nothing(run, record) -> None:
    run.manifest_path.write_text(f'{{"stages": {{"train": {record}}}}}')
    refused(run, "has no finished train stage", ["train"])
