# SPDX-License-Identifier: Apache-2.0
"""Runs with audio that never were: clips, what a board said of their features, reports."""

import dataclasses

import numpy as np

from mcu_ser.verify.heard import Heard
from mcu_ser.verify.report import build_report
from mcu_ser.verify.samples import Samples
from tests.hearing_model import SPEC
from tests.made_up_report import BACKGROUND, COUNT, made_up_facts, made_up_measurement, made_up_outputs

MAP_BYTES = SPEC.frames * SPEC.mels
RIGHT = Heard(None, rows=10, ticks=500, undisturbed=False)


def made_up_audio(count=COUNT):
    x = np.random.default_rng(3).integers(-128, 127, (count, MAP_BYTES)).astype(np.int8)
    clips = tuple(np.full(100, index, np.int16) for index in range(count))
    return Samples(
        x, None, None, tuple(f"clip-{index}" for index in range(count)), "audio.npz", clips, SPEC.mels
    )


def wrong_map(samples, index, *, frame, band, values=1):
    found = samples.x[index].copy()
    at = frame * SPEC.mels + band
    found[at : at + values] += 1
    return dataclasses.replace(RIGHT, wrong_features=found.tobytes())


def audio_report(heard=None, *, wrong_outputs=0, needs=None):
    samples, expected = made_up_audio(), made_up_outputs()
    said = dict.fromkeys(range(COUNT), RIGHT) | {
        index: wrong_map(samples, index, **where) for index, where in (heard or {}).items()
    }
    said[0] = dataclasses.replace(said[0], rows=24, ticks=600_000, undisturbed=True)
    actual = expected.copy()
    actual[:wrong_outputs, 0] ^= 1
    return build_report(
        facts=made_up_facts(background=dataclasses.replace(BACKGROUND, front_end=needs)),
        samples=samples,
        expected=expected,
        measurement=dataclasses.replace(made_up_measurement(actual), heard=said),
        litert=None,
    )
