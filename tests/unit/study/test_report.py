# SPDX-License-Identifier: Apache-2.0
import csv
import dataclasses
import json

import pytest

from mcu_ser.errors import CheckFailedError, ConfigError
from mcu_ser.study import statistics
from mcu_ser.study.report import CSV_COLUMNS, write_report
from mcu_ser.study.terminal import results_table, verdict_lines
from tests.made_up_study import made_up_study

ROWS = (("ds_cnn 16", ("speech_only", "fine_tuning", "nsl"), (1, 2)),)
FILES = ["study.csv", "study.html", "study.json", "study_run.json"]


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    monkeypatch.setattr(statistics, "DRAWS", 300)


def test_files(tmp_path):
    summary = write_report(tmp_path, made_up_study(ROWS))
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES
    assert json.loads((tmp_path / "study.json").read_text(encoding="utf-8")) == json.loads(
        json.dumps(summary.document)
    )
    assert summary.document["format"] == 1


def test_the_same_cells_give_the_same_bytes_whatever_they_took(tmp_path):
    study = made_up_study(ROWS)
    slower = tuple(
        dataclasses.replace(cell, processor_seconds=3 * cell.processor_seconds) for cell in study.cells[::-1]
    )
    again = dataclasses.replace(
        study, cells=slower, seconds=7.0, hardware="64 cores", command="mcu-ser study --jobs 64"
    )
    write_report(tmp_path / "a", study)
    write_report(tmp_path / "b", again)
    for name in ("study.json", "study.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    facts = json.loads((tmp_path / "b" / "study_run.json").read_text())
    assert (facts["command"], facts["hardware"], facts["seconds"]) == (
        "mcu-ser study --jobs 64",
        "64 cores",
        7,
    )
    assert facts["choosing_processor_seconds"] == 12.5
    assert facts["cells"][0] == {
        "model": "ds_cnn 16",
        "approach": "fine_tuning",
        "fold": 1,
        "seed": 1,
        "processor_seconds": 213.0,
    }
    assert "64 cores" in (tmp_path / "b" / "study.html").read_text(encoding="utf-8")


def test_csv_has_a_row_per_cell_and_stage(tmp_path):
    summary = write_report(tmp_path, made_up_study(ROWS))
    with (tmp_path / "study.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(rows[0]) == CSV_COLUMNS
    assert len(rows) == 30 * 4
    for row, (cell, stage) in zip(
        rows,
        ((cell, stage) for cell in summary.document["cells"] for stage in summary.document["stages"]),
        strict=True,
    ):
        assert (row["approach"], int(row["fold"]), int(row["seed"])) == (
            cell["approach"],
            cell["fold"],
            cell["seed"],
        )
        assert row["stage"] == stage
        assert float(row["uar"]) == cell["stages"][stage]["uar"]
        assert int(row["utterances"]) == 106
    assert (rows[0]["homophily"], rows[0]["chosen"]) == ("", "")
    assert (rows[-1]["edges"], rows[-1]["chosen"]) == ("424", "multiplier=0.1 neighbours=6")


def test_an_incomplete_grid_leaves_no_report(tmp_path):
    study = made_up_study(ROWS)
    with pytest.raises(CheckFailedError, match="lacks 1 of 30 cells"):
        write_report(tmp_path, dataclasses.replace(study, cells=study.cells[1:]))
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="a part of its path is a file"):
        write_report(tmp_path / "file" / "study", made_up_study(ROWS))


def test_terminal(tmp_path):
    from rich.console import Console

    rows = (*ROWS, ("mobilenet15 0.25", ("speech_only", "nsl_fine_tuning"), (1,)))
    summary = write_report(tmp_path, made_up_study(rows))
    with (tmp_path / "terminal.txt").open("w", encoding="utf-8") as stream:
        Console(width=100, file=stream).print(results_table(summary))
    text = (tmp_path / "terminal.txt").read_text(encoding="utf-8")
    assert "…" not in text
    assert {"ds_cnn 16", "mobilenet15 0.25"} <= {line.strip() for line in text.splitlines()}
    for result in summary.document["results"]:
        uars = [f"{stage['uar']:.3f}" for stage in result["stages"].values()]
        (line,) = [line for line in text.splitlines() if all(uar in line for uar in uars)]
        low, high = result["stages"]["int8"]["interval"]
        assert f"{low:.3f} to {high:.3f}" in line
        assert line.split()[-3:] == [str(result["weight_bytes"]), "50%", str(len(result["seeds"]))]
    said = verdict_lines(summary)
    assert said[0] == summary.document["verdict"][0]["headline"]
    assert said[1] == f"  {summary.document['verdict'][0]['sentences'][0]}"
    assert len(said) == sum(1 + len(each["sentences"]) for each in summary.document["verdict"])
