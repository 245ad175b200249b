# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.corpus.splits import PARTS, SpeakerSplit, split_speakers, without_speakers
from mcu_ser.corpus.utterance import Corpus, Utterance
from mcu_ser.errors import ConfigError, CorpusError

SPEAKERS = ["a", "b", "c", "d", "e"]


def corpus(speakers=SPEAKERS) -> Corpus:
    return Corpus(
        "toy", tuple(Utterance(f"{one}{n}", one, "joy", None) for one in speakers for n in range(3))
    )


@given(st.sets(st.sampled_from(SPEAKERS)), st.sets(st.sampled_from(SPEAKERS)))
def test_no_speaker_is_ever_in_two_parts(validation, test) -> None:
    try:
        split = split_speakers(corpus(), validation, test)
    except ConfigError:
        assert validation & test or validation | test == set(SPEAKERS)
        return
    parts = {name: {one.speaker for one in corpus().utterances if split.part(one) == name} for name in PARTS}
    assert parts["validation"] == validation
    assert parts["test"] == test
    assert parts["train"] == set(SPEAKERS) - validation - test
    assert sum(len(speakers) for speakers in parts.values()) == len(SPEAKERS)


@pytest.mark.parametrize(
    ("train", "validation", "test", "problem"),
    [
        ("ab", "b", "c", "speaker b is in train and in validation"),
        ("ab", "c", "a", "speaker a is in train and in test"),
        ("a", "bc", "cd", "speaker c is in validation and in test"),
        ("", "a", "b", "leaves no speaker to train on"),
    ],
)
def test_an_overlap_cannot_be_made(train, validation, test, problem) -> None:
    with pytest.raises(ConfigError, match=problem):
        SpeakerSplit(frozenset(train), frozenset(validation), frozenset(test))


def test_an_unknown_speaker_is_named() -> None:
    with pytest.raises(ConfigError, match="split: toy has no speaker z; try: one of a, b, c, d, e"):
        split_speakers(corpus(), ["a"], ["z"])


def test_an_utterance_of_another_corpus_is_in_no_part() -> None:
    split = split_speakers(corpus(), ["a"], ["b"])
    with pytest.raises(ConfigError, match="speaker z is in no part"):
        split.part(Utterance("z1", "z", "joy", None))


def test_a_corpus_is_sorted_and_not_empty() -> None:
    assert [one.id for one in corpus(["b", "a"]).utterances] == ["a0", "a1", "a2", "b0", "b1", "b2"]
    with pytest.raises(CorpusError, match="toy: has no utterances"):
        corpus([])


@given(st.sets(st.sampled_from(SPEAKERS), max_size=len(SPEAKERS) - 1))
def test_a_corpus_without_some_speakers_is_the_others(left_out) -> None:
    rest = without_speakers(corpus(), left_out)
    assert rest.utterances == corpus([one for one in SPEAKERS if one not in left_out]).utterances


def test_who_is_left_out_must_have_been_there() -> None:
    with pytest.raises(ConfigError, match="split: toy has no speaker z; try: one of a, b, c, d, e"):
        without_speakers(corpus(), ["z"])


def test_somebody_must_stay() -> None:
    with pytest.raises(CorpusError, match="toy: has no utterances"):
        without_speakers(corpus(), SPEAKERS)
