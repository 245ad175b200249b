# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from mcu_ser.recipe import load_recipe
from mcu_ser.study.calls import Call, all_calls
from mcu_ser.study.directory import StudyDir
from mcu_ser.study.grid import Job
from mcu_ser.study.progress import Progress, in_words, progress_of
from mcu_ser.study.study import GridCell

RECIPE = load_recipe("synthetic")


def job(key, *, approach="nsl", model="ds_cnn 16", kind="cell") -> Job:
    return Job(key, kind, GridCell(model, approach, 0, 1), RECIPE)


def progress(tmp_path, jobs, seconds, failed=(), busy=1) -> Progress:
    study = StudyDir(tmp_path)
    for key, took in seconds.items():
        with study.publish(key) as place:
            (place / "cell.json").write_text(json.dumps({"seconds": took}))
    for one in jobs:
        if one.key in failed:
            study.record_failure(one, "no luck")
    return progress_of(study, study.state(jobs), busy=busy)


def test_nothing_is_expected_before_anything_is_known(tmp_path) -> None:
    assert progress(tmp_path, [job("a"), job("b")], {}) == Progress(0, 0, 2, None)


def test_a_job_takes_as_long_as_those_like_it(tmp_path) -> None:
    jobs = [
        job("a", kind="choice"),
        job("b"),
        job("c"),
        job("d", model="cnn6 0.25"),
        *(job("e"), job("f", approach="speech_only"), job("g", kind="choice", model="cnn6 0.25")),
    ]
    seconds = {"a": 5, "b": 30, "c": 50, "d": 100}
    assert progress(tmp_path, jobs, seconds) == Progress(4, 0, 7, 40 + 40 + 5)


def test_what_is_of_a_new_kind_takes_the_mean(tmp_path) -> None:
    jobs = [job("a", kind="choice"), job("b", kind="choice"), job("c")]
    assert progress(tmp_path, jobs, {"a": 5, "b": 7}).seconds_left == 6


@pytest.mark.parametrize(("busy", "left"), [(0, 40), (1, 40), (2, 20), (9, 10)])
def test_workers_share_what_is_left(tmp_path, busy, left) -> None:
    jobs = [job(key) for key in "abcde"]
    assert progress(tmp_path, jobs, {"a": 10}, busy=busy).seconds_left == left


def test_what_failed_takes_no_time(tmp_path) -> None:
    jobs = [job(key) for key in "abc"]
    assert progress(tmp_path, jobs, {"a": 10}, failed="b") == Progress(1, 1, 3, 10)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "1 s"), (59.4, "59 s"), (60, "1 min"), (3569, "59 min"), (3571, "1 h 00 min"), (6600, "1 h 50 min")],
)
def test_durations_are_for_people(seconds, words) -> None:
    assert in_words(seconds) == words


def test_time_that_calls_have_in_common_counts_once(tmp_path) -> None:
    for name, started, ended, hardware in (
        ("a", 100, 200, "big"),
        ("b", 150, 260, "small"),
        ("c", 1000, 1001, "big"),
        ("d", 160, 170, "big"),
    ):
        document = {"started": started, "ended": ended, "hardware": hardware}
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
    (tmp_path / "e.json").write_text("{")
    assert all_calls(tmp_path) == (161, "big; small")


def test_a_call_is_kept_now_and_then_and_at_its_end(tmp_path) -> None:
    call = Call(tmp_path, workers=2)
    call.keep()
    (path,) = tmp_path.iterdir()
    first = path.read_text()
    call.keep()
    assert path.read_text() == first
    call.keep(now=True)
    assert path.read_text() != first
    assert list(tmp_path.iterdir()) == [path]
    assert all_calls(tmp_path)[1].endswith(", 2 workers")
