# SPDX-License-Identifier: Apache-2.0
import dataclasses
import json
from xml.etree import ElementTree

import jsonschema
import pytest

from mcu_ser.board import load_board
from mcu_ser.errors import ConfigError
from mcu_ser.verify.limits import Limits, limit_problem
from mcu_ser.verify.report import build_report, with_limits
from mcu_ser.verify.report_schema import schema_text
from tests.made_up_report import (
    made_up_facts,
    made_up_measurement,
    made_up_outputs,
    made_up_report,
    made_up_samples,
)

PASSING = made_up_report()
MOST = PASSING.document["instructions"]["max"]


@pytest.mark.parametrize("limits", [Limits(), Limits(79_904, 39_732, MOST)])
def test_limits_that_hold_change_no_verdict(limits):
    report = with_limits(PASSING, limits)
    assert report.passed
    assert report.document["reason"] == PASSING.document["reason"]
    assert all(limit["held"] for limit in report.document["limits"])


@pytest.mark.parametrize(
    ("limits", "problem"),
    [
        (Limits(flash=79_903), "79904 B of flash, limit 79903"),
        (Limits(ram=0), "39732 B of RAM, limit 0"),
        (Limits(instructions=MOST - 1), f"{MOST} instructions in one inference, limit {MOST - 1}"),
    ],
)
def test_one_over_a_limit_fails_the_check(limits, problem, tmp_path):
    report = with_limits(PASSING, limits)
    assert not report.passed
    assert report.document["reason"] == f"all outputs are right, but over a limit: {problem}"
    report.write(tmp_path)
    suite = ElementTree.parse(tmp_path / "junit.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("91", "1")
    assert suite[-1][0].get("message") == problem
    assert "passed over" in (tmp_path / "report.html").read_text()


def test_every_limit_that_does_not_hold_is_named():
    report = with_limits(PASSING, Limits(1, 1, 1))
    assert [limit["name"] for limit in report.document["limits"]] == ["flash", "ram", "instructions"]
    assert report.document["reason"].count("limit 1") == 3


def test_what_was_not_measured_does_not_hold():
    nothing = dict.fromkeys(("min", "median", "max"))
    document = PASSING.document | {"instructions": nothing}
    (limit,) = Limits(instructions=10**12).judge(document)
    assert (limit["value"], limit["held"]) == (None, False)
    assert limit_problem(limit) == f"instructions in one inference: not measured, limit {10**12}"


def test_a_limit_on_instructions_holds_only_if_every_sample_was_measured():
    """The one that was not may be the longest."""
    outputs = made_up_outputs()
    measurement = made_up_measurement(outputs)
    measurement = dataclasses.replace(measurement, ticks=measurement.ticks[:-1])
    some = build_report(
        facts=made_up_facts(),
        samples=made_up_samples(),
        expected=outputs,
        measurement=measurement,
        litert=None,
    )
    report = with_limits(some, Limits(instructions=10**12))
    assert not report.passed
    (limit,) = report.document["limits"]
    assert (limit["value"], limit["measured"], limit["samples"]) == (None, 89, 90)
    problem = f"instructions in one inference: measured in 89 of 90 samples only, limit {10**12}"
    assert limit_problem(limit) == problem
    assert report.document["reason"].endswith(problem)


def test_wrong_outputs_stay_the_reason():
    report = with_limits(made_up_report(wrong=2), Limits(flash=1))
    assert report.document["reason"].startswith("2 of 90 outputs differ")
    assert not report.document["limits"][0]["held"]


def test_the_schema_knows_limits():
    document = json.loads(json.dumps(with_limits(PASSING, Limits(1, 1, 1)).document))
    jsonschema.Draft202012Validator(json.loads(schema_text())).validate(document)


def test_a_board_that_counts_no_instructions_is_refused():
    Limits(flash=1, ram=1).require_countable(load_board("host"))
    Limits(instructions=1).require_countable(load_board("netduinoplus2"))
    for board in ("host", "nucleo_f446re", "mps2_an386", "mps2_an500", "mps3_an547"):
        with pytest.raises(ConfigError, match=r"counts no instructions; try: an emulated STM32 board"):
            Limits(instructions=1).require_countable(load_board(board))
