# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from mcu_ser.corpus import synthetic
from mcu_ser.corpus.voices import EMOTIONS

RATE = 16000


@pytest.fixture(scope="module")
def target():
    return synthetic.read("target", speakers=4, takes=3, seed=5)


def sound(corpus, emotion):
    return [one.audio.samples(RATE) for one in corpus.utterances if one.emotion == emotion]


def test_has_every_speaker_emotion_and_take(target) -> None:
    assert target.name == "synthetic-target"
    assert target.speakers == ("t01", "t02", "t03", "t04")
    assert target.emotions == tuple(sorted(EMOTIONS))
    assert len(target.utterances) == 4 * len(EMOTIONS) * 3
    assert target.utterances[0].id == "t01-anger-01"


def test_languages_share_no_speaker() -> None:
    source = synthetic.read("source", speakers=4, takes=1, seed=5)
    assert source.speakers == ("s01", "s02", "s03", "s04")


def test_samples_are_clips_of_a_few_seconds(target) -> None:
    for utterance in target.utterances:
        samples = utterance.audio.samples(RATE)
        assert samples.dtype == np.float32
        assert 0.5 * RATE < len(samples) < 5 * RATE
        assert 0.001 < np.sqrt(np.mean(np.square(samples, dtype=np.float64))) < 0.5
        assert np.abs(samples).max() <= 1.0


def test_the_seed_decides_every_sample(target) -> None:
    again = synthetic.read("target", speakers=4, takes=3, seed=5).utterances[17].audio.samples(RATE)
    other = synthetic.read("target", speakers=4, takes=3, seed=6).utterances[17].audio.samples(RATE)
    assert again.tobytes() == target.utterances[17].audio.samples(RATE).tobytes()
    assert again.tobytes() != other.tobytes()


def test_more_speakers_or_takes_leave_the_others_alone(target) -> None:
    larger = synthetic.read("target", speakers=5, takes=4, seed=5)
    samples = {one.id: one.audio.samples(RATE) for one in larger.utterances}
    for utterance in target.utterances[::7]:
        assert samples[utterance.id].tobytes() == utterance.audio.samples(RATE).tobytes()


def test_emotions_differ_as_their_profiles_say(target) -> None:
    level = {one: np.mean([np.std(clip) for clip in sound(target, one)]) for one in EMOTIONS}
    length = {one: np.mean([len(clip) for clip in sound(target, one)]) for one in EMOTIONS}
    assert level["anger"] > 1.5 * level["neutral"] > 2 * level["sadness"]
    assert length["fear"] < length["neutral"] < length["sadness"]


def test_pitch_follows_speaker_and_emotion() -> None:
    corpus = synthetic.read("target", speakers=4, takes=6, seed=5)

    def pitch_hz(speaker: str, emotion: str) -> float:
        found = []
        for one in corpus.utterances:
            if (one.speaker, one.emotion) == (speaker, emotion):
                samples = one.audio.samples(RATE).astype(np.float64)
                for start in range(0, len(samples) - 1024, 1024):
                    frame = samples[start : start + 1024] * np.hanning(1024)
                    correlation = np.correlate(frame, frame, "full")[1023:]
                    lags = slice(RATE // 420, RATE // 70)
                    best = int(np.argmax(correlation[lags])) + lags.start
                    if correlation[best] > 0.5 * correlation[0]:
                        found.append(RATE / best)
        return float(np.median(found))

    assert pitch_hz("t01", "neutral") < 150 < pitch_hz("t02", "neutral")
    assert pitch_hz("t01", "happiness") > 1.1 * pitch_hz("t01", "boredom")
