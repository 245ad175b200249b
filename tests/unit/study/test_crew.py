# SPDX-License-Identifier: Apache-2.0
"""Workers as processes: who does what, what happens when they die, and two calls at once."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from mcu_ser.claims import Claims, Owner
from mcu_ser.errors import CheckFailedError, ConfigError
from mcu_ser.recipe import parse_recipe
from mcu_ser.study import crew
from mcu_ser.study.crew import run_jobs
from mcu_ser.study.directory import StudyDir
from mcu_ser.study.prepare import prepare
from mcu_ser.study.results import best_candidate, read_cell
from mcu_ser.study.run import compute_grid, gather
from tests.study_worker import made_up_uar

WORKER = (sys.executable, str(Path(__file__).parents[2] / "study_worker.py"))
RECIPE = """
name = "toy"
[corpora.source]
reader = "synthetic"
language = "source"
[corpora.target]
reader = "synthetic"
language = "target"
speakers = 3
takes = 1
[study]
folds = { protocol = "speaker_groups", groups = [["t01"], ["t02"], ["t03"]] }
choices = { neighbours = [3, 5, 6] }
[[study.rows]]
approaches = ["speech_only", "nsl"]
seeds = [1, 2]
"""
CELLS, CHOICES = 2 * 2 * 3, 3 * 3


@pytest.fixture(autouse=True)
def _made_up_results(monkeypatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    monkeypatch.setattr(crew, "WORKER", WORKER)


@pytest.fixture(scope="module")
def prepared():
    return prepare(parse_recipe(RECIPE, "toy.toml"), None)


@pytest.fixture
def study(tmp_path, prepared) -> StudyDir:
    study = StudyDir(tmp_path / "study")
    study.open(prepared.recipe)
    return study


def run(study, prepared, workers=2, watch=lambda progress: None):
    return run_jobs(study, prepared.jobs, corpus_root=None, workers=workers, watch=watch)


def computations(study) -> Counter:
    return Counter(path.parent.name for path in (study.root / "log").glob("*/*"))


def contents(directory) -> dict:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def test_every_job_is_done_once_and_nothing_is_left_over(study, prepared, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    seen = []
    state = run(study, prepared, watch=seen.append)
    assert len(state.done) == CELLS + CHOICES == len(prepared.jobs)
    assert state.is_over
    assert set(computations(study).values()) == {1}
    assert list(study.claims.iterdir()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["study"]
    assert (seen[0].done, seen[0].total, seen[0].seconds_left) == (0, 21, None)
    assert (seen[-1].done, seen[-1].failed, seen[-1].seconds_left) == (21, 0, 0)


def test_a_process_that_has_done_its_share_makes_room_for_a_new_one(study, prepared) -> None:
    state = run(study, prepared, workers=1)
    assert len(state.done) == len(prepared.jobs)
    shares = Counter(path.read_text() for path in (study.root / "log").glob("*/*"))
    assert sorted(shares.values()) == [CELLS + CHOICES - 12, 12]


def test_a_cell_takes_the_candidate_that_validated_best(study, prepared) -> None:
    run(study, prepared)
    for job in prepared.jobs:
        if job.kind == "cell":
            cell = read_cell(study, job)
            assert cell.chosen == ({"neighbours": 5} if job.place.approach == "nsl" else {})
            assert max((3, 5, 6), key=made_up_uar) == 5


def test_of_equal_candidates_the_first_is_taken(study, prepared) -> None:
    job = next(job for job in prepared.jobs if job.candidates)
    for one in job.candidates:
        with study.publish(one.key) as place:
            (place / "cell.json").write_text('{"validation_uar": 0.5}')
    assert best_candidate(study, job) == {"neighbours": 3}


@pytest.mark.parametrize("content", ["{}", '{"validation_uar": "0.5"}', '{"validation_uar": null}'])
def test_a_choice_without_its_figure_is_named(study, prepared, content) -> None:
    job = next(job for job in prepared.jobs if job.candidates)
    for one in job.candidates:
        with study.publish(one.key) as place:
            (place / "cell.json").write_text(content)
    with pytest.raises(
        ConfigError, match=r"cell\.json: validation_uar is .*, which is not a number; try: remove"
    ):
        best_candidate(study, job)


def test_a_choice_without_its_duration_is_named_by_the_report(study, prepared) -> None:
    run(study, prepared)
    choice = next(job for job in prepared.jobs if job.kind == "choice")
    (study.cell(choice.key) / "cell.json").write_text('{"validation_uar": 0.5}')
    with pytest.raises(ConfigError, match=r"cell\.json: processor_seconds is None, which is not a number"):
        gather(study, prepared, "")


def test_what_is_done_is_not_done_again(study, prepared) -> None:
    run(study, prepared)
    before = contents(study.root)
    run(study, prepared)
    assert contents(study.root) == before


def test_two_calls_share_the_work(study, prepared, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MCU_SER_TEST_SECONDS", "0.2")
    program = (
        "import sys, pathlib\n"
        "from tests.unit.study.test_crew import RECIPE, WORKER, crew, parse_recipe, prepare, run, StudyDir\n"
        "crew.WORKER = WORKER\n"
        "study, prepared = StudyDir(pathlib.Path(sys.argv[1])), prepare(parse_recipe(RECIPE, 'r'), None)\n"
        "study.open(prepared.recipe)\n"
        "run(study, prepared, workers=1)\n"
    )
    calls = [subprocess.Popen([sys.executable, "-c", program, str(study.root)]) for _ in range(2)]
    assert [call.wait(timeout=120) for call in calls] == [0, 0]
    assert set(computations(study).values()) == {1}
    assert len(computations(study)) == len(prepared.jobs)
    assert list(study.claims.iterdir()) == []


def test_a_worker_that_is_killed_costs_its_job_of_the_moment_alone(study, prepared, monkeypatch) -> None:
    monkeypatch.setenv("MCU_SER_TEST_DIE_ONCE", "nsl, fold 2, seed 1")
    state = run(study, prepared)
    assert len(state.done) == len(prepared.jobs)
    # The three candidates of that fold and the cell.
    assert sorted(computations(study).values()) == [1] * (len(prepared.jobs) - 4) + [2] * 4


def test_a_job_that_kills_every_worker_is_given_up(study, prepared, monkeypatch) -> None:
    monkeypatch.setenv("MCU_SER_TEST_DIE", "speech_only, fold 3, seed 2")
    state = run(study, prepared)
    assert [str(job) for job in state.failed] == ["ds_cnn 16, speech_only, fold 3, seed 2"]
    assert len(state.done) == len(prepared.jobs) - 1
    assert "its worker ended twice: killed by SIGKILL" in study.failure(state.failed[0].key).read_text()


def test_a_failed_cell_is_named_when_the_others_are_done_and_tried_again_next_time(
    study, prepared, monkeypatch
) -> None:
    def compute() -> None:
        compute_grid(study, prepared, corpus_root=None, workers=2, watch=lambda progress: None)

    monkeypatch.setenv("MCU_SER_TEST_FAIL", "speech_only, fold 1, seed 2")
    with pytest.raises(CheckFailedError) as error:
        compute()
    assert error.value.exit_code == 1
    assert str(error.value) == (
        f"{study.root}: 1 of 21 trainings failed: ds_cnn 16, speech_only, fold 1, seed 2: "
        f"RuntimeError: out of luck; try: {study.root / 'failures'} has the details; "
        "the same command tries them again"
    )
    assert len(gather(study, prepared, "").cells) == CELLS - 1
    monkeypatch.delenv("MCU_SER_TEST_FAIL")
    compute()
    gathered = gather(study, prepared, "mcu-ser study")
    assert {(cell.model, cell.approach, cell.fold, cell.seed) for cell in gathered.cells} == {
        (place.model, place.approach, place.fold, place.seed) for place in prepared.grid
    }
    assert gathered.picture["edges"] == [[0, 1]]
    assert gathered.picture_caption == "ds_cnn 16, nsl, fold 1, seed 1"
    assert gathered.seconds > 0
    assert gathered.hardware.endswith("2 workers")


def test_cells_whose_choice_failed_wait_in_vain(study, prepared, monkeypatch) -> None:
    monkeypatch.setenv("MCU_SER_TEST_FAIL", "nsl, fold 2, seed 1 (choosing)")
    with pytest.raises(CheckFailedError, match=r"3 of 21 trainings failed: .*; 2 waited for them; try"):
        compute_grid(study, prepared, corpus_root=None, workers=2, watch=lambda progress: None)


def test_workers_that_do_not_start_are_not_started_for_ever(study, prepared, monkeypatch) -> None:
    broken = (sys.executable, "-c", "raise SystemExit('no such library')")
    monkeypatch.setattr(crew, "WORKER", broken)
    with pytest.raises(
        CheckFailedError, match=r"study worker: exit status 1 \(no such library\); try: --jobs 1, more"
    ):
        run_jobs(study, prepared.jobs, corpus_root=None, workers=1, watch=lambda progress: None)


def test_code_that_changed_meanwhile_computes_nothing(study, prepared, monkeypatch) -> None:
    monkeypatch.setattr(crew, "code_digest", lambda *packages: "of former code")
    with pytest.raises(CheckFailedError, match=r"study worker: .*the code of mcu-ser has changed since the"):
        run(study, prepared, workers=1)
    assert not computations(study)


def test_an_interruption_ends_the_workers_and_frees_their_claims(study, prepared, monkeypatch) -> None:
    monkeypatch.setenv("MCU_SER_TEST_HANG", "speech_only, fold 1, seed 1")
    owners = []

    def interrupt(progress) -> None:
        if progress.done >= 3:
            owners.extend(Claims(study.claims, Owner.this_process()).held().values())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(study, prepared, watch=interrupt)
    assert owners
    for owner in owners:
        with pytest.raises(ProcessLookupError):
            os.kill(owner.pid, 0)
    assert list(study.claims.glob("[!.]*")) == []
    monkeypatch.delenv("MCU_SER_TEST_HANG")
    assert len(run(study, prepared).done) == len(prepared.jobs)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel does not end orphans")
def test_workers_die_with_a_call_that_is_killed_and_the_next_call_goes_on(
    study, prepared, monkeypatch
) -> None:
    monkeypatch.setenv("MCU_SER_TEST_HANG", "speech_only, fold 1, seed 1")
    program = (
        "import sys, pathlib\n"
        "from tests.unit.study.test_crew import RECIPE, WORKER, crew, parse_recipe, prepare, run, StudyDir\n"
        "crew.WORKER = WORKER\n"
        "run(StudyDir(pathlib.Path(sys.argv[1])), prepare(parse_recipe(RECIPE, 'r'), None))\n"
    )
    call = subprocess.Popen([sys.executable, "-c", program, str(study.root)])
    observer = Claims(study.claims, Owner.this_process())
    wait_until(lambda: len(list((study.root / "cells").glob("[!.]*"))) >= 2)
    owners = list(observer.held().values())
    call.send_signal(signal.SIGKILL)
    call.wait()
    wait_until(lambda: all(owner.is_known_dead() for owner in owners))
    monkeypatch.delenv("MCU_SER_TEST_HANG")
    assert len(run(study, prepared).done) == len(prepared.jobs)


def wait_until(condition, timeout_s=60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_work_of_a_silent_machine_is_taken_over(study, prepared) -> None:
    job = prepared.jobs[0]
    gone = Claims(study.claims, Owner("elsewhere", 1, "x"))
    with gone.claimed(job.key):
        os.utime(study.claims / job.key, (1, 1))
        assert len(run(study, prepared).done) == len(prepared.jobs)


def test_the_work_of_another_machine_is_waited_for(study, prepared) -> None:
    job = prepared.jobs[0]
    claimed, release = threading.Event(), threading.Event()

    def elsewhere() -> None:
        with Claims(study.claims, Owner("elsewhere", 1, "x")).claimed(job.key):
            claimed.set()
            release.wait()
            with study.publish(job.key) as place:
                (place / "cell.json").write_text('{"seconds": 1}')

    other = threading.Thread(target=elsewhere)
    other.start()
    claimed.wait()

    def watch(progress) -> None:
        if progress.done == len(prepared.jobs) - 1:
            release.set()

    assert len(run(study, prepared, watch=watch).done) == len(prepared.jobs)
    other.join()
    assert job.key not in computations(study)
