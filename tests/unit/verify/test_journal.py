# SPDX-License-Identifier: Apache-2.0
"""The journal: what it holds after any end of a run, and what it refuses to go on with."""

import dataclasses
import json
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcu_ser.errors import ConfigError, DeviceFaultError
from mcu_ser.verify.client import Answer, Client
from mcu_ser.verify.harness import run_boards
from mcu_ser.verify.journal import JOURNAL_NAME, Journal, RunIdentity, read_journal
from mcu_ser.verify.protocol import MessageType
from mcu_ser.verify.shards import Ledger, Task
from tests.lossy_link import PretendBoard, ScriptedLink
from tests.unit.verify.test_harness import MODEL_SMALL, SHORT, expectation, expected_outputs

X = MODEL_SMALL.samples(12)
EVERY = 5  # samples 0, 5, 10


def identity(**changes):
    original = RunIdentity.of(
        model_sha256="ab" * 32, build_id="cd" * 16, x=X, output_bytes=5, repeat_every=EVERY
    )
    return dataclasses.replace(original, **changes)


def line(values):
    text = json.dumps(values).encode()
    return b"%08x %b\n" % (zlib.crc32(text), text)


def entry(**changes):
    values = {"sample": 1, "again": False, "port": None, "output": "00" * 5, "ticks": 7, "undisturbed": True}
    return values | changes


def written(directory, *entries):
    path = directory / JOURNAL_NAME
    head = {"schema": 1} | dataclasses.asdict(identity())
    path.write_bytes(b"".join(map(line, (head, *entries))))
    return path


def run(directory, board, *, resume=False, port="a"):
    journal, known = (
        Journal.resume(directory, identity()) if resume else (Journal.begin(directory, identity()), ())
    )
    with journal:
        ledger = Ledger(len(X), 5, [port], repeat_every=EVERY, journal=journal, known=known)
        return run_boards([Client(ScriptedLink(board), SHORT)], expectation(MODEL_SMALL), X, ledger)


def mute_after(count):
    return PretendBoard(
        MODEL_SMALL,
        {MessageType.INFER: lambda board, frame: [board.answer(frame)] if board.inferences < count else []},
    )


@pytest.mark.parametrize("answered", [1, 4, 11, 12, 13, 14])
def test_a_resumed_run_gives_what_an_uninterrupted_one_gives(tmp_path, answered):
    whole = run(tmp_path / "whole", PretendBoard(MODEL_SMALL))
    with pytest.raises(Exception, match="no answer to INFER"):
        run(tmp_path / "part", mute_after(answered))
    board = PretendBoard(MODEL_SMALL)
    resumed = run(tmp_path / "part", board, resume=True)
    # What is left, and one sample that shows that this board computes what the journal says.
    assert board.inferences == 12 + 3 - answered + 1
    np.testing.assert_array_equal(resumed.outputs, expected_outputs(X, MODEL_SMALL))
    for name in ("outputs", "ticks", "undisturbed"):
        np.testing.assert_array_equal(getattr(resumed, name), getattr(whole, name))
    assert resumed.repeats == whole.repeats
    assert resumed.boards == whole.boards


def test_a_run_may_go_on_with_another_board(tmp_path):
    with pytest.raises(Exception, match="no answer to INFER"):
        run(tmp_path, mute_after(4), port="a")
    resumed = run(tmp_path, PretendBoard(MODEL_SMALL), resume=True, port="b")
    assert [(share.port, share.ranges) for share in resumed.boards] == [("b", "4-11"), ("a", "0-3")]
    assert resumed.repeats.across_boards == 1  # sample 0


def test_a_board_that_does_not_compute_what_the_journal_says_is_refused(tmp_path):
    written(tmp_path, entry(sample=3, port="a"))
    board = PretendBoard(MODEL_SMALL)
    with pytest.raises(DeviceFaultError, match="sample 3 gives other bytes than before"):
        run(tmp_path, board, resume=True)
    assert board.inferences == 1


@settings(max_examples=60)
@given(st.integers(0, 2000))
def test_a_journal_that_was_cut_anywhere_keeps_its_whole_lines(tmp_path_factory, cut):
    directory = tmp_path_factory.mktemp("journal")
    with Journal.begin(directory, identity()) as journal:
        for sample in range(12):
            journal.append(Task(sample, again=False), "a", Answer(bytes(5), sample, True))
    path = directory / JOURNAL_NAME
    data = path.read_bytes()[:cut]
    path.write_bytes(data)
    lines = data.count(b"\n")
    if lines == 0:
        with pytest.raises(ConfigError, match="holds nothing to continue"):
            Journal.resume(directory, identity())
        return
    journal, records = Journal.resume(directory, identity())
    with journal:
        assert [record.sample for record in records] == list(range(lines - 1))
        if lines < 13:
            journal.append(Task(11, again=False), "a", Answer(bytes(5), 1, True))
    assert len(read_journal(path, identity())[0]) == min(lines, 12)


