# SPDX-License-Identifier: Apache-2.0
"""Runs with audio, without a board: which clips, what the report says of their features, what is kept."""

import dataclasses
import json
import zlib

import numpy as np
import pytest

from mcu_ser.cli.main import main
from mcu_ser.errors import ConfigError, DeviceFaultError, SamplesError
from mcu_ser.features.clip import fitted, frame_count
from mcu_ser.features.clip_set import ClipSet
from mcu_ser.features.integer_log_mel import level_rows, without_clip_mean
from mcu_ser.verify.audio_report import audio_section
from mcu_ser.verify.audio_samples import as_streams, load_audio, random_audio
from mcu_ser.verify.client import Answer
from mcu_ser.verify.journal import JOURNAL_NAME, Journal, RunIdentity, read_journal
from mcu_ser.verify.report_sections import samples_digest
from mcu_ser.verify.samples import Samples
from mcu_ser.verify.shards import Ledger, Task
from tests.hearing_model import SPEC, front_end_of, hearing_model
from tests.made_up_audio import MAP_BYTES, RIGHT, made_up_audio

FRONT_END = front_end_of()
CLIPS = tuple(np.arange(length, dtype=np.int16) for length in (1, 700, 9000))


def test_a_file_of_clips_gives_what_the_front_end_makes_of_them(tmp_path) -> None:
    ClipSet(CLIPS, np.array([2, 0, 1]), ("a", "b", "c"), ("x", "y", "z")).save(tmp_path / "audio.npz")
    samples = load_audio(tmp_path / "audio.npz", FRONT_END, 3)
    for row, pcm in zip(samples.x, CLIPS, strict=True):
        assert row.tobytes() == FRONT_END.run(pcm).tobytes()
    assert [len(pcm) for pcm in samples.clips] == [1, 700, 9000]
    assert (samples.y.tolist(), samples.labels, samples.ids) == ([2, 0, 1], ("a", "b", "c"), ("x", "y", "z"))
    assert (samples.origin, samples.bands) == ("audio.npz", 8)


def test_streams_are_heard_every_so_many_frames_and_at_their_end() -> None:
    clips = tuple(np.arange(length, dtype=np.int16) for length in (511, 512, 512 + 256 * 6 + 9, 20000))
    whole = Samples(
        np.zeros((4, MAP_BYTES), np.int8),
        np.array([3, 2, 1, 0]),
        None,
        ("a", "b", "c", "d@x"),
        "npz",
        clips,
        8,
    )
    samples = as_streams(whole, 3, FRONT_END)
    of_d = [f"d@x@{count}" for count in [*range(3, 77, 3), 77]]
    assert list(samples.ids) == ["b@1", "c@3", "c@6", "c@7", *of_d]
    assert samples.y is None
    assert samples.stream
    assert samples.origin == "npz as streams, heard every 3 frames"
    rows = level_rows(clips[3], SPEC)
    for name, pcm, features in zip(samples.ids, samples.clips, samples.x, strict=True):
        count = int(name.rpartition("@")[2])
        assert frame_count(len(pcm), SPEC) == count
        if name in of_d:
            newest = rows[max(0, count - 24) : count]
            expected = FRONT_END.quantized(without_clip_mean(fitted(newest, 24), SPEC))
            assert features.tobytes() == expected.tobytes()
    # A stream that is no longer than the map is a clip.
    assert samples.x[3].tobytes() == FRONT_END.run(clips[2]).tobytes()
    section = audio_section(samples, dict.fromkeys(range(len(samples.x)), RIGHT))
    assert (section["clips"], section["stream"]) == (len(samples.x), True)
    assert section["samples"] == 512 + 512 + 256 * 6 + 512 + 256 * 76


def test_streams_without_a_frame_are_refused() -> None:
    short = dataclasses.replace(made_up_audio(3), origin="audio.npz")
    with pytest.raises(SamplesError, match=r"audio\.npz: has no clip as long as a window, limit 512"):
        as_streams(short, 3, FRONT_END)


