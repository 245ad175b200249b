# SPDX-License-Identifier: Apache-2.0
"""What a report says of features: which maps differ, and what the front end takes."""

import json
from xml.etree import ElementTree

from mcu_ser.cli.main import main
from mcu_ser.report.page import render_page
from mcu_ser.verify.report_schema import ReportDocument
from tests.made_up_audio import audio_report, made_up_audio
from tests.made_up_report import made_up_report

NEEDS = {
    "frames": 24,
    "frame_ms": 16.0,
    "dsp": True,
    "instructions_per_frame": 24_104,
    "instructions_per_map": 4_512,
    "instructions_per_clip": 583_008,
    "cycles_per_frame": 33_000,
    "cycles_per_map": 5_800,
    "flash_bytes": 10_000,
    "ram_bytes": 5_000,
}


def test_equal_maps_and_outputs_pass() -> None:
    report = audio_report()
    assert report.passed
    assert report.document["reason"] == (
        "all 90 feature maps and outputs equal the host's and the oracle's byte for byte"
    )
    assert report.document["audio"] == {
        "clips": 90,
        "samples": 9000,
        "stream": False,
        "identical": 90,
        "mismatches": [],
        "front_end": {"rows": 24, "ticks": 600_000, "ticks_per_row": 25_000.0},
        "front_end_needs": None,
    }
    ReportDocument.model_validate_json(json.dumps(report.document))


def test_a_wrong_map_fails_though_the_output_is_right() -> None:
    report = audio_report({7: {"frame": 3, "band": 5, "values": 4}, 80: {"frame": 0, "band": 0}})
    assert not report.passed
    samples = made_up_audio()
    expected = int(samples.x[7][3 * 8 + 5])
    assert report.document["reason"] == (
        f"2 of 90 feature maps differ from the host's; first: clip-7, frame 3, band 5: {expected + 1}, "
        f"expected {expected}"
    )
    assert report.document["identical"] == 90
    audio = report.document["audio"]
    assert audio["identical"] == 88
    assert [entry["sample"] for entry in audio["mismatches"]] == [7, 80]
    first = audio["mismatches"][0]
    assert (first["frame"], first["band"], first["differing_bytes"], first["largest_difference"]) == (
        3,
        5,
        4,
        1,
    )
    ReportDocument.model_validate_json(json.dumps(report.document))


def test_the_features_are_named_before_the_outputs_that_they_spoil() -> None:
    report = audio_report({0: {"frame": 1, "band": 1}}, wrong_outputs=1)
    assert report.document["reason"].startswith("1 of 90 feature maps differ")
    assert report.document["mismatches"][0]["sample"] == 0


def test_right_maps_and_a_wrong_output_fail() -> None:
    report = audio_report(wrong_outputs=2)
    assert report.document["reason"] == "2 of 90 outputs differ from the oracle's; first: clip-0"


def test_junit_says_what_differs(tmp_path) -> None:
    audio_report(
        {0: {"frame": 1, "band": 1, "values": 3}, 5: {"frame": 0, "band": 0}}, wrong_outputs=1
    ).write(tmp_path)
    cases = ElementTree.parse(tmp_path / "junit.xml").getroot()[0]
    assert (cases.get("tests"), cases.get("failures")) == ("90", "2")
    said = {case.get("name"): case[0].get("message") for case in cases if len(case)}
    assert said == {
        "clip-0": "3 features differ from the host's; 1 output bytes differ from the oracle's",
        "clip-5": "1 features differ from the host's",
    }


def test_the_page_shows_the_maps() -> None:
    passing = render_page(audio_report().document)
    assert "feature maps equal to the host&#39;s" in passing
    assert "90 of 90 clips" in passing
    assert "600,000 instructions for 24 frames" in passing
    assert "where each differs first" not in passing
    failing = render_page(audio_report({7: {"frame": 3, "band": 5}}).document)
    assert "frame 3, band 5" in failing
    assert "The first 1 of 1 maps that differ" in failing


def test_the_page_says_what_the_front_end_takes_apart_from_the_model() -> None:
    report = audio_report(needs=NEEDS)
    document = json.loads(json.dumps(report.document))
    assert document["audio"]["front_end_needs"] == NEEDS
    ReportDocument.model_validate_json(json.dumps(document))
    page = render_page(document)
    assert "instructions are those of a Cortex-M4 with DSP instructions" in page
    for name, figure in (
        ("instructions per frame of 16 ms", "24,104"),
        ("instructions per map", "4,512"),
        ("instructions per clip of 24 frames", "583,008"),
        ("estimated cycles per frame", "33,000"),
        ("estimated cycles per map", "5,800"),
        ("flash, at most", "10,000 B"),
        ("RAM", "5,000 B"),
    ):
        assert f"<dt>{name}</dt><dd>{figure}</dd>" in page
    without = audio_report(needs=NEEDS | {"dsp": False})
    assert "a Cortex-M4 without DSP instructions" in render_page(without.document)
    assert "apart from the model" not in render_page(audio_report().document)
    assert "apart from the model" not in render_page(made_up_report().document)


def test_a_report_from_before_anybody_told_is_still_read(tmp_path) -> None:
    document = audio_report().document
    del document["audio"]["front_end_needs"]
    ReportDocument.model_validate_json(json.dumps(document))
    assert "apart from the model" not in render_page(document)


def test_two_runs_with_audio_are_compared_by_what_they_heard(tmp_path, capsys) -> None:
    for name, needs in (("a", NEEDS), ("b", NEEDS | {"flash_bytes": 10_400})):
        (tmp_path / name).mkdir()
        audio_report(needs=needs).write(tmp_path / name)
    assert main(["report", "diff", str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "front end, told: flash, at most │ 10,000 B │ 10,400 B" in shown
    assert "feature maps equal to the host's │ 90 of 90 clips │ 90 of 90 clips" in shown


def test_many_wrong_maps_are_counted_and_some_named() -> None:
    report = audio_report({index: {"frame": 0, "band": 0} for index in range(50)})
    assert report.document["audio"]["identical"] == 40
    assert len(report.document["audio"]["mismatches"]) == 20