@settings(max_examples=100)
@given(st.data())
def test_a_byte_that_is_wrong_is_found(tmp_path_factory, data):
    path = written(tmp_path_factory.mktemp("journal"), entry(), entry(sample=2))
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 2))  # without the last line end, the last line is torn
    content[at] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"is damaged in line \d"):
        read_journal(path, identity())


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"model_sha256": "ef" * 32}, "model sha256"),
        ({"build_id": "ef" * 16}, "build id"),
        ({"samples_sha256": "ef" * 32}, "samples sha256"),
        ({"samples": 13}, "samples 12, this run has 13"),
        ({"output_bytes": 6}, "output bytes"),
        ({"repeat_every": 16}, "repeat every 5, this run has 16"),
    ],
    ids=str,
)
def test_the_journal_of_another_run_is_refused(tmp_path, changes, problem):
    path = written(tmp_path, entry())
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=f"is the journal of another run: {problem}") as caught:
        Journal.resume(tmp_path, identity(**changes))
    assert caught.value.exit_code == 2
    assert caught.value.hint == "the run without --resume"
    assert path.read_bytes() == before


def test_other_inputs_are_another_run():
    other = X.copy()
    other[3, 4] ^= 1
    hashes = {
        RunIdentity.of(model_sha256="", build_id="", x=x, output_bytes=5, repeat_every=0).samples_sha256
        for x in (X, other)
    }
    assert len(hashes) == 2


@pytest.mark.parametrize(
    "entries",
    [
        [entry(sample=12)],
        [entry(sample=-1)],
        [entry(sample=True)],
        [entry(output="00" * 4)],
        [entry(output="zz" * 5)],
        [entry(ticks=-1)],
        [entry(ticks=1 << 64)],
        [entry(more=1)],
        [{"sample": 1}],
        [[]],
        [entry(), entry()],
        [entry(again=True)],
        [entry(), entry(again=True, output="01" * 5)],
    ],
    ids=str,
)
def test_an_entry_that_cannot_be_is_damage(tmp_path, entries):
    path = written(tmp_path, *entries)
    with pytest.raises(ConfigError, match=f"is damaged in line {len(entries) + 1}"):
        read_journal(path, identity())


def test_without_a_journal_there_is_nothing_to_resume(tmp_path):
    with pytest.raises(ConfigError, match="is not there: no run was interrupted; try: the run without --res"):
        Journal.resume(tmp_path, identity())


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        Journal.begin(tmp_path / "file", identity()) as journal,
        pytest.raises(ConfigError, match="cannot be written"),
    ):
        journal.append(Task(0, again=False), "a", Answer(bytes(5), 1, True))


def test_of_a_full_disk_the_first_error_is_kept(tmp_path):
    (tmp_path / JOURNAL_NAME).symlink_to("/dev/full")
    with (
        pytest.raises(ConfigError, match=r"cannot be written \(No space left on device\); try: another"),
        Journal.begin(tmp_path, identity()) as journal,
    ):
        journal.append(Task(0, again=False), "a", Answer(bytes(5), 1, True))
    with pytest.raises(DeviceFaultError), Journal.begin(tmp_path, identity()) as journal:
        with pytest.raises(ConfigError):
            journal.append(Task(0, again=False), "a", Answer(bytes(5), 1, True))
        raise DeviceFaultError("board", "crashed")


def test_an_older_journal_stays_until_the_first_answer(tmp_path):
    path = written(tmp_path, entry(), entry(sample=2))
    before = path.read_bytes()
    with pytest.raises(Exception, match="is silent"):
        run(tmp_path, PretendBoard(MODEL_SMALL, {MessageType.HELLO: lambda board, frame: []}))
    assert path.read_bytes() == before
    with pytest.raises(Exception, match="no answer to INFER"):
        run(tmp_path, mute_after(1))
    assert [record.sample for record in read_journal(path, identity())[0]] == [0]


@pytest.mark.parametrize("verdict", ["pass", "fail"])
def test_a_complete_run_is_not_resumed(tmp_path, verdict):
    (tmp_path / "report.json").write_text(json.dumps({"identical": 3, "verdict": verdict}))
    problem = rf"report\.json: is of a complete run, verdict {verdict}: nothing to go on with; try: the run"
    with pytest.raises(ConfigError, match=problem):
        Journal.resume(tmp_path, identity())


@pytest.mark.parametrize("report", ["", "[]", "{}", '{"identical": null, "verdict": "fail"}'])
def test_the_report_of_no_complete_run_says_nothing_of_the_journal(tmp_path, report):
    (tmp_path / "report.json").write_text(report)
    with pytest.raises(ConfigError, match=r"journal\.jsonl: is not there"):
        Journal.resume(tmp_path, identity())


def test_a_complete_run_leaves_no_journal(tmp_path):
    with Journal.begin(tmp_path, identity()) as journal:
        journal.append(Task(0, again=False), "a", Answer(bytes(5), 1, True))
        journal.discard()
    assert list(tmp_path.iterdir()) == []
