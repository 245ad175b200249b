# SPDX-License-Identifier: Apache-2.0
import dataclasses
import json
from xml.etree import ElementTree

import numpy as np
import pytest

from mcu_ser.errors import ConfigError
from mcu_ser.toolchain.footprint import Footprint
from mcu_ser.verify.report import Facts, Measurement, build_failure, build_report, discard_report, with_layers
from mcu_ser.verify.samples import Samples

EXPECTED = np.array([[10, -10], [-10, 10], [3, 2]], dtype=np.int8)
FOOTPRINT = Footprint(20_000, 9_000, 1_048_576, 131_072, sections=())
FACTS = Facts("netduinoplus2", "aot", "ab" * 32, "cd" * 16, "tflite-micro 1", (), FOOTPRINT)


def samples(ids=("a", "b", "c")):
    return Samples(np.zeros((3, 4), np.int8), np.array([0, 1, 1]), ("calm", "anger"), ids, "test.npz")


def measured(outputs, *, instructions=True):
    return Measurement(
        outputs=outputs,
        ticks=np.array([30, 10, 20], dtype=np.uint64),
        tick_source="tim2",
        tick_hz=1_000_000_000,
        ticks_are_instructions=instructions,
        link={"frames": 12, "retries": 0, "bytes_per_s": 1000.0},
        stack_high_water_bytes=512,
    )


def build(outputs, **changes):
    arguments = {
        "facts": FACTS,
        "samples": samples(),
        "expected": EXPECTED,
        "measurement": measured(outputs),
        "litert": None,
    } | changes
    return build_report(**arguments)


def test_equal_bytes_pass():
    document = build(EXPECTED.copy()).document
    assert document["verdict"] == "pass"
    assert (document["identical"], document["samples"]) == (3, 3)
    assert document["host"]["uar"] == document["device"]["uar"] == 0.75
    assert document["instructions"] == {"min": 10, "median": 20, "max": 30}
    assert document["flash_bytes"] == 20_000
    assert document["mismatches"] == []


def test_one_wrong_byte_fails_and_is_named():
    wrong = EXPECTED.copy()
    wrong[1, 0] += 1
    report = build(wrong)
    assert not report.passed
    assert report.document["identical"] == 2
    assert report.document["reason"] == "1 of 3 outputs differ from the oracle's; first: b"
    (mismatch,) = report.document["mismatches"]
    assert (mismatch["sample"], mismatch["id"], mismatch["differing_bytes"]) == (1, "b", 1)
    assert (mismatch["expected_hex"], mismatch["device_hex"]) == ("f60a", "f70a")


def test_an_index_may_be_further_off_than_it_has_bits():
    expected, actual = np.zeros((3, 40), np.int32), np.zeros((3, 40), np.int32)
    actual[0] = np.iinfo(np.int32).min
    without_truth = dataclasses.replace(samples(), y=None)
    (mismatch,) = build(actual, expected=expected, samples=without_truth).document["mismatches"]
    assert mismatch["largest_difference"] == 1 << 31
    assert mismatch["device_hex"] == "00000080" * 16


def test_report_has_the_keys_that_others_rely_on():
    document = build(EXPECTED.copy()).document
    assert {
        *("board", "engine", "model_sha256", "samples", "identical", "host", "device", "instructions"),
        *("flash_bytes", "ram_bytes", "link", "verdict", "reason"),
    } <= document.keys()
    assert {"uar", "accuracy"} <= document["host"].keys()
    assert {"frames", "retries", "bytes_per_s"} <= document["link"].keys()


def test_ticks_of_a_real_clock_are_not_called_instructions():
    document = build(EXPECTED.copy(), measurement=measured(EXPECTED.copy(), instructions=False)).document
    assert document["instructions"]["median"] is None
    assert document["ticks"]["source"] == "tim2"


def test_disturbed_inferences_are_not_measured():
    disturbed = dataclasses.replace(measured(EXPECTED.copy()), ticks=np.array([], dtype=np.uint64))
    document = build(EXPECTED.copy(), measurement=disturbed).document
    assert document["verdict"] == "pass"
    nothing = {"min": None, "median": None, "max": None}
    assert document["instructions"] == nothing
    assert document["ticks"] == nothing | {"source": "tim2", "hz": 1_000_000_000, "histogram": None}


