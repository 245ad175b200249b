# SPDX-License-Identifier: Apache-2.0
"""A .tflite and a board, turned into a firmware project: a directory that builds by itself.

The same model, board, engine and version of mcu-ser give the same bytes. The directory appears whole or not
at all, and one that holds anything of the user's is never overwritten.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mcu_ser import __version__
from mcu_ser.aot.compile import TensorSpec
from mcu_ser.aot.float_edges import load_quantized
from mcu_ser.aot.optimization import Optimization
from mcu_ser.artifacts import replaced_directory, sha256_file, sha256_hex
from mcu_ser.board import Board, parse_board
from mcu_ser.board.baud import require_baud
from mcu_ser.errors import ConfigError, ModelError
from mcu_ser.features.front_end import FrontEnd
from mcu_ser.generate.engine_model import Arena, EngineModel, engine_model
from mcu_ser.generate.fit import check_fit
from mcu_ser.generate.front_end import front_end_size, require_fitting_front_end
from mcu_ser.generate.manifest import (
    FORMAT,
    MANIFEST_NAME,
    Manifest,
    TensorEntry,
    generate_beside,
    read_manifest,
)
from mcu_ser.generate.project_files import (
    BOARD_NAME,
    FRONT_END_NAME,
    MODEL_NAME,
    Firmware,
    project_files,
)
from mcu_ser.generate.template import load_template
from mcu_ser.resources import firmware_templates_dir
from mcu_ser.tflm.runtime_support import runtime_for

ENGINES = ("aot", "tflm")
BUILD_DIR = "build"


@dataclass(frozen=True)
class Project:
    """A firmware project on disk."""

    root: Path
    board: Board
    manifest: Manifest

    @classmethod
    def load(cls, root: Path) -> Project:
        """The project in `root`.

        Raises:
            ConfigError: `root` is no firmware project, or its model or board file is not the one that the
                firmware was generated from.
        """
        manifest = read_manifest(root)
        digests = {MODEL_NAME: manifest.model_sha256, BOARD_NAME: manifest.files.get(BOARD_NAME)}
        if manifest.front_end:
            digests[FRONT_END_NAME] = manifest.files.get(FRONT_END_NAME)
        for name, digest in digests.items():
            path = root / name
            if not manifest.files.get(name) == digest == _digest(path):
                raise ConfigError(
                    path,
                    "is not the file that the project was generated from",
                    hint=generate_beside(root, manifest),
                )
        path = root / BOARD_NAME
        board = parse_board(path.read_text(encoding="utf-8"), path)
        if board.id != manifest.board:
            raise ConfigError(
                root / MANIFEST_NAME,
                f"is for board {manifest.board}, {BOARD_NAME} for {board.id}",
                hint=generate_beside(root, manifest),
            )
        return cls(root, board, manifest)

    @property
    def engine(self) -> str:
        return self.manifest.engine

    @property
    def model_path(self) -> Path:
        return self.root / MODEL_NAME

    @property
    def front_end_path(self) -> Path | None:
        """Where the front end is described; None if the firmware has none."""
        return self.root / FRONT_END_NAME if self.manifest.front_end else None

    @property
    def model_sha256(self) -> str:
        """64 hex digits."""
        return self.manifest.model_sha256

    @property
    def build_id(self) -> str:
        """32 hex digits that name every generated file's content; HELLO reports it."""
        return self.manifest.build_id

    @property
    def baud(self) -> int:
        """Speed of the serial port in bit/s."""
        return self.manifest.baud

    @property
    def input(self) -> TensorSpec:
        return TensorSpec(**self.manifest.input.model_dump())

    @property
    def output(self) -> TensorSpec:
        return TensorSpec(**self.manifest.output.model_dump())

    @property
    def arena_bytes(self) -> int:
        return self.manifest.arena_bytes

    @property
    def build_dir(self) -> Path:
        return self.root / BUILD_DIR

    @property
    def elf_path(self) -> Path:
        """Where the build leaves the firmware."""
        return self.build_dir / self.manifest.executable

    def changed_files(self) -> tuple[str, ...]:
        """Generated files that are gone or no longer what was generated, project-relative."""
        return tuple(
            name
            for name, digest in sorted(self.manifest.files.items())
            if _digest(self.root / name) != digest
        )


