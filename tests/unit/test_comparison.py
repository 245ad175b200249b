# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest

from mcu_ser.cli.compare import _show
from mcu_ser.cli.console import Output
from mcu_ser.compare.comparison import Comparison, Side, discard_comparison
from mcu_ser.errors import ConfigError
from mcu_ser.toolchain.firmware_parts import FirmwareParts, Part
from mcu_ser.toolchain.footprint import Footprint
from mcu_ser.verify.report import Facts, Measurement, build_report
from mcu_ser.verify.samples import Samples

EXPECTED = np.array([[1, 2], [3, 4], [5, 6]], np.int8)
IDS = ("calm", "angry", "sad")
PARTS = FirmwareParts({Part.MODEL: 700, Part.KERNELS: 300}, {Part.ARENA: 64, Part.APPLICATION: 36})


def outputs(*changes):
    """The oracle's outputs, but for one byte of each of these samples."""
    changed = EXPECTED.copy()
    changed[list(changes), 1] += 1
    return changed


def side(
    answers=EXPECTED, *, name="a", board="b1", ticks=(7, 9, 8), source="tim2", hz=0, counted=True, parts=PARTS
):
    samples = Samples(x=np.zeros((3, 4), np.int8), y=None, labels=None, ids=IDS, origin="s.npz")
    footprint = Footprint(1000, 100, 2000, None, ())
    facts = Facts(board, "aot", "ab" * 32, "cd" * 16, "tflite-micro 0", (), footprint)
    measurement = Measurement(
        outputs=answers,
        ticks=np.array(ticks, np.uint64),
        tick_source=source,
        tick_hz=hz,
        ticks_are_instructions=counted,
        link={"frames": 1, "retries": 0, "bytes_per_s": 1.0},
        stack_high_water_bytes=40,
    )
    report = build_report(
        facts=facts, samples=samples, expected=EXPECTED, measurement=measurement, litert=None
    )
    return Side(name, 64, "planned", parts, report, answers)


def test_equal_bytes_pass():
    comparison = Comparison(side(), side(name="b"), IDS)
    assert comparison.passed
    document = comparison.document()
    assert (document["verdict"], document["identical"], document["mismatches"]) == ("pass", 3, [])
    assert document["reason"] == "all 3 outputs of both equal the oracle's byte for byte"
    assert [project["name"] for project in document["projects"]] == ["a", "b"]
    assert document["projects"][0]["flash_parts"] == {"model": 700, "kernels": 300}
    assert document["projects"][0]["instructions"]["median"] == 8


def test_one_byte_of_one_side_fails():
    comparison = Comparison(side(), side(outputs(1, 2)), IDS)
    assert not comparison.passed
    document = comparison.document()
    assert (document["verdict"], document["identical"]) == ("fail", 1)
    assert document["reason"] == (
        "2 of 3 outputs differ from each other, first: angry; from the oracle's differ 2 of B"
    )
    assert document["mismatches"] == [
        {"sample": 1, "id": "angry", "differing_bytes": 1},
        {"sample": 2, "id": "sad", "differing_bytes": 1},
    ]


def test_agreeing_on_a_wrong_answer_fails():
    comparison = Comparison(side(outputs(0)), side(outputs(0)), IDS)
    assert not comparison.passed
    assert comparison.identical == 3
    assert comparison.reason == "all 3 outputs equal each other; from the oracle's differ 1 of A and 1 of B"


@pytest.mark.parametrize(
    "other", [{"board": "b2"}, {"source": "dwt"}, {"hz": 64_000_000}, {"counted": False}, {"ticks": ()}]
)
def test_durations_are_compared_on_equal_ground_alone(other, capsys):
    assert Comparison(side(), side(), IDS).ticks_comparable
    comparison = Comparison(side(), side(**other), IDS)
    assert not comparison.ticks_comparable
    _show(Output(), comparison.document())
    text = capsys.readouterr().out
    assert "durations are not on equal ground" in text
    assert "per inference" in text


def test_the_table_names_parts_ratios_and_verdict(capsys):
    larger = FirmwareParts({Part.MODEL: 1400, Part.RUNTIME: 10}, {Part.ARENA: 128})
    _show(Output(), Comparison(side(), side(parts=larger, ticks=(16,)), IDS).document())
    lines = [
        [cell.strip() for cell in line.strip("│").split("│")] for line in capsys.readouterr().out.splitlines()
    ]
    assert ["flash: model", "700", "1,400", "2.00"] in lines
    assert ["flash: kernels", "300", "0", "0.00"] in lines
    assert ["flash: runtime", "0", "10", ""] in lines
    assert ["flash: total", "1,000", "1,000", "1.00"] in lines
    assert ["ram: arena", "64", "128", "2.00"] in lines
    assert ["instructions per inference (median)", "8", "16", "2.00"] in lines
    assert ["outputs equal to the oracle's", "3 of 3", "3 of 3", ""] in lines
    assert ["outputs equal to each other", "3 of 3", "3 of 3", ""] in lines


def test_parts_that_are_not_known_are_said_to_be(capsys):
    comparison = Comparison(side(), side(parts=None), IDS)
    assert comparison.document()["projects"][1]["flash_parts"] is None
    _show(Output(), comparison.document())
    text = capsys.readouterr().out
    assert "unknown" in text
    assert "the build of B leaves no linker map" in text


def test_the_report_is_the_document_and_is_discarded_before_a_run(tmp_path):
    comparison = Comparison(side(), side(), IDS)
    path = comparison.write(tmp_path / "out")
    assert json.loads(path.read_text()) == comparison.document()
    discard_comparison(tmp_path / "out")
    assert not path.exists()
    discard_comparison(tmp_path / "never")


def test_a_report_that_cannot_be_discarded_is_an_error(tmp_path):
    (tmp_path / "compare.json").mkdir()
    with pytest.raises(ConfigError, match="cannot take a report"):
        discard_comparison(tmp_path)
