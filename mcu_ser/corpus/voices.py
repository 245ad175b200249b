# SPDX-License-Identifier: Apache-2.0
"""The made-up speakers, languages and emotions of the synthetic corpus, as numbers for its synthesiser.

The directions of the emotions follow the acoustic profiles that Scherer, "Vocal communication of emotion"
(Speech Communication 40, 2003) collects; the amounts are chosen so that classes overlap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Prosody:
    """How an emotion at full strength departs from a neutral voice.

    Args:
        pitch_semitones: Of the mean fundamental frequency.
        range_factor: Of the extent of pitch movements.
        contour_semitones: Rise (or fall) of the pitch from the first syllable to the last.
        rate_factor: Of the number of syllables per second.
        energy_db: Of the loudness.
        tilt_db_per_octave: Of the spectrum above 500 Hz; positive is brighter.
        jitter_fraction: Added irregularity of the glottal period.
        breath_db: Of the noise in vowels.
        attack_factor: Of the time a syllable takes to get loud.
    """

    pitch_semitones: float = 0.0
    range_factor: float = 1.0
    contour_semitones: float = -2.0
    rate_factor: float = 1.0
    energy_db: float = 0.0
    tilt_db_per_octave: float = 0.0
    jitter_fraction: float = 0.0
    breath_db: float = 0.0
    attack_factor: float = 1.0


NEUTRAL = Prosody()
EMOTIONS = {
    "anger": Prosody(3.5, 1.6, -4.0, 1.12, 9.0, 3.5, 0.025, -2.0, 0.45),
    "boredom": Prosody(-2.5, 0.45, -1.0, 0.78, -3.0, -1.5, 0.0, 2.0, 1.5),
    "fear": Prosody(6.0, 0.7, 2.0, 1.3, 1.0, 1.0, 0.05, 6.0, 0.8),
    "happiness": Prosody(4.5, 2.2, 4.0, 1.1, 5.0, 1.5, 0.0, 0.0, 0.8),
    "neutral": NEUTRAL,
    "sadness": Prosody(-1.0, 0.6, -5.0, 0.72, -6.0, -3.5, 0.03, 7.0, 1.8),
}


@dataclass(frozen=True)
class Language:
    """Vowels and rhythm that all speakers of a made-up language share.

    Args:
        prefix: First letter of its speakers' names.
        vowels: First three formants of each vowel in Hz, for a vocal tract of factor 1.
        syllables: Fewest and most syllables of an utterance.
        vowel_s: Mean vowel length in seconds at a neutral rate.
        consonant_s: Mean consonant length in seconds at a neutral rate.
        fricative_share: How many consonants are fricatives; the rest are stops.
        long_vowel_share: How many vowels are half as long again.
    """

    prefix: str
    vowels: tuple[tuple[float, float, float], ...]
    syllables: tuple[int, int]
    vowel_s: float
    consonant_s: float
    fricative_share: float
    long_vowel_share: float


LANGUAGES = {
    "source": Language(
        prefix="s",
        vowels=((730, 1090, 2440), (530, 1840, 2480), (270, 2290, 3010), (570, 840, 2410), (300, 870, 2240)),
        syllables=(6, 9),
        vowel_s=0.13,
        consonant_s=0.075,
        fricative_share=0.45,
        long_vowel_share=0.35,
    ),
    "target": Language(
        prefix="t",
        vowels=((650, 1250, 2500), (400, 2050, 2650), (290, 1750, 2200), (440, 1450, 2350), (390, 700, 2500)),
        syllables=(7, 10),
        vowel_s=0.105,
        consonant_s=0.09,
        fricative_share=0.65,
        long_vowel_share=0.1,
    ),
}


@dataclass(frozen=True)
class Speaker:
    """One made-up voice.

    Args:
        pitch_hz: Mean fundamental frequency.
        range_semitones: Standard deviation of pitch from syllable to syllable.
        formant_factor: Of all formants; a short vocal tract has a large one.
        tilt_db_per_octave: Spectral tilt above 500 Hz of the neutral voice.
        rate_factor: Of the number of syllables per second.
        level_db: Loudness of the neutral voice.
        expressiveness: How far the voice goes with an emotion; 1 is the profile itself.
    """

    pitch_hz: float
    range_semitones: float
    formant_factor: float
    tilt_db_per_octave: float
    rate_factor: float
    level_db: float
    expressiveness: float


def draw_speaker(number: int, draws: np.random.Generator) -> Speaker:
    """A voice; odd numbers are low voices, even ones high."""
    low = number % 2 == 1
    return Speaker(
        pitch_hz=draws.uniform(95, 135) if low else draws.uniform(170, 225),
        range_semitones=draws.uniform(1.3, 2.2),
        formant_factor=draws.uniform(0.92, 1.02) if low else draws.uniform(1.05, 1.18),
        tilt_db_per_octave=draws.uniform(-8.0, -5.5),
        rate_factor=draws.uniform(0.9, 1.12),
        level_db=draws.uniform(-26.0, -22.0),
        expressiveness=draws.uniform(0.75, 1.15),
    )
