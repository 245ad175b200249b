# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from mcu_ser.cli.main import main
from mcu_ser.errors import ConfigError
from mcu_ser.report.diff import NAMED, diff_reports
from mcu_ser.verify.report import build_report
from tests.made_up_report import (
    COUNT,
    made_up_abort,
    made_up_facts,
    made_up_measurement,
    made_up_outputs,
    made_up_report,
    made_up_samples,
)

A = made_up_report().document
OTHER_MODEL = "12" * 32


def report_over(samples, **facts):
    outputs = made_up_outputs()
    return build_report(
        facts=made_up_facts(**facts),
        samples=samples,
        expected=outputs,
        measurement=made_up_measurement(outputs),
        litert=None,
    ).document


def written(directory, report):
    report.write(directory)
    return str(directory)


def test_a_run_equals_itself():
    difference = diff_reports(A, A)
    assert difference.equal
    assert difference.reason == "all 90 outputs are equal"
    assert (difference.ticks_ratio, difference.uar_difference) == (1.0, 0.0)
    document = difference.document()
    assert (document["flash_ratio"], document["ram_ratio"], document["same_model"]) == (1.0, 1.0, True)


def test_one_other_output_byte_is_found_and_named():
    b = made_up_report(wrong=1).document
    difference = diff_reports(A, b)
    assert not difference.equal
    assert difference.reason == "1 of 90 outputs differ; first: utterance-000; B failed"
    assert difference.answers.named[0]["sample"] == 0
    assert diff_reports(b, A).reason.endswith("; A failed")


def test_two_runs_that_fail_alike_are_not_equal():
    b = made_up_report(wrong=1).document
    difference = diff_reports(b, b)
    assert not difference.equal
    assert difference.reason == "all 90 outputs are equal; A and B failed"


def test_counts_are_whole_where_names_are_few():
    outputs = made_up_outputs()
    changed = outputs.copy()
    changed[5:65, 0] ^= 1
    facts, samples = made_up_facts(), made_up_samples()
    b = build_report(
        facts=facts, samples=samples, expected=changed, measurement=made_up_measurement(changed), litert=None
    ).document
    answers = diff_reports(A, b).answers
    assert (answers.differing, len(answers.named), answers.named[0]["id"]) == (60, NAMED, "utterance-005")
    assert answers.decisions_differing < 60


def test_an_unfinished_run_is_never_equal():
    abort = made_up_abort().document
    for a, b, who in ((A, abort, "B"), (abort, A, "A"), (abort, abort, "A and B")):
        difference = diff_reports(a, b)
        assert not difference.equal
        assert difference.reason == f"{who} did not come to an end: there is nothing to compare"
        assert difference.document()["answers"] is None


def test_other_samples_cannot_be_compared():
    other = report_over(made_up_samples(seed=4))
    with pytest.raises(ConfigError, match=r"other samples; try: two runs with the same --samples"):
        diff_reports(A, other)


def test_two_models_are_compared_by_what_they_decide():
    # Another model quantises the same utterances to other bytes: names and classes tell that it is them.
    b = report_over(made_up_samples(seed=4), model_sha256=OTHER_MODEL)
    difference = diff_reports(A, b)
    assert difference.equal
    assert difference.reason == f"all {COUNT} decisions are equal"
    assert difference.answers.by == "decisions"


def test_two_models_over_samples_without_classes_are_refused():
    a = report_over(made_up_samples(labelled=False))
    b = report_over(made_up_samples(labelled=False, seed=4), model_sha256=OTHER_MODEL)
    with pytest.raises(ConfigError, match="other samples"):
        diff_reports(a, b)


def test_durations_are_compared_on_equal_ground_only():
    slower = made_up_report(slower=2.0).document
    # Ticks are whole numbers, so twice a mean is rounded.
    assert diff_reports(A, slower).ticks_ratio == pytest.approx(2, rel=1e-3)
    ticks = A | {"instructions": dict.fromkeys(("min", "median", "max"))}
    assert diff_reports(A, ticks).ticks_ratio is None
    assert diff_reports(ticks, ticks).ticks_ratio == 1
    assert diff_reports(ticks, ticks | {"board": "nucleo_f446re"}).ticks_ratio is None
    clocked = ticks | {"ticks": ticks["ticks"] | {"hz": 1_000_000}}
    faster = clocked | {"ticks": clocked["ticks"] | {"hz": 2_000_000}, "board": "nucleo_f446re"}
    assert diff_reports(clocked, faster).ticks_ratio == 0.5
    assert diff_reports(clocked, ticks).ticks_ratio is None
    unmeasured = ticks | {"ticks": ticks["ticks"] | {"median": None}}
    assert diff_reports(unmeasured, unmeasured).ticks_ratio is None


def test_the_command_exits_like_diff(tmp_path, capsys):
    a = written(tmp_path / "a", made_up_report())
    again = written(tmp_path / "again", made_up_report(slower=1.5))
    b = written(tmp_path / "b", made_up_report(wrong=2))
    abort = written(tmp_path / "abort", made_up_abort())
    assert main(["report", "diff", a, again]) == 0
    assert "equal: all 90 outputs are equal" in capsys.readouterr().out
    assert main(["report", "diff", a, b]) == 1
    said = capsys.readouterr().out
    assert "different: 2 of 90 outputs differ; first: utterance-000; B failed" in said
    assert "utterance-007" in said
    assert main(["report", "diff", a, abort]) == 1
    assert main(["report", "diff", a, str(tmp_path / "nowhere")]) == 2
    assert "mcu-ser: error: " in capsys.readouterr().err


def test_the_command_answers_programs(tmp_path, capsys):
    a, b = written(tmp_path / "a", made_up_report()), written(tmp_path / "b", made_up_report(wrong=2))
    assert main(["report", "diff", a, f"{b}/report.json", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["equal"], document["answers"]["differing"], document["answers"]["by"]) == (
        False,
        2,
        "bytes",
    )
    assert [run["verdict"] for run in document["runs"]] == ["pass", "fail"]


def test_a_page_is_written_anew(tmp_path, capsys):
    report = written(tmp_path / "a", made_up_report())
    page = tmp_path / "a" / "report.html"
    before = page.read_bytes()
    page.unlink()
    assert main(["report", "html", report]) == 0
    assert page.read_bytes() == before
    assert f"wrote {page}" in capsys.readouterr().out
    other = tmp_path / "other"
    other.mkdir()
    assert main(["report", "html", report, "--out", str(other)]) == 0
    assert (other / "report.html").read_bytes() == before


def test_no_page_without_a_report(tmp_path, capsys):
    assert main(["report", "html", str(tmp_path)]) == 2
    assert "cannot be read" in capsys.readouterr().err
    assert not (tmp_path / "report.html").exists()


def test_the_page_says_what_it_is_for(capsys):
    with pytest.raises(SystemExit):
        main(["report", "html", "--help"])
    assert "offline page for people" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    "words", [["report", "diff", "a", "b"], ["report", "html", "a"], ["boards", "show", "a"]], ids=" ".join
)
def test_every_action_can_be_debugged(words, capsys):
    command, *rest = words
    for given in ([command, *rest, "--debug"], [command, "--debug", *rest]):
        assert main(given) == 2
        assert "Traceback" in capsys.readouterr().err
    assert main(words) == 2
    assert "Traceback" not in capsys.readouterr().err
