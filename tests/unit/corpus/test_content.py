# SPDX-License-Identifier: Apache-2.0
import pytest

from mcu_ser.corpus import synthetic
from mcu_ser.corpus.content import corpus_sha256, require_unheard
from mcu_ser.corpus.utterance import AudioFile, Corpus, Utterance
from mcu_ser.errors import ConfigError, CorpusError


def corpus(directory, *, audio=b"sound", speaker="a", emotion="joy", id="a1") -> Corpus:
    directory.mkdir(exist_ok=True)
    (directory / "one.wav").write_bytes(audio)
    return Corpus("toy", (Utterance(id, speaker, emotion, AudioFile(directory / "one.wav")),))


def test_the_hash_is_of_content_wherever_it_lies(tmp_path) -> None:
    assert corpus_sha256(corpus(tmp_path / "here")) == corpus_sha256(corpus(tmp_path / "there"))


@pytest.mark.parametrize(
    "change", [{"audio": b"noise"}, {"speaker": "b"}, {"emotion": "anger"}, {"id": "a2"}], ids=str
)
def test_whatever_may_be_learned_from_is_in_the_hash(tmp_path, change) -> None:
    assert corpus_sha256(corpus(tmp_path / "a")) != corpus_sha256(corpus(tmp_path / "b", **change))


def test_made_up_voices_are_what_they_are_made_of() -> None:
    def made_up(seed, takes=1):
        return corpus_sha256(synthetic.read("target", speakers=3, takes=takes, seed=seed))

    assert made_up(1) == made_up(1)
    assert len({made_up(1), made_up(2), made_up(1, takes=2)}) == 3


def test_a_recording_that_cannot_be_read_is_named(tmp_path) -> None:
    gone = corpus(tmp_path)
    (tmp_path / "one.wav").unlink()
    with pytest.raises(CorpusError, match=r"recording .*one\.wav: cannot be read \(No such file"):
        corpus_sha256(gone)


def test_a_recording_that_the_target_holds_out_is_no_source_whatever_its_name(tmp_path) -> None:
    source, target = corpus(tmp_path / "a", id="x9", speaker="z"), corpus(tmp_path / "b")
    require_unheard(source, target, ["b"])
    require_unheard(corpus(tmp_path / "c", audio=b"noise"), target, ["a"])
    with pytest.raises(
        ConfigError,
        match=r"corpora\.source: x9 of speaker z is a1, which corpora\.target holds out; "
        r"try: its speaker among corpora\.source\.left_out_speakers",
    ):
        require_unheard(source, target, ["a"])