def test_clips_without_names_get_numbers(tmp_path) -> None:
    ClipSet(CLIPS, None, None, None).save(tmp_path / "audio.npz")
    assert load_audio(tmp_path / "audio.npz", FRONT_END, 3).ids == ("clip-0", "clip-1", "clip-2")


def test_random_clips_are_short_and_long_and_quiet_and_loud() -> None:
    samples = random_audio(60, 1, FRONT_END)
    lengths = [len(pcm) for pcm in samples.clips]
    whole_map = 512 + 23 * 256
    assert min(lengths) < 512
    assert max(lengths) > whole_map
    peaks = [np.abs(pcm.astype(int)).max() for pcm in samples.clips]
    assert min(peaks) < 4
    assert max(peaks) > 10000
    again, other = random_audio(60, 1, FRONT_END), random_audio(60, 2, FRONT_END)
    assert (again.x == samples.x).all()
    assert samples_digest(again) == samples_digest(samples) != samples_digest(other)


@pytest.mark.parametrize(("count", "seed"), [(0, 1), (3, -1)])
def test_impossible_random_clips_are_refused(count, seed) -> None:
    with pytest.raises(SamplesError):
        random_audio(count, seed, FRONT_END)


def test_clips_with_the_same_features_are_other_samples() -> None:
    one = made_up_audio(3)
    two = dataclasses.replace(one, clips=tuple(pcm + 1 for pcm in one.clips))
    cut = dataclasses.replace(
        one, clips=(one.clips[0][:50], np.append(one.clips[0][50:], one.clips[1]), one.clips[2])
    )
    plain = dataclasses.replace(one, clips=None)
    assert len({samples_digest(samples) for samples in (one, two, cut, plain)}) == 4


IDENTITY = RunIdentity.of(
    model_sha256="ab" * 32,
    build_id="cd" * 16,
    x=made_up_audio(4).x,
    output_bytes=1,
    repeat_every=0,
    clips=made_up_audio(4).clips,
)
WRONG = dataclasses.replace(RIGHT, wrong_features=bytes(MAP_BYTES))


def test_the_journal_keeps_what_was_heard(tmp_path) -> None:
    answers = [Answer(b"a", 1, True, RIGHT), Answer(b"b", 2, False, WRONG), Answer(b"c", 3, True)]
    with Journal.begin(tmp_path, IDENTITY) as journal:
        for sample, answer in enumerate(answers):
            journal.append(Task(sample, again=False), None, answer)
    records, _ = read_journal(tmp_path / JOURNAL_NAME, IDENTITY)
    assert [record.heard for record in records] == [RIGHT, WRONG, None]
    ledger = Ledger(4, 1, known=records)
    assert ledger.heard == {0: RIGHT, 1: WRONG}


def test_a_journal_of_other_clips_is_another_run(tmp_path) -> None:
    head = json.dumps({"schema": 1} | dataclasses.asdict(IDENTITY)).encode()
    (tmp_path / JOURNAL_NAME).write_bytes(b"%08x %b\n" % (zlib.crc32(head), head))
    samples = made_up_audio(4)
    other = RunIdentity.of(
        model_sha256="ab" * 32,
        build_id="cd" * 16,
        x=samples.x,
        output_bytes=1,
        repeat_every=0,
        clips=[pcm + 1 for pcm in samples.clips],
    )
    with pytest.raises(ConfigError, match="is the journal of another run: samples sha256"):
        read_journal(tmp_path / JOURNAL_NAME, other)