def _digest(path: Path) -> str | None:
    """SHA-256 of a file, None if it is none.

    Raises:
        ConfigError: It cannot be read.
    """
    try:
        return sha256_file(path) if path.is_file() else None
    except OSError as error:
        raise ConfigError(path, f"cannot be read ({error.strerror})", hint="its permissions") from error


def generate(
    model_path: Path,
    board: Board,
    engine: str,
    out: Path,
    *,
    baud: int | None = None,
    arena: Arena | None = None,
    layers: bool = False,
    front_end: Path | None = None,
    winograd_bytes: int = 0,
    optimization: Optimization = Optimization.SPEED,
) -> Project:
    """Write the firmware project of a model, board and engine to `out`.

    Args:
        model_path: An int8 .tflite; float edges are taken off (`float_edges`).
        board: What it will run on.
        engine: One of `ENGINES`.
        out: Directory to write.
        baud: Speed of the serial port in bit/s; the board file's without it.
        arena: Of engine tflm; the estimate without it.
        layers: Whether the firmware traces layers, for `verify --bisect` and `--profile`.
        front_end: The front_end.json of the model, for firmware that computes its input of audio.
        winograd_bytes: Of engine aot: flash that convolutions by Winograd's algorithm may take more.
        optimization: Of engine aot: what the firmware is built for.

    Raises:
        ModelError: The model cannot be read, the engine does not support it, or it has no layers to trace.
        BudgetError: The model does not fit the board.
        ConfigError: An unknown engine, a platform without template, a bit rate that the board has not, a
            front end that is not this model's, or `out` holds files that are not the generator's.
    """
    require_engine(engine, board)
    if baud is not None:
        require_baud(board, baud)
    template = load_template(firmware_templates_dir() / board.platform)
    require_replaceable(out)
    quantized = load_quantized(model_path)
    compiled = engine_model(
        quantized.content,
        str(model_path),
        board,
        engine,
        arena,
        layers=layers,
        winograd_bytes=winograd_bytes,
        optimization=optimization,
    )
    if layers and not compiled.layers:
        raise ModelError(model_path, "has no layers to trace", hint="generate without --layers")
    hearing, compiled = _with_front_end(front_end, compiled, board)
    check_fit(compiled.needs, board)
    firmware = Firmware(
        quantized.content, compiled, board, engine, baud or board.serial.baud, template, layers, hearing
    )
    files, build_id = project_files(firmware)
    manifest = _manifest(firmware, files, build_id, quantized.taken_off)
    _write(out, {**files, MANIFEST_NAME: manifest.to_json().encode()})
    return Project(out, board, manifest)


def _with_front_end(
    path: Path | None, compiled: EngineModel, board: Board
) -> tuple[FrontEnd | None, EngineModel]:
    """The front end, if the firmware has one, and what the model takes with it."""
    if path is None:
        return None, compiled
    hearing = FrontEnd.load(path)
    require_fitting_front_end(hearing, compiled.input, compiled.output.dtype, path)
    size = front_end_size(hearing).on(board)
    return hearing, replace(compiled, needs=compiled.needs.with_front_end(size))


def _write(out: Path, files: Mapping[str, bytes]) -> None:
    try:
        # Resolved, because under a link or a ".." another directory would be replaced.
        with replaced_directory(out.resolve()) as staging:
            for name, content in files.items():
                path = staging / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
    except OSError as error:
        raise ConfigError(out, f"cannot be written ({error.strerror})", hint="another --out") from error


