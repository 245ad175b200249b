# SPDX-License-Identifier: Apache-2.0
"""`mcu-ser study` from the command line, with made-up results; `test_real_study` trains."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mcu_ser.cli import study as study_command
from mcu_ser.cli.main import main
from mcu_ser.programs import PACKAGES
from mcu_ser.recipe import load_recipe
from mcu_ser.study import crew
from mcu_ser.study.directory import StudyDir
from mcu_ser.study.prepare import prepare
from mcu_ser.study.progress import Progress
from mcu_ser.train import wav2vec2_checkpoint
from tests.unit.study.test_crew import RECIPE, WORKER, computations, wait_until


@pytest.fixture(autouse=True)
def _made_up_results(monkeypatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    monkeypatch.setattr(crew, "WORKER", WORKER)
    monkeypatch.setattr("mcu_ser.programs.require_packages", lambda extra: None)


@pytest.fixture
def recipe_file(tmp_path):
    path = tmp_path / "toy.toml"
    path.write_text(RECIPE)
    return path


def study(recipe_file, *options) -> int:
    out = recipe_file.parent / "out"
    return main(["study", "--recipe", str(recipe_file), "--out", str(out), *options])


def test_a_study_ends_with_its_table_its_files_and_the_next_command(recipe_file, capsys) -> None:
    assert study(recipe_file, "--jobs", "2") == 0
    said = capsys.readouterr()
    assert "speech only" in said.out
    assert "NSL graph" in said.out
    out = recipe_file.parent / "out"
    for name in ("study.json", "study.csv", "study.html"):
        assert (out / name).stat().st_size > 0
        assert f"wrote {out / name}" in said.out
    assert f"next: mcu-ser run --recipe {recipe_file} --out RUN" in said.out
    assert re.search(r"^study: \d+/21, about \d+ s left$", said.err, re.MULTILINE)
    assert said.err.endswith("study: 21/21\n")


def test_the_report_depends_on_the_results_alone(recipe_file, capsys) -> None:
    assert study(recipe_file, "--jobs", "2") == 0
    out = recipe_file.parent / "out"
    first = {name: (out / name).read_bytes() for name in ("study.json", "study.csv")}
    capsys.readouterr()
    assert study(recipe_file, "--jobs", "1", "--json") == 0
    assert {name: (out / name).read_bytes() for name in first} == first
    assert json.loads(capsys.readouterr().out) == json.loads(first["study.json"])


def test_folds_seeds_recipe_and_versions_are_in_the_report(recipe_file) -> None:
    assert study(recipe_file) == 0
    document = json.loads((recipe_file.parent / "out" / "study.json").read_text())
    assert [fold["test"] for fold in document["folds"]] == [["t01"], ["t02"], ["t03"]]
    assert [fold["validation"] for fold in document["folds"]] == [["t02"], ["t03"], ["t01"]]
    assert [fold["train"] for fold in document["folds"]] == [["t03"], ["t01"], ["t02"]]
    assert {cell["seed"] for cell in document["cells"]} == {1, 2}
    assert document["versions"]["python"]
    assert "speaker_groups" in document["recipe"]
    assert re.search(r"synthetic-target: \d+ utterances of 3 speakers", document["corpora"]["target"])


def test_a_failed_cell_leaves_no_report(recipe_file, capsys, monkeypatch) -> None:
    monkeypatch.setenv("MCU_SER_TEST_FAIL", "speech_only, fold 1, seed 2")
    assert study(recipe_file, "--jobs", "2") == 1
    said = capsys.readouterr()
    assert "1 of 21 trainings failed: ds_cnn 16, speech_only, fold 1, seed 2: RuntimeError" in said.err
    assert "study: 20/21, 1 failed\n" in said.err
    assert "Traceback" not in said.err
    assert not (recipe_file.parent / "out" / "study.json").exists()


def test_another_recipe_does_not_get_into_the_directory(recipe_file, capsys) -> None:
    assert study(recipe_file) == 0
    recipe_file.write_text("seed = 2\n" + RECIPE)
    capsys.readouterr()
    assert study(recipe_file) == 2
    assert "holds the study of another recipe (seed is 1 there, 2 here)" in capsys.readouterr().err


def test_more_seeds_later_train_what_is_new_alone(recipe_file, capsys) -> None:
    assert study(recipe_file) == 0
    cells = recipe_file.parent / "out" / "cells"
    before = {path.parent.name: path.stat().st_mtime_ns for path in cells.glob("*/cell.json")}
    recipe_file.write_text(RECIPE.replace("seeds = [1, 2]", "seeds = [1, 2, 3]"))
    capsys.readouterr()
    assert study(recipe_file) == 0
    grown = {path.parent.name: path.stat().st_mtime_ns for path in cells.glob("*/cell.json")}
    assert before.items() <= grown.items()
    document = json.loads((recipe_file.parent / "out" / "study.json").read_text())
    assert {tuple(result["seeds"]) for result in document["results"]} == {(1, 2, 3)}
    assert "seeds = [\n    1,\n    2,\n    3,\n]" in document["recipe"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            ('["t03"]', '["t04"]'),
            "recipe study.folds: synthetic-target has no speaker t04; try: one of t01, t02, t03",
        ),
        (('["t01"], ["t02"]', '["t01", "t02"], ["t02"]'), "speaker t02 is in the groups more than once"),
        (("neighbours = [3, 5, 6]", "neighbours = [3, 50]"), "recipe study.choices.neighbours: 50: Input"),
    ],
)
def test_a_study_that_cannot_be_leaves_no_directory(recipe_file, capsys, change, problem) -> None:
    recipe_file.write_text(RECIPE.replace(*change))
    assert study(recipe_file) == 2
    assert problem in capsys.readouterr().err
    assert not (recipe_file.parent / "out").exists()


def with_source_model(recipe_file, checkpoint) -> None:
    table = f'[source_model]\nmodel = "wav2vec2"\ncheckpoint = "{checkpoint}"\n'
    recipe_file.write_text(RECIPE.replace("[study]", table + "[study]"))


def test_a_source_model_that_is_not_there_stops_a_study_before_anything_trains(recipe_file, capsys) -> None:
    with_source_model(recipe_file, recipe_file.parent / "absent")
    assert study(recipe_file) == 2
    assert "absent is not a directory" in capsys.readouterr().err
    assert not (recipe_file.parent / "out").exists()


def test_a_builder_that_is_not_installed_stops_a_study_before_anything_trains(
    recipe_file, capsys, monkeypatch
) -> None:
    monkeypatch.setitem(PACKAGES, "ann", ("no-such-package-here",))
    recipe_file.write_text(RECIPE.replace("[study]", '[graph]\nbuilder = "hnsw"\n[study]'))
    assert study(recipe_file) == 3
    assert "pip install '.[ann]'" in capsys.readouterr().err
    assert not (recipe_file.parent / "out").exists()
    # Where nothing is compared that has a graph, nothing of it is needed.
    recipe_file.write_text(recipe_file.read_text().replace('"nsl"]', '"fine_tuning"]'))
    assert study(recipe_file) == 0


def test_results_are_of_the_checkpoints_content(recipe_file, monkeypatch) -> None:
    monkeypatch.setattr(wav2vec2_checkpoint, "require_packages", lambda extra: None)
    checkpoint = recipe_file.parent / "checkpoint"
    checkpoint.mkdir()
    (checkpoint / "config.json").write_text('{"model_type": "wav2vec2"}')
    with_source_model(recipe_file, checkpoint)

    def keys(weights):
        (checkpoint / "model.safetensors").write_bytes(weights)
        jobs = prepare(load_recipe(recipe_file), None).jobs
        return {job.key: job.recipe.graph.multiplier > 0 for job in jobs}

    first = keys(b"one")
    assert keys(b"one") == first
    # What has no graph does not know of the checkpoint, and is not trained again.
    shared = keys(b"two").keys() & first.keys()
    assert shared == {key for key, with_graph in first.items() if not with_graph}
    assert 0 < len(shared) < len(first)


def test_what_a_study_has_in_common_is_kept_in_its_own_directory(recipe_file, capsys) -> None:
    with pytest.raises(SystemExit) as error:
        study(recipe_file, "--cache", "elsewhere")
    assert error.value.code == 2
    assert "unrecognized arguments: --cache elsewhere" in capsys.readouterr().err


@pytest.mark.parametrize("count", ["0", "-1", "two", ""])
def test_there_is_at_least_one_worker(recipe_file, capsys, count) -> None:
    with pytest.raises(SystemExit) as error:
        study(recipe_file, f"--jobs={count}")
    assert error.value.code == 2
    assert f"argument --jobs: {count} is not a number of 1 or more" in capsys.readouterr().err


def test_a_terminal_shows_a_bar_with_the_time_that_is_left(monkeypatch, capsys) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    with study_command._watch() as watch:
        watch(Progress(0, 0, 21, None))
        watch(Progress(3, 1, 21, 6600))
    shown = capsys.readouterr().err
    assert "4/21" in shown
    assert "1 failed, about 1 h 50 min left" in shown


def test_a_pipe_gets_a_line_for_whatever_ended(capsys) -> None:
    with study_command._watch() as watch:
        for done, failed in ((0, 0), (0, 0), (1, 0), (1, 1), (1, 1), (2, 1)):
            watch(Progress(done, failed, 3, None if done == 0 else 61))
    assert capsys.readouterr().err.splitlines() == [
        "study: 0/3",
        "study: 1/3, about 1 min left",
        "study: 1/3, 1 failed, about 1 min left",
        "study: 2/3, 1 failed",
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_study_ends_cleanly_and_goes_on(recipe_file, monkeypatch, number) -> None:
    monkeypatch.setenv("MCU_SER_TEST_HANG", "nsl, fold 3, seed 2")
    out = recipe_file.parent / "out"
    program = (
        "import sys\n"
        "from mcu_ser.cli.main import main\n"
        "from mcu_ser.study import crew\n"
        "from tests.unit.study.test_crew import WORKER\n"
        "crew.WORKER = WORKER\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    call = subprocess.Popen(
        [
            sys.executable,
            "-c",
            program,
            "study",
            "--recipe",
            str(recipe_file),
            "--out",
            str(out),
            "--jobs",
            "2",
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: len(list((out / "cells").glob("[!.]*"))) >= 3)
    call.send_signal(number)
    _, said = call.communicate(timeout=60)
    assert call.returncode == 130
    assert said.endswith("mcu-ser: error: interrupted; what was finished is kept\n")
    assert "Traceback" not in said
    assert list((out / "claims").glob("[!.]*")) == []
    monkeypatch.delenv("MCU_SER_TEST_HANG")
    assert study(recipe_file, "--jobs", "2") == 0
    # What hung or was interrupted was begun once more; nothing that was finished was.
    again = [count for key, count in computations(StudyDir(out)).items() if count > 1]
    assert len(again) <= 2
