# SPDX-License-Identifier: Apache-2.0
"""Turns a seed into a synthetic corpus of emotional speech: made-up voices for tests and demonstrations.

It is not speech, and results on it say nothing about real emotions. It has what the pipeline must cope
with: several speakers with their own pitch, formants and tilt; prosody (pitch level, range and contour, rate,
energy, jitter, tilt) that differs by emotion and overlaps; a source and a target language with other vowels
and rhythm.

A voice is a pulse train with noise, shaped by formants (the source-filter model of Fant, "Acoustic Theory of
Speech Production", 1960).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mcu_ser.corpus.utterance import Corpus, Utterance
from mcu_ser.corpus.voices import EMOTIONS, LANGUAGES, NEUTRAL, Prosody, draw_speaker

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mcu_ser.corpus.voices import Language, Speaker

_FRAME = 512
_HOP = 128
_BANDWIDTHS_HZ = np.array([90.0, 120.0, 180.0, 250.0])
_FOURTH_FORMANT_HZ = 3600.0


def read(language: str, *, speakers: int, takes: int, seed: int) -> Corpus:
    """The synthetic corpus of one language: speakers x emotions x takes utterances.

    Args:
        language: source or target.
        speakers: How many; named s01.. or t01...
        takes: Utterances per speaker and emotion.
        seed: The same seed gives the same samples.
    """
    spoken = LANGUAGES[language]
    place = sorted(LANGUAGES).index(language)
    utterances = []
    for number in range(1, speakers + 1):
        name = f"{spoken.prefix}{number:02d}"
        speaker = draw_speaker(number, np.random.default_rng([seed, place, number]))
        for index, emotion in enumerate(sorted(EMOTIONS)):
            for take in range(1, takes + 1):
                audio = SyntheticSpeech(
                    spoken, speaker, EMOTIONS[emotion], (seed, place, number, index, take)
                )
                utterances.append(Utterance(f"{name}-{emotion}-{take:02d}", name, emotion, audio))
    return Corpus(f"synthetic-{language}", tuple(utterances))


@dataclass(frozen=True)
class SyntheticSpeech:
    """Samples of one made-up utterance, computed when asked for."""

    language: Language
    speaker: Speaker
    prosody: Prosody
    seed: tuple[int, ...]

    def samples(self, rate_hz: int) -> NDArray[np.float32]:
        """Mono float32 (n,), one to four seconds, full scale = 1.0."""
        draws = np.random.default_rng(self.seed)
        prosody = _weakened(self.prosody, self.speaker.expressiveness * draws.uniform(1.1, 1.5))
        tracks = _draw_tracks(self.language, self.speaker, prosody, rate_hz, draws)
        voice = _shaped(_excitation(tracks, prosody, rate_hz, draws), tracks, rate_hz)
        level_db = self.speaker.level_db + prosody.energy_db + draws.normal(0.0, 1.5)
        voice *= 10 ** (level_db / 20) / np.sqrt(np.mean(np.square(voice)))
        room = draws.normal(0.0, 10 ** (draws.uniform(-68, -58) / 20), len(voice))
        samples: NDArray[np.float32] = np.clip(voice + room, -1.0, 1.0).astype(np.float32)
        return samples


@dataclass(frozen=True, eq=False)
class _Tracks:
    """What the voice does in each hop: float64 (hops,) unless said otherwise."""

    pitch_hz: NDArray[np.float64]
    voiced: NDArray[np.float64]
    noise: NDArray[np.float64]
    formants_hz: NDArray[np.float64]  # (hops, 4)
    tilt_db_per_octave: float


def _weakened(prosody: Prosody, strength: float) -> Prosody:
    """`prosody` at a strength; 0 is the neutral voice."""
    changed = {
        name: getattr(NEUTRAL, name) + strength * (value - getattr(NEUTRAL, name))
        for name, value in vars(prosody).items()
    }
    return replace(NEUTRAL, **changed)


def _draw_tracks(
    language: Language, speaker: Speaker, prosody: Prosody, rate_hz: int, draws: np.random.Generator
) -> _Tracks:
    syllables = int(draws.integers(language.syllables[0], language.syllables[1] + 1))
    hops_per_s = rate_hz / _HOP
    rate = speaker.rate_factor * prosody.rate_factor * draws.normal(1.0, 0.05)
    pitch, voiced, noise, formants = [], [], [], []
    for index in range(syllables):
        consonant = _hops(language.consonant_s / rate * draws.uniform(0.6, 1.4) * hops_per_s)
        long = 1.5 if draws.random() < language.long_vowel_share else 1.0
        vowel = _hops(language.vowel_s * long / rate * draws.uniform(0.75, 1.25) * hops_per_s)
        through = index / (syllables - 1) - 0.5
        semitones = prosody.pitch_semitones + prosody.contour_semitones * through
        semitones += speaker.range_semitones * prosody.range_factor * draws.normal()
        pitch += [semitones] * (consonant + vowel)
        stress = 10 ** (draws.normal(0.0, 2.0) / 20)
        fricative = 0.25 if draws.random() < language.fricative_share else 0.0
        voiced += [0.0] * consonant + list(stress * _syllable(vowel, prosody.attack_factor))
        noise += [fricative * stress] * (consonant - 1) + [0.4 * stress] + [0.0] * vowel
        formants += [language.vowels[draws.integers(len(language.vowels))]] * (consonant + vowel)
    smooth = np.hanning(9)[1:-1] / np.hanning(9).sum()
    contour = np.convolve(np.pad(pitch, 3, mode="edge"), smooth, mode="valid")
    vowels = np.column_stack([formants, np.full(len(formants), _FOURTH_FORMANT_HZ)])
    glides = [np.convolve(np.pad(track, 3, mode="edge"), smooth, mode="valid") for track in vowels.T]
    return _Tracks(
        pitch_hz=speaker.pitch_hz * 2 ** (contour / 12),
        voiced=np.array(voiced),
        noise=np.array(noise) + np.array(voiced) * 0.02 * 10 ** (prosody.breath_db / 20),
        formants_hz=np.column_stack(glides) * speaker.formant_factor,
        tilt_db_per_octave=speaker.tilt_db_per_octave + prosody.tilt_db_per_octave,
    )


def _hops(exact: float) -> int:
    return max(2, round(exact))


def _syllable(hops: int, attack_factor: float) -> NDArray[np.float64]:
    """Loudness over a vowel: a rise whose length is the attack, then a slow fall."""
    place = (np.arange(hops) + 0.5) / hops
    attack = min(0.6, 0.25 * attack_factor)
    shape: NDArray[np.float64] = np.where(
        place < attack, place / attack, 1.0 - 0.7 * (place - attack) / (1.0 - attack)
    )
    return shape


def _excitation(
    tracks: _Tracks, prosody: Prosody, rate_hz: int, draws: np.random.Generator
) -> NDArray[np.float64]:
    """Pulses at the pitch plus noise, at their loudness; float64 (hops * _HOP,)."""
    samples = len(tracks.pitch_hz) * _HOP
    at = np.arange(samples) / _HOP

    def sampled(track: NDArray[np.float64]) -> NDArray[np.float64]:
        values: NDArray[np.float64] = np.interp(at, np.arange(len(track)) + 0.5, track)
        return values

    # Jitter moves the phase by a walk that changes a few times per period.
    walk = draws.normal(0.0, 1.0, len(tracks.pitch_hz))
    period = 1.0 + (0.01 + prosody.jitter_fraction) * 2.0 * sampled(walk)
    phase = np.cumsum(sampled(tracks.pitch_hz) * period / rate_hz)
    pulses = np.diff(np.floor(phase), prepend=0.0)
    # Equal power at every pitch: fewer pulses are taller ones.
    pulses *= np.sqrt(rate_hz / sampled(tracks.pitch_hz))
    return pulses * sampled(tracks.voiced) + draws.normal(0.0, 1.0, samples) * sampled(tracks.noise)


def _shaped(excitation: NDArray[np.float64], tracks: _Tracks, rate_hz: int) -> NDArray[np.float64]:
    """The excitation through the formants of each hop: windowed spectra, multiplied, overlapped and added."""
    padded = np.pad(excitation, (_FRAME // 2, _FRAME // 2 + _FRAME))
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_FRAME) / _FRAME)
    hops = len(excitation) // _HOP
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[::_HOP][:hops]
    spectra = np.fft.rfft(frames * window, axis=1) * _envelope(tracks, rate_hz)
    pieces = np.fft.irfft(spectra, axis=1)
    voice = np.zeros(len(padded))
    for index, piece in enumerate(pieces):
        voice[index * _HOP : index * _HOP + _FRAME] += piece
    return voice[_FRAME // 2 : _FRAME // 2 + len(excitation)]


def _envelope(tracks: _Tracks, rate_hz: int) -> NDArray[np.float64]:
    """Gain of each hop and bin, (hops, bins): four resonances and the tilt."""
    hz = np.arange(_FRAME // 2 + 1) * (rate_hz / _FRAME)
    centres = tracks.formants_hz[:, None, :]
    # Magnitude of a second-order resonance, 1 at its centre.
    detuning = (np.square(hz)[None, :, None] - np.square(centres)) / (
        np.maximum(hz, 1.0)[None, :, None] * _BANDWIDTHS_HZ
    )
    resonances = 1.0 / np.sqrt(1.0 + np.square(detuning))
    gain = resonances @ np.array([1.0, 0.7, 0.45, 0.35]) + 0.03
    octaves = np.log2(np.maximum(hz, 500.0) / 500.0)
    tilted: NDArray[np.float64] = gain * 10 ** (tracks.tilt_db_per_octave * octaves / 20)
    # Nothing of a voice is below its first harmonic.
    tilted[:, hz < 60.0] = 0.0
    return tilted
