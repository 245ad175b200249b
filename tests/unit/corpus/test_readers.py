# SPDX-License-Identifier: Apache-2.0
import csv
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

soundfile = pytest.importorskip("soundfile", reason="needs the [train] extra")

from mcu_ser.corpus import csv_manifest, emodb, ravdess  # noqa: E402
from mcu_ser.corpus.audio import read_audio  # noqa: E402
from mcu_ser.corpus.read import read_corpus  # noqa: E402
from mcu_ser.errors import ConfigError, CorpusError, ToolMissingError  # noqa: E402
from mcu_ser.recipe import CsvCorpus, EmodbCorpus, RavdessCorpus, SyntheticCorpus  # noqa: E402

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
needs_recordings = pytest.mark.skipif(not DATA.is_dir(), reason=f"no recordings at {DATA}")


def record(path: Path, samples=(0.0, 0.5, -0.5, 0.25), rate=16000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.asarray(samples, np.float32), rate, subtype="PCM_16")
    return path


# --- RAVDESS


def test_ravdess_labels_come_from_the_names(tmp_path) -> None:
    for code in range(1, 9):
        record(tmp_path / "ravdess" / "Actor_07" / f"03-01-0{code}-01-01-01-07.wav")
    corpus = ravdess.read(tmp_path)
    assert corpus.name == "ravdess"
    assert [one.emotion for one in corpus.utterances] == [
        "neutral",
        "calm",
        "happiness",
        "sadness",
        "anger",
        "fear",
        "disgust",
        "surprise",
    ]
    assert corpus.speakers == ("07",)
    assert corpus.utterances[0].id == "03-01-01-01-01-01-07"


def test_ravdess_leaves_other_recordings_and_the_duplicate_out(tmp_path) -> None:
    record(tmp_path / "03-01-03-01-02-01-07.flac")
    record(tmp_path / "03-01-03-01-02-02-07.flac")
    record(tmp_path / "03-02-03-01-02-01-07.wav")  # song
    record(tmp_path / "01-01-03-01-02-01-07.wav")  # audio of a video
    record(tmp_path / "notes.wav")
    (tmp_path / "03-01-01-01-01-01-01.txt").write_text("no audio")
    assert [one.id for one in ravdess.read(tmp_path).utterances] == ["03-01-03-01-02-01-07"]


def test_ravdess_unknown_emotion_is_refused(tmp_path) -> None:
    record(tmp_path / "03-01-09-01-01-01-07.wav")
    with pytest.raises(CorpusError, match=r"03-01-09-01-01-01-07\.wav: emotion code 09 is not one of 01, 02"):
        ravdess.read(tmp_path)


@needs_recordings
def test_ravdess_agrees_with_its_manifest() -> None:
    corpus = ravdess.read(DATA)
    with (DATA / "ravdess" / "manifest.csv").open(newline="") as stream:
        rows = {Path(row["file"]).stem: (row["speaker"], row["emotion"]) for row in csv.DictReader(stream)}
    del rows["03-01-03-01-02-02-07"]
    assert {one.id: (one.speaker, one.emotion) for one in corpus.utterances} == rows
    assert len(corpus.utterances) == 1439


# --- EmoDB


def test_emodb_labels_come_from_the_names(tmp_path) -> None:
    for letter in "WLEAFTN":
        record(tmp_path / "emodb" / "wav" / f"03a01{letter}a.wav")
    record(tmp_path / "emodb" / "wav" / "16b10Nc.wav")
    found = {one.id: (one.speaker, one.emotion) for one in emodb.read(tmp_path).utterances}
    assert found == {
        "03a01Wa": ("03", "anger"),
        "03a01La": ("03", "boredom"),
        "03a01Ea": ("03", "disgust"),
        "03a01Aa": ("03", "fear"),
        "03a01Fa": ("03", "happiness"),
        "03a01Ta": ("03", "sadness"),
        "03a01Na": ("03", "neutral"),
        "16b10Nc": ("16", "neutral"),
    }


def test_emodb_unknown_emotion_is_refused(tmp_path) -> None:
    record(tmp_path / "03a01Xa.wav")
    with pytest.raises(CorpusError, match=r"03a01Xa\.wav: emotion letter X is not one of W L E A F T N"):
        emodb.read(tmp_path)


