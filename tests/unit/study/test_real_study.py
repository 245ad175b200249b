# SPDX-License-Identifier: Apache-2.0
"""A study that trains, on made-up voices and as small as can be: through every stage, killed and resumed."""

import os
import shutil
import signal
from importlib.util import find_spec

import numpy as np
import pytest

from mcu_ser.claims import Claims, Owner
from mcu_ser.cli.main import main
from mcu_ser.corpus.voices import EMOTIONS
from mcu_ser.recipe import load_recipe
from mcu_ser.study import crew
from mcu_ser.study.directory import StudyDir
from mcu_ser.study.prepare import prepare
from mcu_ser.study.progress import Progress
from mcu_ser.study.results import read_cell, read_json
from tests import tiny_recipe as tiny

if find_spec("tensorflow") is None:
    pytest.skip("needs the [train] extra", allow_module_level=True)

pytestmark = [pytest.mark.train, pytest.mark.slow]

TINY = (
    tiny.NAME
    + tiny.SOURCE
    + tiny.TARGET
    + 'validation_speakers = ["t02"]\n'
    + tiny.SOURCE_MODEL
    + tiny.GRAPH
    + """
[features]
frames = 24
mels = 8

[training]
fit = { epochs = 1, learning_rate = 5e-3, batch_size = 4 }

[pruning]
fit = { epochs = 1, learning_rate = 2e-3, batch_size = 4 }

[qat]
fit = { epochs = 1, learning_rate = 5e-4, batch_size = 4 }

[study]
choices = { neighbours = [1, 2] }

[[study.rows]]
model = { family = "ds_cnn", width = 8, blocks = 1 }
approaches = ["speech_only", "nsl"]
seeds = [4]
"""
)


@pytest.fixture(scope="module")
def recipe_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    path.write_text(TINY)
    return path


def run_study(recipe_file, out) -> StudyDir:
    assert main(["study", "--recipe", str(recipe_file), "--out", str(out), "--jobs", "2"]) == 0
    return StudyDir(out)


@pytest.fixture(scope="module")
def study(recipe_file, tmp_path_factory) -> StudyDir:
    return run_study(recipe_file, tmp_path_factory.mktemp("study") / "out")


@pytest.fixture(scope="module")
def jobs(recipe_file):
    return prepare(load_recipe(recipe_file), None).jobs


def cells_of(jobs):
    return {job.place.approach: job for job in jobs if job.kind == "cell"}


def test_a_killed_worker_and_a_second_call_change_no_byte_of_the_report(
    study, jobs, recipe_file, tmp_path
) -> None:
    again = StudyDir(tmp_path / "out")
    lost = cells_of(jobs)["speech_only"].key
    shutil.copytree(study.root, again.root, ignore=shutil.ignore_patterns(lost, "study.json", "study.csv"))
    killed = []

    def kill(progress: Progress) -> None:
        if killed:
            raise KeyboardInterrupt
        for owner in Claims(again.claims, Owner.this_process()).held().values():
            os.kill(owner.pid, signal.SIGKILL)
            killed.append(owner)

    with pytest.raises(KeyboardInterrupt):
        crew.run_jobs(again, jobs, corpus_root=None, workers=1, watch=kill)
    assert killed
    assert not again.is_done(lost)
    run_study(recipe_file, again.root)
    for name in ("study.json", "study.csv", f"cells/{lost}/model.tflite", f"cells/{lost}/predictions.npz"):
        assert (again.root / name).read_bytes() == (study.root / name).read_bytes()


def test_what_chooses_has_not_heard_the_test_speaker(study, jobs) -> None:
    for job in jobs:
        if job.kind == "choice":
            metrics = read_json(study.cell(job.key) / "metrics.json")
            confusion = metrics["train"]["target"]["test"]["confusion"]
            assert sum(map(sum, confusion)) == len(EMOTIONS)  # one take of each, by t02
            kept = load_recipe(study.cell(job.key) / "recipe.toml").corpora.target
            assert (kept.test_speakers, kept.left_out_speakers) == (("t02",), ("t03",))
            assert not (study.cell(job.key) / "predictions.npz").exists()


def test_a_cell_has_the_decisions_of_every_stage(study, jobs) -> None:
    for approach, job in cells_of(jobs).items():
        cell = read_cell(study, job)
        assert set(cell.decisions) == {"float", "pruned", "int8", "post_training"}
        assert set(cell.speakers) == {"t03"}
        assert sorted(cell.y) == list(range(len(EMOTIONS)))
        assert all(decided.shape == cell.y.shape for decided in cell.decisions.values())
        assert cell.tflite_bytes == (study.cell(job.key) / "model.tflite").stat().st_size
        assert 0.5 <= cell.sparsity < 1
        assert bool(cell.graph) == bool(cell.chosen) == (approach == "nsl")
        assert np.isfinite(cell.processor_seconds)
        assert read_json(study.cell(job.key) / "cell.json")["processor_seconds"] > 0