@pytest.mark.parametrize(
    "change",
    [
        {"rows": -1},
        {"ticks": 1 << 32},
        {"rows": "7"},
        {"undisturbed": 1},
        {"wrong_features": "00"},
        {"wrong_features": "xy"},
        {"wrong_features": 5},
        {"more": 1},
        {"rows": None},
    ],
    ids=str,
)
def test_what_cannot_have_been_heard_is_damage(tmp_path, change) -> None:
    head = json.dumps({"schema": 1} | dataclasses.asdict(IDENTITY)).encode()
    (tmp_path / JOURNAL_NAME).write_bytes(b"%08x %b\n" % (zlib.crc32(head), head))
    values = {
        "sample": 0, "again": False, "port": None, "output": "00", "ticks": 1, "undisturbed": True,
        "heard": RIGHT.as_document() | change,
    }  # fmt: skip
    path, text = tmp_path / JOURNAL_NAME, json.dumps(values).encode()
    path.write_bytes(path.read_bytes() + b"%08x %b\n" % (zlib.crc32(text), text))
    with pytest.raises(ConfigError, match="is damaged in line 2"):
        read_journal(path, IDENTITY)


@pytest.mark.parametrize(("first", "second"), [(RIGHT, WRONG), (WRONG, RIGHT)])
def test_other_features_in_a_second_run_end_it(first, second) -> None:
    ledger = Ledger(1, 1, ("a",), repeat_every=1)
    ledger.take(0)
    ledger.done(0, Answer(b"x", 1, True, first))
    ledger.take(0)
    with pytest.raises(DeviceFaultError, match=r"a: sample 0 gives other features than before"):
        ledger.done(0, Answer(b"x", 1, True, second))


def test_the_same_wrong_features_twice_are_a_matter_for_the_report() -> None:
    ledger = Ledger(1, 1, ("a",), repeat_every=1)
    for _ in range(2):
        ledger.take(0)
        ledger.done(0, Answer(b"x", 1, True, WRONG))
    assert ledger.repeats().samples == 1


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    directory = tmp_path_factory.mktemp("hearing")
    hearing = hearing_model(directory)
    hearing.project("host", directory / "with")
    assert main(["generate", str(hearing.model), "--board", "host", "--out", str(directory / "without")]) == 0
    return directory


def test_firmware_without_a_front_end_is_refused_with_the_command(files, tmp_path, capsys) -> None:
    project = files / "without"
    options = ["--input", "audio", "--random", "3", "--out", str(tmp_path / "report")]
    assert main(["verify", str(project), *options]) == 2
    assert capsys.readouterr().err == (
        f"mcu-ser: error: {project}: has firmware without a front end; try: mcu-ser generate "
        f"{project}/model.tflite --board host --engine aot --front-end front_end.json --out {project}-audio\n"
    )


def test_features_for_samples_are_no_audio(files, tmp_path, capsys) -> None:
    np.savez(tmp_path / "samples.npz", x=np.zeros((2, MAP_BYTES), np.int8))
    options = [
        "--input",
        "audio",
        "--samples",
        str(tmp_path / "samples.npz"),
        "--out",
        str(tmp_path / "report"),
    ]
    assert main(["verify", str(files / "with"), *options]) == 2
    assert (
        "samples.npz: holds x, not pcm, lengths, sample_rate_hz; try: an .npz with pcm"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--every", "3"], "--every 3: is about streams of audio; try: --input audio --every 32"),
        (
            ["--input", "audio", "--every", "0"],
            "--every 0: is no number of frames; try: --input audio --every",
        ),
    ],
)
def test_streams_are_of_audio(files, tmp_path, capsys, options, problem) -> None:
    options = [*options, "--random", "3", "--out", str(tmp_path / "report")]
    assert main(["verify", str(files / "with"), *options]) == 2
    assert problem in capsys.readouterr().err


def test_random_blocks_are_of_audio(files, tmp_path, capsys) -> None:
    options = ["--random-blocks", "1", "--random", "3", "--out", str(tmp_path / "report")]
    assert main(["verify", str(files / "with"), *options]) == 2
    assert "--random-blocks: cuts audio; try: --input audio with it" in capsys.readouterr().err
