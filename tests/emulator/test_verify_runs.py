# SPDX-License-Identifier: Apache-2.0
"""`verify` with --resume, --repeat-every and several --port, as a user calls it, on host builds."""

import json
import os
import shutil
import signal
from contextlib import ExitStack

import pytest

from mcu_ser.cli.main import main
from mcu_ser.device.host_process import HostProcess
from mcu_ser.programs import CMAKE, NINJA
from mcu_ser.verify import shards
from mcu_ser.wording import counted
from tests.tiny_model import tiny_classifier

ABSENT = [program.command for program in (CMAKE, NINJA) if program.find() is None]
if shutil.which("cc") is None:
    ABSENT.append("cc")

pytestmark = [
    pytest.mark.emulator,
    pytest.mark.skipif(bool(ABSENT), reason=f"not installed: {', '.join(ABSENT)}"),
]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    directory = tmp_path_factory.mktemp("runs")
    (directory / "tiny.tflite").write_bytes(tiny_classifier())
    path = directory / "project"
    assert main(["generate", str(directory / "tiny.tflite"), "--board", "host", "--out", str(path)]) == 0
    assert main(["build", str(path)]) == 0
    return path


@pytest.fixture
def two_boards(project):
    with ExitStack() as stack:
        program = project / "build" / "firmware"
        yield [stack.enter_context(HostProcess(program)) for _ in range(2)]


def verify(project, out, *options):
    return main(["verify", str(project), "--out", str(out), "--no-litert", *map(str, options)])


def report_of(directory):
    return json.loads((directory / "report.json").read_text())


def after(monkeypatch, count, happen):
    """Have something happen behind so many answers."""
    done, seen = shards.Ledger.done, []

    def counting(self, board, answer):
        done(self, board, answer)
        seen.append(board)
        if len(seen) == count:
            happen(board)

    monkeypatch.setattr(shards.Ledger, "done", counting)


