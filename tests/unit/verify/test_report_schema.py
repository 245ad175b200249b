# SPDX-License-Identifier: Apache-2.0
import copy
import json

import jsonschema
import numpy as np
import pytest

from mcu_ser.artifacts import canonical_json
from mcu_ser.errors import ConfigError
from mcu_ser.verify.report_schema import SCHEMA, SCHEMA_PATH, read_report, schema_text
from tests.made_up_report import made_up_abort, made_up_facts, made_up_report, made_up_trace

REPORTS = {
    "passing": made_up_report(),
    "failing": made_up_report(wrong=3),
    "failing, of int16": made_up_report(wrong=3, wide=np.int16),
    "failing, of indices": made_up_report(wrong=3, wide=np.int32, labelled=False),
    "aborted": made_up_abort(),
    "without labels": made_up_report(labelled=False, litert=False),
    "without background": made_up_report(background=None),
    "profiled": made_up_trace(made_up_report()),
    "bisected": made_up_trace(made_up_report(wrong=3), wrong=True, profile=False),
    "on the host": made_up_report(board="host", **{"footprint": made_up_facts().footprint}),
}


@pytest.fixture(scope="module")
def schema():
    return json.loads(SCHEMA_PATH.read_text(encoding="utf-8"))


def test_the_schema_that_is_checked_in_is_that_of_the_code(request):
    if request.config.getoption("--update-golden"):
        SCHEMA_PATH.write_text(schema_text(), encoding="utf-8")
    assert SCHEMA_PATH.read_text(encoding="utf-8") == schema_text()


def test_the_schema_is_one(schema):
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["properties"]["schema"]["const"] == SCHEMA
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize("name", REPORTS)
def test_every_report_is_as_the_schema_says(schema, name, tmp_path):
    report = REPORTS[name]
    report.write(tmp_path)
    document = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(document)
    assert read_report(tmp_path) == read_report(tmp_path / "report.json") == document


def test_the_schema_requires_all_that_a_report_has(schema):
    assert set(schema["required"]) == set(schema["properties"])


DAMAGES = {
    "an unknown key": lambda document: document.update(surprise=1),
    "a missing key": lambda document: document.pop("identical"),
    "a number as text": lambda document: document.update(identical="90"),
    "another version": lambda document: document.update(schema=1),
    "a verdict of its own": lambda document: document.update(verdict="maybe"),
    "a share above one": lambda document: document["host"].update(uar=1.5),
    "a hash that is none": lambda document: document.update(model_sha256="../../etc"),
    "an unknown key within": lambda document: document["ticks"].update(min_ns=1),
    "text among link counters": lambda document: document["link"].update(frames2="x"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_report_is_refused(schema, name, tmp_path):
    document = copy.deepcopy(REPORTS["passing"].document)
    DAMAGES[name](document)
    assert not jsonschema.Draft202012Validator(schema).is_valid(document)
    (tmp_path / "report.json").write_text(canonical_json(document), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"is not a report of this version .*; try: mcu-ser verify again"):
        read_report(tmp_path)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"null", b"\xff\xfe", b'{"schema": NaN}'])
def test_what_is_no_report_is_refused(content, tmp_path):
    (tmp_path / "report.json").write_bytes(content)
    with pytest.raises(ConfigError, match=r"report\.json: "):
        read_report(tmp_path)


def test_a_directory_without_a_report(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot be read .*try: the --out directory of a `mcu-ser verify`"):
        read_report(tmp_path)
