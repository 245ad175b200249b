# SPDX-License-Identifier: Apache-2.0
"""The run directory: the file names of every stage in one place, and the manifest that vouches for them.

Each stage reads files from here and writes files to here; a stage can be rerun alone.
`manifest.json` records, per stage, the SHA-256 of every artefact it wrote and of every artefact it read,
the versions of the packages it used, and the seed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcu_ser import __version__
from mcu_ser.errors import ConfigError
from mcu_ser.shell_command import shell_command


def sha256_hex(data: bytes) -> str:
    """SHA-256 of `data` as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's content as 64 lower-case hex digits."""
    with path.open("rb") as stream:
        digest = hashlib.sha256()
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def canonical_json(document: Any) -> str:
    """`document` as JSON text that depends on its content alone (sorted keys, final newline)."""
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


@contextmanager
def writes(path: Path) -> Iterator[None]:
    """Turn what the system says against writing `path` into a `ConfigError`."""
    try:
        yield
    except OSError as error:
        through_file = isinstance(error, (FileExistsError, NotADirectoryError))
        reason = "a part of its path is a file" if through_file else error.strerror or error
        raise ConfigError(
            path,
            f"cannot be written ({reason})",
            hint="another place, or write permission for its directory",
        ) from error


@contextmanager
def replaced_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that becomes `path` when the block ends without an error.

    The temporary name keeps the suffix of `path`: some writers choose the format by it. A link stays one:
    what is written is the file that it leads to.

    Raises:
        ConfigError: `path` cannot be written; what the block itself raises is left as it is.
    """
    with writes(path):
        # Renaming would put a file in place of a device or a pipe; a directory refuses by itself.
        if path.exists() and not path.is_file() and not path.is_dir():
            raise ConfigError(path, "is not a regular file", hint="another place")
        real = Path(os.path.realpath(path))
        real.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=real.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with writes(path):
            temporary.chmod(0o644)
            temporary.replace(real)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that a reader sees the old file or the whole new one.

    Raises:
        ConfigError: It cannot be written.
    """
    with replaced_file(path) as temporary, writes(path):
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8 with Unix line ends, whole or not at all."""
    write_bytes(path, text.encode())


@contextmanager
def replaced_directory(path: Path) -> Iterator[Path]:
    """Yield an empty directory beside `path` that replaces `path` when the block ends without an error.

    On an error `path` is left as it was and the new directory is removed.

    Raises:
        ConfigError: `path` cannot be written; what the block itself raises is left as it is.
    """
    with _staging(path) as staging:
        yield staging
        with writes(path):
            _put_in_place(staging, path)


@contextmanager
def first_directory(path: Path) -> Iterator[Path]:
    """Yield an empty directory beside `path` that becomes `path` unless another process was first.

    Raises:
        ConfigError: `path` cannot be written; what the block itself raises is left as it is.
    """
    with _staging(path) as staging:
        yield staging
        with writes(path):
            try:
                staging.rename(path)
            except OSError:
                if not path.is_dir():
                    raise


@contextmanager
def _staging(path: Path) -> Iterator[Path]:
    """An empty directory beside `path`, removed in the end if it is still there."""
    with writes(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}-"))
    try:
        staging.chmod(0o755)
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def copy_file(source: Path, path: Path) -> None:
    """Copy a file's content to `path`, whole or not at all.

    Raises:
        ConfigError: It cannot be written, or `source` not read.
    """
    with replaced_file(path) as temporary, writes(path):
        shutil.copyfile(source, temporary)


def _put_in_place(staging: Path, path: Path) -> None:
    """Rename `staging` to `path`, whose former tree goes last: it is put back if the renaming fails."""
    if not path.exists():
        staging.rename(path)
        return
    retired = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}-old-"))
    former = retired / path.name
    try:
        path.rename(former)
    except BaseException:
        retired.rmdir()
        raise
    try:
        staging.rename(path)
    except BaseException:
        former.rename(path)
        retired.rmdir()
        raise
    shutil.rmtree(retired, ignore_errors=True)  # the new tree is whole; what resists does no harm


@dataclass(frozen=True)
class RunDir:
    """Paths of one run. Constructing it touches no file."""

    root: Path

    @property
    def manifest_path(self) -> Path:
        return self.root / "manifest.json"

    @property
    def recipe(self) -> Path:
        """The resolved recipe (TOML), written by the train stage."""
        return self.root / "recipe.toml"

    @property
    def source_features(self) -> Path:
        """Log-mel of the source corpus: npz of x, y, ids, speakers, split, labels."""
        return self.root / "train" / "source_features.npz"

    @property
    def target_features(self) -> Path:
        """Log-mel of the target corpus: npz of x, y, ids, speakers, split, labels."""
        return self.root / "train" / "target_features.npz"

    @property
    def normalization(self) -> Path:
        """Mean and standard deviation per mel band of the target's training utterances: npz of mean, std."""
        return self.root / "train" / "normalization.npz"

    @property
    def source_model(self) -> Path:
        return self.root / "train" / "source_model.keras"

    @property
    def pretrained_model(self) -> Path:
        """The small model trained on the source corpus, of which the target's takes over the trunk."""
        return self.root / "train" / "pretrained.keras"

    @property
    def embeddings(self) -> Path:
        """Source-model embeddings of the target's training utterances: npz of ids, embeddings."""
        return self.root / "train" / "embeddings.npz"

    @property
    def graph(self) -> Path:
        """Similarity graph as NSL writes it: TSV of source id, target id, weight."""
        return self.root / "train" / "graph.tsv"

    @property
    def float_model(self) -> Path:
        return self.root / "train" / "model.keras"

    @property
    def pruned_pretrained_model(self) -> Path:
        """The small model of the source corpus, pruned there; its trunk stays frozen on the target."""
        return self.root / "compress" / "pruned_pretrained.keras"

    @property
    def pruned_model(self) -> Path:
        return self.root / "compress" / "pruned.keras"

    @property
    def qat_weights(self) -> Path:
        """Weights of the quantisation-aware model (its wrappers are rebuilt from the recipe)."""
        return self.root / "compress" / "qat.weights.h5"

    @property
    def tflite(self) -> Path:
        return self.root / "convert" / "model.tflite"

    @property
    def samples(self) -> Path:
        """Test set of the int8 model: npz of x (int8), y, labels, ids."""
        return self.root / "convert" / "samples.npz"

    @property
    def predictions(self) -> Path:
        """Decided classes of the test utterances: npz of ids, speakers, y, float, pruned, qat, int8."""
        return self.root / "convert" / "predictions.npz"

    @property
    def front_end(self) -> Path:
        """The integer front end of model.tflite, samples to int8 input: JSON. None for float64 features."""
        return self.root / "convert" / "front_end.json"

    @property
    def audio(self) -> Path:
        """The test set as 16-bit samples: npz of pcm, lengths, sample_rate_hz, y, labels, ids."""
        return self.root / "convert" / "audio.npz"

    def metrics(self, stage: str) -> Path:
        """Figures of a stage (JSON)."""
        return self.root / stage / "metrics.json"

    def project(self, board_id: str, engine: str) -> Path:
        """Firmware project directory of a board and engine."""
        return self.root / "firmware" / f"{board_id}-{engine}"

    def report(self, board_id: str, engine: str) -> Path:
        """Report directory of a board and engine."""
        return self.root / "verify" / f"{board_id}-{engine}"

    def claim(self) -> None:
        """Make the directory, or take one that an earlier run made.

        Raises:
            ConfigError: It exists and holds something else, or cannot be written.
        """
        try:
            if self.root.exists() and not self.root.is_dir():
                raise ConfigError(self.root, "is not a directory", hint="another run directory")
            if self.root.exists() and any(self.root.iterdir()) and not self.manifest_path.exists():
                raise ConfigError(
                    self.root, "is not empty and has no manifest.json of a run", hint="another run directory"
                )
        except OSError as error:
            raise ConfigError(
                self.root, f"cannot be read ({error.strerror})", hint="another run directory"
            ) from error
        self.read_manifest()  # a damaged one is found before hours of work, not after
        with writes(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self.root).close()

    def require(self, path: Path, made_by: str) -> Path:
        """Return `path`, or say which command makes it.

        Raises:
            ConfigError: The file is absent.
        """
        if not path.exists():
            raise ConfigError(self.root, f"has no {path.relative_to(self.root)}", hint=self.command(made_by))
        return path

    def command(self, stage: str) -> str:
        """The command that does a stage again, with the recipe of the run where there is one."""
        # Without it, train would take the default recipe and write it in place of the run's.
        recipe = ["--recipe", self.recipe] if stage == "train" and self.recipe.exists() else []
        return shell_command("mcu-ser", stage, self.root, *recipe)

    def read_manifest(self) -> dict[str, Any]:
        """The manifest, or an empty one for a new run directory.

        Raises:
            ConfigError: The file is there but cannot be read or is not a manifest.
        """
        try:
            manifest = json.loads(self.manifest_path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {"mcu_ser": __version__, "stages": {}}
        except OSError as error:
            raise ConfigError(
                self.manifest_path, f"cannot be read ({error.strerror})", hint="another run directory"
            ) from error
        except ValueError as error:
            raise ConfigError(
                self.manifest_path, f"is not JSON ({error})", hint="a new run directory"
            ) from error
        if not isinstance(manifest, dict) or not isinstance(manifest.get("stages"), dict):
            raise ConfigError(self.manifest_path, "is not a run manifest", hint="a new run directory")
        return manifest

    def record_stage(
        self,
        stage: str,
        *,
        seed: int,
        read: Sequence[Path],
        wrote: Sequence[Path],
        versions: Mapping[str, str],
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        """Record what a stage read and wrote; a path outside the run directory goes by its file name.

        Args:
            stage: Its name.
            seed: That it used.
            read: Files.
            wrote: Files.
            versions: Package name to version.
            facts: What else the stage has to record, as JSON values.
        """
        manifest = self.read_manifest()
        manifest["mcu_ser"] = __version__
        manifest["stages"][stage] = {
            "seed": seed,
            "versions": dict(versions),
            "read": self._hashes(read),
            "wrote": self._hashes(wrote),
            **(facts or {}),
        }
        write_text(self.manifest_path, canonical_json(manifest))

    def _hashes(self, paths: Sequence[Path]) -> dict[str, str]:
        def label(path: Path) -> str:
            return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else path.name

        return {label(path): sha256_file(path) for path in paths}