def content(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def interrupt(board):
    raise KeyboardInterrupt


def same_but_for_time_and_link(report):
    command = report["provenance"].pop("command")
    assert command.startswith("mcu-ser verify ")
    return {key: value for key, value in report.items() if key not in ("link", "ticks")}


@pytest.mark.parametrize("count", [1, 17, 41])
def test_an_interrupted_run_is_continued(project, tmp_path, monkeypatch, capsys, caplog, count):
    assert verify(project, tmp_path / "whole", "--random", 40) == 0
    out = tmp_path / "part"
    with monkeypatch.context() as patch:
        after(patch, count, interrupt)
        assert verify(project, out, "--random", 40) == 130
    assert (report_of(out)["verdict"], report_of(out)["reason"]) == ("fail", "interrupted")
    assert (out / "journal.jsonl").is_file()
    kept = f"interrupted; {out / 'journal.jsonl'} keeps {counted(count, 'answer')}; the same command with --r"
    assert kept in capsys.readouterr().err
    assert caplog.text == ""
    assert verify(project, out, "--random", 40, "--resume") == 0
    whole, part = (same_but_for_time_and_link(report_of(tmp_path / name)) for name in ("whole", "part"))
    assert part == whole
    assert part["repeats"] == {"every": 16, "samples": 3, "across_boards": 0}
    assert (tmp_path / "whole" / "junit.xml").read_bytes() == (out / "junit.xml").read_bytes()
    assert not (out / "journal.jsonl").exists()
    # It is complete: there is nothing to go on with, and nothing to lose.
    before = content(out)
    assert verify(project, out, "--random", 40, "--resume") == 2
    assert "report.json: is of a complete run, verdict pass" in capsys.readouterr().err
    assert content(out) == before


@pytest.mark.parametrize(
    "options",
    [
        ("--samples", "mistyped.npz"),
        ("--random", 0),
        ("--random", 4, "--seed", -1),
        ("--random", 4, "--bisect"),
        ("--random", 4, "--sample", 1),
        ("--random", 4, "--max-instructions", 1),
        ("--random", 4, "--certify-arena"),
        ("--random", 4, "--port", "a", "--port", "a"),
        ("--random", 5, "--resume"),
    ],
    ids=str,
)
def test_what_is_refused_changes_nothing(project, tmp_path, options):
    assert verify(project, tmp_path, "--random", 4) == 0
    before = content(tmp_path)
    assert verify(project, tmp_path, *options) == 2
    assert content(tmp_path) == before


def test_a_project_that_cannot_be_verified_changes_nothing(project, tmp_path):
    out, unbuilt = tmp_path / "out", tmp_path / "unbuilt"
    assert verify(project, out, "--random", 4) == 0
    before = content(out)
    shutil.copytree(project, unbuilt, ignore=shutil.ignore_patterns("build"))
    for path in (unbuilt, tmp_path / "missing"):
        assert verify(path, out, "--random", 4) == 2
        assert content(out) == before


def test_a_dead_port_replaces_the_report_and_keeps_the_journal(project, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        after(patch, 35, interrupt)
        assert verify(project, tmp_path, "--random", 40) == 130
    journal = (tmp_path / "journal.jsonl").read_bytes()
    capsys.readouterr()
    assert verify(project, tmp_path, "--random", 40, "--port", "/dev/ttyNONE7", "--json") == 4
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["exit_code"], error["subject"]) == (4, "/dev/ttyNONE7")
    assert "/dev/ttyNONE7: cannot be opened" in report_of(tmp_path)["reason"]
    assert (tmp_path / "journal.jsonl").read_bytes() == journal
    assert verify(project, tmp_path, "--random", 40, "--resume") == 0


def test_other_samples_are_another_run(project, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        after(patch, 5, interrupt)
        assert verify(project, tmp_path, "--random", 40) == 130
    assert verify(project, tmp_path, "--random", 40, "--seed", 2, "--resume") == 2
    assert "is the journal of another run: samples sha256" in capsys.readouterr().err
    assert report_of(tmp_path)["verdict"] == "fail"


def test_two_boards_share_a_run(project, tmp_path, two_boards, capsys):
    ports = [word for board in two_boards for word in ("--port", board.url)]
    assert verify(project, tmp_path, "--random", 64, "--repeat-every", 4, *ports) == 0
    report = report_of(tmp_path)
    assert report["identical"] == 64
    assert report["repeats"] == {"every": 4, "samples": 16, "across_boards": 16}
    assert [board["port"] for board in report["boards"]] == [board.url for board in two_boards]
    assert sum(board["samples"] for board in report["boards"]) == 64
    assert "16 samples, 16 by two boards" in capsys.readouterr().out


def test_one_of_two_boards_dies_in_the_middle(project, tmp_path, two_boards, monkeypatch, capsys):
    after(monkeypatch, 30, lambda board: os.kill(two_boards[1].pid, signal.SIGKILL))
    ports = [word for board in two_boards for word in ("--port", board.url)]
    assert verify(project, tmp_path, "--random", 300, *ports) == 0
    report = report_of(tmp_path)
    assert report["identical"] == 300
    kept, lost = report["boards"]
    assert kept["lost"] is None
    assert two_boards[1].url in lost["lost"]
    assert kept["samples"] + lost["samples"] == 300
    assert "; lost: " in capsys.readouterr().out


def test_all_boards_die(project, tmp_path, two_boards, monkeypatch, capsys):
    def kill(board):
        for device in two_boards:
            os.kill(device.pid, signal.SIGKILL)

    after(monkeypatch, 20, kill)
    ports = [word for board in two_boards for word in ("--port", board.url)]
    assert verify(project, tmp_path, "--random", 300, *ports) == 4
    assert "all 2 boards are lost" in capsys.readouterr().err
    assert report_of(tmp_path)["verdict"] == "fail"
    monkeypatch.undo()
    # What they have computed is not lost: a board of the same kind goes on.
    assert verify(project, tmp_path, "--random", 300, "--resume") == 0
    assert report_of(tmp_path)["identical"] == 300
    assert report_of(tmp_path)["boards"][0]["samples"] <= 280


def test_a_board_that_is_not_there_is_found_before_the_run(project, tmp_path, two_boards, capsys):
    """It is no board that was lost: the user has named it."""
    absent = "/dev/ttyNONE7"
    assert verify(project, tmp_path, "--random", 8, "--port", two_boards[0].url, "--port", absent) == 4
    assert f"{absent}: cannot be opened" in capsys.readouterr().err
    report = report_of(tmp_path)
    assert (report["verdict"], report["boards"]) == ("fail", [])


def test_a_second_board_with_other_firmware_is_refused(project, tmp_path, two_boards, capsys):
    (tmp_path / "other.tflite").write_bytes(tiny_classifier(seed=2))
    other = tmp_path / "project"
    assert main(["generate", str(tmp_path / "other.tflite"), "--board", "host", "--out", str(other)]) == 0
    assert main(["build", str(other)]) == 0
    with HostProcess(other / "build" / "firmware") as stranger:
        ports = ("--port", two_boards[0].url, "--port", stranger.url)
        assert verify(project, tmp_path / "report", "--random", 8, *ports) == 4
    assert f"{stranger.url}: the board has model SHA-256" in capsys.readouterr().err
    assert report_of(tmp_path / "report")["boards"] == []


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--port", "socket://127.0.0.1:9", "--port", "socket://127.0.0.1:9"), "is named twice"),
        (("--certify-arena", "--port", "a", "--port", "b"), "--certify-arena: asks one board"),
        (("--certify-arena", "--resume"), "--resume: goes on with the firmware as it was"),
        (("--repeat-every", "-3"), "'-3' is no number from 0"),
    ],
)
def test_options_that_make_no_sense(project, tmp_path, capsys, options, problem):
    try:
        code = verify(project, tmp_path / "out", "--random", 4, *options)
    except SystemExit as end:
        code = end.code
    assert code == 2
    assert problem in capsys.readouterr().err