def test_litert_is_reported_beside_and_never_decides():
    document = build(EXPECTED.copy(), litert=EXPECTED + np.int8(1)).document
    assert document["verdict"] == "pass"
    assert document["litert"]["samples_differing_from_oracle"] == 3


def test_missing_answers_are_never_a_report():
    with pytest.raises(ValueError, match="3 samples"):
        build(EXPECTED[:2])


def test_files(tmp_path):
    wrong = EXPECTED.copy()
    wrong[2, 1] = 99
    report_path, junit_path, _ = build(wrong, samples=samples(ids=("a", 'b<&"', "c\x00"))).write(tmp_path)
    assert json.loads(report_path.read_text())["verdict"] == "fail"
    suite = ElementTree.parse(junit_path).getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("3", "1")
    assert [case.get("name") for case in suite] == ["a", 'b<&"', "c�"]
    assert suite[2][0].get("message") == "1 output bytes differ from the oracle's"


def test_a_failed_run_has_every_key_of_a_finished_one():
    finished, failed = build(EXPECTED.copy()).document, build_failure(FACTS, samples(), "silence").document
    assert failed.keys() == finished.keys()
    for key in ("host", "device", "instructions", "ticks"):
        assert failed[key].keys() == finished[key].keys()
    assert failed["link"].keys() <= finished["link"].keys()
    assert failed["flash_bytes"] == finished["flash_bytes"]


def test_a_directory_that_cannot_take_a_report(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        build(EXPECTED.copy()).write(file)
    blocked = tmp_path / "blocked"
    (blocked / "report.json").mkdir(parents=True)
    with pytest.raises(ConfigError, match="try: another place"):
        build(EXPECTED.copy()).write(blocked)
    with pytest.raises(ConfigError, match="cannot take a report"):
        discard_report(blocked)


def test_an_older_report_is_discarded(tmp_path):
    build(EXPECTED.copy()).write(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    discard_report(tmp_path)
    discard_report(tmp_path / "not-there")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_an_aborted_run_is_a_failure_with_one_failing_case(tmp_path):
    report = build_failure(FACTS, samples(), "port went away at sample 2")
    _, junit_path, _ = report.write(tmp_path)
    assert report.document["verdict"] == "fail"
    assert report.document["identical"] is None
    suite = ElementTree.parse(junit_path).getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("1", "1")
    assert suite[0][0].get("message") == "port went away at sample 2"


LAYERS = {"sample": 0, "sample_id": "a", "first_wrong": None, "ticks": None, "layers": []}


def test_a_report_has_layers_only_when_they_were_asked_for(tmp_path):
    report = build(EXPECTED.copy())
    assert report.document["layers"] is None
    assert build_failure(FACTS, samples(), "why").document["layers"] is None
    asked = with_layers(report, LAYERS, None)
    assert asked.document["layers"] == LAYERS | {"problem": None}
    assert asked.passed
    asked.write(tmp_path)
    suite = ElementTree.parse(tmp_path / "junit.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("4", "0")


def test_a_wrong_layer_fails_a_check_whose_outputs_are_right(tmp_path):
    report = with_layers(build(EXPECTED.copy()), LAYERS, "layer 1 differs")
    assert not report.passed
    assert report.document["reason"] == "all outputs are right, but layer 1 differs"
    report.write(tmp_path)
    suite = ElementTree.parse(tmp_path / "junit.xml").getroot()[0]
    assert [(case.get("name"), case[0].get("message")) for case in suite if len(case)] == [
        ("layers", "layer 1 differs")
    ]


def test_a_wrong_output_stays_the_reason_when_its_layer_is_known():
    wrong = EXPECTED.copy()
    wrong[1, 0] += 1
    report = with_layers(build(wrong), LAYERS, "layer 1 differs")
    assert report.document["reason"] == "1 of 3 outputs differ from the oracle's; first: b"
    assert report.document["layers"]["problem"] == "layer 1 differs"