@needs_recordings
def test_emodb_agrees_with_its_manifest() -> None:
    corpus = emodb.read(DATA)
    with (DATA / "emodb" / "manifest.csv").open(newline="") as stream:
        rows = {Path(row["file"]).stem: (row["speaker"], row["emotion"]) for row in csv.DictReader(stream)}
    assert {one.id: (one.speaker, one.emotion) for one in corpus.utterances} == rows
    assert Counter(one.emotion for one in corpus.utterances)["anger"] == 127


# --- where a corpus is


@pytest.mark.parametrize(("reader", "name"), [(ravdess.read, "ravdess"), (emodb.read, "emodb")])
def test_no_corpus_at_the_path(reader, name, tmp_path) -> None:
    with pytest.raises(
        CorpusError, match=f"nowhere/{name}: is not a directory; try: --corpus-root DIR; .*http"
    ):
        reader(tmp_path / "nowhere")


@pytest.mark.parametrize(("reader", "name"), [(ravdess.read, "ravdess"), (emodb.read, "emodb")])
def test_no_matching_files(reader, name, tmp_path) -> None:
    record(tmp_path / name / "speech.wav")
    with pytest.raises(CorpusError, match=f"{name}: holds no {name} recordings .*; try: --corpus-root"):
        reader(tmp_path)


def test_one_recording_in_two_formats_is_refused(tmp_path) -> None:
    record(tmp_path / "03a01Wa.wav")
    record(tmp_path / "flac" / "03a01Wa.flac")
    with pytest.raises(CorpusError, match=r"emodb: has 1 utterance ids more than once, e.g. 03a01Wa"):
        emodb.read(tmp_path)


# --- CSV


def manifest(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "list.csv"
    path.write_text(text)
    return path


def test_csv_lists_recordings_relative_to_itself(tmp_path) -> None:
    record(tmp_path / "anna" / "001.wav")
    record(tmp_path / "ben.flac")
    path = manifest(tmp_path, "file,speaker,emotion,note\nben.flac,ben,joy,x\nanna/001.wav,anna,rage,\n")
    corpus = csv_manifest.read(path)
    assert [(one.id, one.speaker, one.emotion) for one in corpus.utterances] == [
        ("anna/001", "anna", "rage"),
        ("ben", "ben", "joy"),
    ]
    assert corpus.emotions == ("joy", "rage")
    assert len(corpus.utterances[0].audio.samples(16000)) == 4


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", r"list\.csv: lacks the column file; try: a first line file,speaker,emotion"),
        ("file,speaker\n", r"list\.csv: lacks the column emotion"),
        ("file,speaker,emotion\n", r"list\.csv: lists no recordings"),
        ("file,speaker,emotion\na.wav,,joy\n", r"list\.csv line 2: has no speaker"),
        ("file,speaker,emotion\na.wav,ben\n", r"list\.csv line 2: has no emotion"),
        ("file,speaker,emotion\nb.wav,ben,joy\n", r"list\.csv line 2: names b\.wav, which is not there"),
        ("file,speaker,emotion\na.wav,b,joy\na.wav,c,joy\n", "ids more than once, e.g. a"),
        ('file,speaker,emotion\n"a.wav,b,joy\n', r"list\.csv line 3|line 2: has no speaker"),
    ],
)
def test_csv_errors(tmp_path, text, problem) -> None:
    record(tmp_path / "a.wav")
    with pytest.raises(CorpusError, match=problem):
        csv_manifest.read(manifest(tmp_path, text))


def test_csv_of_a_spreadsheet_may_begin_with_a_byte_order_mark(tmp_path) -> None:
    record(tmp_path / "a.wav")
    path = manifest(tmp_path, "\ufefffile,speaker,emotion\na.wav,ben,joy\n")
    assert [one.id for one in csv_manifest.read(path).utterances] == ["a"]