def require_replaceable(out: Path) -> None:
    """Check that nothing of the user's is lost when a project is written to `out`.

    Raises:
        ConfigError: `out` is a file, cannot be read, holds files that are not a generated project's, or is
            a directory that somebody works in.
    """
    try:
        _require_replaceable(out)
    except OSError as error:
        raise ConfigError(out, f"cannot be read ({error.strerror})", hint="another --out") from error


def _require_replaceable(out: Path) -> None:
    # The shell of the user would be left in a directory that is gone.
    if Path.cwd().is_relative_to(out.resolve()):
        raise ConfigError(out, "is the current directory or holds it", hint="another --out")
    if not out.exists():
        return
    if not out.is_dir():
        raise ConfigError(out, "is a file, not a directory", hint="another --out")
    if not any(out.iterdir()):
        return
    known = _files_of_project(out)
    for path in _user_visible_files(out):
        name = path.relative_to(out).as_posix()
        if name != MANIFEST_NAME and (name not in known or sha256_file(path) != known[name]):
            state = "was changed since it was generated" if name in known else "was not generated"
            raise ConfigError(
                out, f"is not overwritten: {name} {state}", hint="another --out, or remove it yourself"
            )


def _files_of_project(out: Path) -> Mapping[str, str]:
    """Path -> SHA-256 of the project that `out` must be."""
    try:
        return read_manifest(out).files
    except ConfigError as error:
        raise ConfigError(
            out, "is not empty and not a firmware project of this version", hint="another --out"
        ) from error


def _user_visible_files(root: Path) -> Iterator[Path]:
    """Every file of a project in order of its path, without what a build made."""
    for path in sorted(root.rglob("*")):
        top = path.relative_to(root).parts[0]
        if not path.is_dir() and not _is_build_dir(root / top):
            yield path


def _is_build_dir(path: Path) -> bool:
    """Whether a directory belongs to the build: the preset's own, or another one of CMake's beside it."""
    named = path.name == BUILD_DIR or (path / "CMakeCache.txt").is_file()
    return named and path.is_dir() and not path.is_symlink()


def require_engine(engine: str, board: Board) -> None:
    """Check that a board can have an engine.

    Raises:
        ConfigError: It cannot, or there is no such engine.
    """
    if engine not in ENGINES:
        raise ConfigError(f"engine {engine!r}", "is unknown", hint="--engine aot or --engine tflm")
    if engine == "tflm" and runtime_for(board) is None:
        raise ConfigError("engine 'tflm'", f"does not exist on {board.id}", hint="--engine aot")


def _manifest(
    firmware: Firmware, files: Mapping[str, bytes], build_id: str, taken_off: tuple[str, ...]
) -> Manifest:
    compiled = firmware.compiled
    return Manifest(
        format=FORMAT,
        mcu_ser=__version__,
        board=firmware.board.id,
        engine=firmware.engine,
        executable=firmware.template.executable,
        build=firmware.template.build,
        baud=firmware.baud,
        model_sha256=sha256_hex(firmware.model),
        build_id=build_id,
        arena_bytes=compiled.arena_bytes,
        arena_basis=compiled.arena.basis,
        weight_bytes=compiled.weight_bytes,
        macs=compiled.macs,
        layers=firmware.layers,
        front_end=firmware.front_end is not None,
        winograd_bytes=compiled.winograd.bytes if compiled.winograd else 0,
        winograd_layers=compiled.winograd.layers if compiled.winograd else (),
        optimization=compiled.optimization.value,
        taken_off=taken_off,
        input=_tensor_entry(compiled.input),
        output=_tensor_entry(compiled.output),
        files={name: sha256_hex(content) for name, content in files.items()},
    )


def _tensor_entry(spec: TensorSpec) -> TensorEntry:
    return TensorEntry(
        name=spec.name,
        shape=spec.shape,
        scale=spec.scale,
        zero_point=spec.zero_point,
        bytes=spec.bytes,
        dtype=spec.dtype,
        indices_of=spec.indices_of,
    )
