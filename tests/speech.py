# SPDX-License-Identifier: Apache-2.0
"""Clips to run front ends on: real speech where there is some, made-up voices, and the worst cases.

Real speech is in ../shared/data beside the checkout, or where MCU_SER_CORPUS_ROOT names the directory that
holds emodb/, as `--corpus-root` does.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from mcu_ser.corpus import synthetic
from mcu_ser.corpus.audio import read_audio
from mcu_ser.features.clip import pcm16, trimmed
from mcu_ser.recipe import FeaturesRecipe

Pcm = npt.NDArray[np.int16]
CORPORA = Path(os.environ.get("MCU_SER_CORPUS_ROOT") or Path(__file__).parents[2] / "shared" / "data")


def emodb_files() -> list[Path]:
    """The recordings, in the order of their names; none where they are not."""
    return sorted((CORPORA / "emodb").glob("*.flac"))


def emodb_clips(spec: FeaturesRecipe, every: int) -> list[Pcm]:
    """Every n-th recording of EmoDB, trimmed; skips the test where there is none."""
    files = emodb_files()
    if not files:
        pytest.skip("no EmoDB in ../shared/data or MCU_SER_CORPUS_ROOT")
    pytest.importorskip("soundfile")
    return [trimmed(pcm16(read_audio(path, 16000)), spec) for path in files[::every]]


def synthetic_clips(spec: FeaturesRecipe) -> list[Pcm]:
    """A few made-up voices, trimmed."""
    corpus = synthetic.read("target", speakers=3, takes=1, seed=2)
    return [trimmed(pcm16(one.audio.samples(16000)), spec) for one in corpus.utterances]


def worst_clips() -> dict[str, Pcm]:
    """What breaks fixed-point arithmetic, one and a half seconds each."""
    n = np.arange(24000)
    rng = np.random.default_rng(7)
    return {
        name: np.asarray(samples).astype(np.int16)
        for name, samples in {
            "silence": np.zeros(len(n)),
            "sweep": 32767 * np.sin(np.pi * 8000 * np.square(n / 16000) / 1.5),
            "quiet sweep": 3 * np.sin(np.pi * 8000 * np.square(n / 16000) / 1.5),
            "clicks": np.where(n % 1000 == 0, -32768, np.where(n % 700 == 0, 32767, 0)),
            "full-scale square wave": np.where(n // 40 % 2, 32767, -32768),
            "square wave of half the sampling rate": np.where(n % 2, 32767, -32768),
            "lowest constant": np.full(len(n), -32768),
            "highest constant": np.full(len(n), 32767),
            "white noise at -90 dBFS": np.rint(rng.normal(0, 32768 * 10 ** (-90 / 20), len(n))),
            "full-scale white noise": rng.integers(-32768, 32768, len(n)),
        }.items()
    }
