# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcu_ser.corpus.utterance import Corpus, Utterance
from mcu_ser.errors import ConfigError
from mcu_ser.recipe import EmodbCorpus
from mcu_ser.recipe.study import FixedSplit, LeaveOneSpeakerOut, SpeakerGroups
from mcu_ser.study.folds import make_folds

TARGET = EmodbCorpus()


def corpus(speakers) -> Corpus:
    return Corpus("toy", tuple(Utterance(f"{one}1", one, "joy", None) for one in speakers))


@st.composite
def divided_speakers(draw):
    """Three or more groups of one or more speakers."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=3, max_size=8))
    names = iter(draw(st.permutations([f"s{index:02d}" for index in range(sum(sizes))])))
    return tuple(tuple(next(names) for _ in range(size)) for size in sizes)


def assert_no_voice_is_in_two_parts(fold, speakers) -> None:
    parts = [fold.train, fold.validation, fold.test]
    assert sorted(speaker for part in parts for speaker in part) == sorted(speakers)
    assert all(parts)


@given(divided_speakers())
def test_groups_test_every_speaker_once_and_the_next_group_validates(groups) -> None:
    speakers = [speaker for group in groups for speaker in group]
    folds = make_folds(SpeakerGroups(groups=groups), TARGET, corpus(speakers))
    assert sorted(speaker for fold in folds for speaker in fold.test) == sorted(speakers)
    assert sorted(speaker for fold in folds for speaker in fold.validation) == sorted(speakers)
    for index, fold in enumerate(folds):
        assert_no_voice_is_in_two_parts(fold, speakers)
        assert fold.test == tuple(sorted(groups[index]))
        assert fold.validation == tuple(sorted(groups[(index + 1) % len(groups)]))


@given(st.integers(3, 12), st.integers(1, 10))
def test_every_speaker_is_left_out_once(count, validating) -> None:
    speakers = [f"s{index:02d}" for index in range(count)]
    protocol = LeaveOneSpeakerOut(validation_speakers=validating)
    if validating + 2 > count:
        with pytest.raises(ConfigError, match=f"toy has {count} speakers, limit at least {validating + 2}"):
            make_folds(protocol, TARGET, corpus(speakers))
        return
    folds = make_folds(protocol, TARGET, corpus(speakers))
    assert [fold.test for fold in folds] == [(speaker,) for speaker in speakers]
    for fold in folds:
        assert_no_voice_is_in_two_parts(fold, speakers)
        assert len(fold.validation) == validating


def test_a_fixed_split_is_what_the_recipe_names() -> None:
    target = EmodbCorpus(validation_speakers=("b",), test_speakers=("d", "a"))
    (fold,) = make_folds(FixedSplit(), target, corpus("abcd"))
    assert (fold.train, fold.validation, fold.test) == (("c",), ("b",), ("a", "d"))


@pytest.mark.parametrize(
    ("protocol", "target", "problem"),
    [
        (FixedSplit(), TARGET, "recipe corpora.target: names no test_speakers; try: speakers, or groups in"),
        (FixedSplit(), EmodbCorpus(test_speakers=("z",)), "split: toy has no speaker z; try: one of a, b, c"),
        (
            SpeakerGroups(groups=(("a",), ("b",), ("c", "d"), ("a",))),
            TARGET,
            "recipe study.folds: speaker a is in the groups more than once",
        ),
        (SpeakerGroups(groups=(("a", "a"), ("b",), ("c", "d"))), TARGET, "speaker a is in the groups more"),
        (SpeakerGroups(groups=(("a",), ("b",), ("c",))), TARGET, "speaker d of toy is in no group; try: a g"),
        (
            SpeakerGroups(groups=(("a",), ("b",), ("c", "d", "e"))),
            TARGET,
            "recipe study.folds: toy has no speaker e",
        ),
    ],
)
def test_speakers_that_cannot_be_divided_so_are_named(protocol, target, problem) -> None:
    with pytest.raises(ConfigError) as error:
        make_folds(protocol, target, corpus("abcd"))
    assert problem in str(error.value)
