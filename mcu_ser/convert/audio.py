# SPDX-License-Identifier: Apache-2.0
"""Keeps the test set of a run as audio: what a board whose firmware has the front end hears.

Reads recipe.toml and what the convert stage wrote, then the recordings anew,
and only those of the test set. Each is held against the int8 features that the model was measured with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mcu_ser.corpus.read import read_corpus
from mcu_ser.errors import ConfigError
from mcu_ser.features.clip import SAMPLE_RATE_HZ, pcm16, trimmed
from mcu_ser.features.clip_set import ClipSet
from mcu_ser.features.front_end import FrontEnd
from mcu_ser.npz_arrays import read_arrays
from mcu_ser.programs import package_versions
from mcu_ser.progress import silent
from mcu_ser.recipe import SyntheticCorpus

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

    from mcu_ser.artifacts import RunDir
    from mcu_ser.corpus.utterance import Utterance
    from mcu_ser.progress import Track
    from mcu_ser.recipe import Recipe

STAGE = "audio"


def run(run_dir: RunDir, recipe: Recipe, corpus_root: Path | None, track: Track = silent) -> int | None:
    """Write convert/audio.npz; returns how many clips it holds.

    None, and no file, where no device can compute the features (float64), or where nobody says where the
    recordings are.

    Args:
        run_dir: After the convert stage.
        recipe: Of the run.
        corpus_root: Where recordings are; the synthetic corpus needs none.
        track: Progress.

    Raises:
        ConfigError: The recordings are not those that the run was trained with.
        CorpusError: The corpus is absent or unreadable.
    """
    run_dir.audio.unlink(missing_ok=True)  # one of another model would be taken for this one's
    corpus_recipe = recipe.corpora.target
    if not run_dir.front_end.exists():
        return None
    if corpus_root is None and not isinstance(corpus_recipe, SyntheticCorpus):
        return None
    front_end = FrontEnd.load(run_dir.front_end)
    samples = read_arrays(run_dir.require(run_dir.samples, "convert"), "samples.npz of mcu-ser convert")
    corpus = read_corpus(corpus_recipe, corpus_root)
    utterances = {one.id: one for one in corpus.utterances}
    clips = []
    with track("audio of the test set", len(samples["ids"])) as advance:
        for id, features in zip(samples["ids"].tolist(), samples["x"], strict=True):
            clips.append(_clip(utterances, id, front_end, features))
            advance(1)
    names = {name: tuple(str(one) for one in samples[name]) for name in ("labels", "ids")}
    ClipSet(tuple(clips), samples["y"], **names).save(run_dir.audio)
    run_dir.record_stage(
        STAGE,
        seed=recipe.seed,
        read=[run_dir.recipe, run_dir.samples, run_dir.front_end],
        wrote=[run_dir.audio],
        versions=_versions(),
    )
    return len(clips)


def _clip(
    utterances: Mapping[str, Utterance], id: str, front_end: FrontEnd, features: NDArray[Any]
) -> NDArray[np.int16]:
    """The samples of one utterance, int16, from which the front end makes `features`."""
    hint = "the --corpus-root that mcu-ser train had"
    if id not in utterances:
        raise ConfigError(f"utterance {id}", "is not among the recordings", hint=hint)
    pcm = trimmed(pcm16(utterances[id].audio.samples(SAMPLE_RATE_HZ)), front_end.spec)
    if not np.array_equal(front_end.run(pcm), features.reshape(front_end.spec.frames, front_end.spec.mels)):
        raise ConfigError(f"utterance {id}", "is another recording than the run was trained with", hint=hint)
    return pcm


def _versions() -> dict[str, str]:
    return {
        name: version
        for extra in ("", "train")
        for name, version in package_versions(extra).items()
        if version is not None
    }