def test_csv_absent_or_not_text(tmp_path) -> None:
    with pytest.raises(CorpusError, match="cannot be read"):
        csv_manifest.read(tmp_path / "absent.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(CorpusError, match="cannot be read"):
        csv_manifest.read(tmp_path / "binary.csv")


# --- audio


def test_audio_is_mixed_to_mono(tmp_path) -> None:
    path = record(tmp_path / "stereo.wav", samples=[[0.5, 0.25], [-0.5, 0.0], [0.0, 0.0]])
    assert read_audio(path, 16000).tolist() == [0.375, -0.25, 0.0]


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_audio_of_any_rate_becomes_the_asked_one(tmp_path, rate) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(rate) / rate)
    samples = read_audio(record(tmp_path / "tone.flac", tone, rate), 16000)
    assert samples.dtype == np.float32
    assert abs(len(samples) - 16000) <= 1
    expected = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(len(samples)) / 16000)
    middle = slice(2000, -2000)
    assert np.abs(samples[middle] - expected[middle]).max() < 1e-3


def test_wav_of_zero_samples_is_refused(tmp_path) -> None:
    path = record(tmp_path / "empty.wav", samples=[])
    with pytest.raises(CorpusError, match=r"empty\.wav: holds zero samples; try: "):
        read_audio(path, 16000)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_no_numbers_are_refused(tmp_path, value) -> None:
    soundfile.write(tmp_path / "a.wav", np.array([0, value], np.float32), 44100, subtype="FLOAT")
    with pytest.raises(CorpusError, match=r"a\.wav: holds samples that are no finite numbers; try: another"):
        read_audio(tmp_path / "a.wav", 16000)


def test_unreadable_audio_is_refused(tmp_path) -> None:
    path = tmp_path / "broken.wav"
    path.write_bytes(b"RIFF\x00\x00\x00\x00WAVEjunk")
    with pytest.raises(CorpusError, match=r"broken\.wav: cannot be read as audio"):
        read_audio(path, 16000)
    with pytest.raises(CorpusError, match=r"absent\.wav: cannot be read as audio"):
        read_audio(tmp_path / "absent.wav", 16000)


def test_a_recording_shorter_than_a_sample_is_refused(tmp_path) -> None:
    path = record(tmp_path / "blip.wav", samples=[0.5], rate=192000)
    with pytest.raises(CorpusError, match=r"blip\.wav: is shorter than one sample at 16000 Hz"):
        read_audio(path, 16000)


def test_without_the_extra_the_error_says_how_to_install_it(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "soxr", None)
    with pytest.raises(
        ToolMissingError,
        match=r"soxr: is not installed; try: pip install '\.\[train\]' in the mcu-ser checkout",
    ):
        read_audio(record(tmp_path / "a.wav"), 16000)


# --- the recipe's corpus tables


def test_the_recipe_chooses_the_reader(tmp_path) -> None:
    record(tmp_path / "ravdess" / "03-01-01-01-01-01-07.wav")
    record(tmp_path / "emodb" / "03a01Wa.wav")
    record(tmp_path / "a.wav")
    manifest(tmp_path, "file,speaker,emotion\na.wav,b,joy\n")
    assert read_corpus(RavdessCorpus(), tmp_path).name == "ravdess"
    assert read_corpus(EmodbCorpus(), tmp_path).name == "emodb"
    assert read_corpus(CsvCorpus(manifest="list.csv"), tmp_path).name == "list.csv"
    synthetic = SyntheticCorpus(language="source", speakers=3, takes=1)
    assert read_corpus(synthetic, None).name == "synthetic-source"


def test_recordings_need_a_corpus_root() -> None:
    with pytest.raises(ConfigError, match="corpus emodb: needs its recordings; try: --corpus-root DIR"):
        read_corpus(EmodbCorpus(), None)


def test_speakers_to_leave_out_are_not_in_the_corpus() -> None:
    synthetic = SyntheticCorpus(language="target", speakers=3, takes=1, left_out_speakers=("t02",))
    assert read_corpus(synthetic, None).speakers == ("t01", "t03")


def test_the_synthetic_corpus_is_its_own_whatever_trains_on_it() -> None:
    def first_samples(**table):
        corpus = read_corpus(SyntheticCorpus(language="target", speakers=3, takes=1, **table), None)
        return corpus.utterances[0].audio.samples(16000)

    assert first_samples().tobytes() == first_samples(voices=1).tobytes() != first_samples(voices=2).tobytes()
