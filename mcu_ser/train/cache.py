# SPDX-License-Identifier: Apache-2.0
"""Turns work that many runs have in common into work done once: results kept by the hash of their inputs.

Features of a speaker, source models and pretrained small models are the same in every run of one study that
has the same corpora, recipe tables and seed. An entry's name is the SHA-256 of everything its content
depends on, the code and the versions of packages among it, so an entry is never stale. What is not in the
hash is the machine: another processor, or number of threads, may round otherwise in training, and whoever
comes first decides.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcu_ser.artifacts import canonical_json, copy_file, first_directory, sha256_hex, write_text, writes
from mcu_ser.claims import Claims, Owner
from mcu_ser.code_digest import TRAINING_CODE, code_digest
from mcu_ser.train.keras_file import save_model
from mcu_ser.train.nsl_import import versions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mcu_ser.features.feature_set import FeatureSet

_LOOK_AGAIN_S = 1.0


class Cache:
    """A directory of finished work, shared by runs and by processes; without a directory nothing is kept.

    Entries appear whole, by renaming. Two processes that miss at once both do the work, and the first to
    finish keeps it: the bytes are the same. Where that would be hours or gigabytes, the others wait.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory

    @contextmanager
    def entry(
        self, kind: str, inputs: Mapping[str, Any], make: Callable[[Path], None], *, alone: bool = False
    ) -> Iterator[Path]:
        """A directory with what `make` wrote, now or earlier; to be read, and only while the block lasts.

        Args:
            kind: The first word of the entry's name.
            inputs: Everything that decides what `make` writes; plain data for JSON.
            make: Writes its files into the directory it is given.
            alone: One process makes it, and the others wait until it is there or that process is dead.

        Raises:
            ConfigError: The cache directory cannot be written; what `make` raises is left as it is.
        """
        text = canonical_json(inputs)
        with tempfile.TemporaryDirectory() as scratch:
            place = (self._directory or Path(scratch)) / f"{kind}-{sha256_hex(text.encode())}"
            with self._turn(place) if alone else nullcontext():
                if not place.is_dir():
                    with first_directory(place) as staging:
                        make(staging)
                        write_text(staging / "inputs.json", text)
            yield place

    @contextmanager
    def _turn(self, place: Path) -> Iterator[None]:
        """Wait while another process makes an entry; what follows is done by one at a time."""
        if self._directory is not None:
            claims = Claims(self._directory / "claims", Owner.this_process())
            with writes(claims.directory):
                claims.directory.mkdir(parents=True, exist_ok=True)
                tempfile.TemporaryFile(dir=claims.directory).close()
            while not place.is_dir():
                with claims.claimed(place.name) as got:
                    if got:
                        yield
                        return
                time.sleep(_LOOK_AGAIN_S)
        yield


def trained_once(
    cache: Cache,
    kind: str,
    inputs: Mapping[str, Any],
    train: Callable[[], tuple[Any, dict[str, Any]]],
    path: Path,
) -> dict[str, Any]:
    """Put a trained model at `path`, from the cache or by training it; returns its document for metrics.json.

    Args:
        cache: Where it may be.
        kind: What kind of model it is.
        inputs: Recipe tables, seed and data that decide it; code and packages are added here.
        train: Trains it; returns the model and its document.
        path: A .keras file of the run directory.
    """

    def make(directory: Path) -> None:
        model, document = train()
        save_model(model, directory / "model.keras")
        write_text(directory / "document.json", canonical_json(document))

    everything = {**inputs, "code": code_digest(*TRAINING_CODE), "versions": versions()}
    with cache.entry(kind, everything, make) as found:
        copy_file(found / "model.keras", path)
        document: dict[str, Any] = json.loads((found / "document.json").read_text(encoding="utf-8"))
        return document


def features_digest(features: FeatureSet) -> str:
    """SHA-256 of every array of a feature set: values, classes, ids, speakers, split, any recordings."""
    digest = hashlib.sha256()
    for name, array in sorted(features.arrays().items()):
        digest.update(f"{name} {array.dtype} {array.shape} ".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
