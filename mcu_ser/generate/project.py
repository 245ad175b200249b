# SPDX-License-Identifier: Apache-2.0
"""A .tflite and a board, turned into a firmware project: a directory that builds by itself.

The same model, board, engine and version of mcu-ser give the same bytes. The directory appears whole or not
at all, and one that holds anything of the user's is never overwritten.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from mcu_ser import __version__
from mcu_ser.aot.compile import CompiledModel, TensorSpec, compile_model
from mcu_ser.aot.fit import check_fit
from mcu_ser.aot.tflite_reader import read_model
from mcu_ser.artifacts import replaced_directory, sha256_file, sha256_hex
from mcu_ser.board import Board, parse_board
from mcu_ser.board_stm32 import Stm32Build
from mcu_ser.errors import ConfigError, ModelError
from mcu_ser.generate.byte_arrays import tflm_values
from mcu_ser.generate.jinja_env import render
from mcu_ser.generate.manifest import FORMAT, MANIFEST_NAME, Manifest, TensorEntry, read_manifest
from mcu_ser.generate.model_info import model_info
from mcu_ser.generate.stm32 import stm32_values
from mcu_ser.generate.template import Context, Template, load_template
from mcu_ser.resources import firmware_templates_dir

ENGINES = ("aot", "tflm")
MODEL_NAME = "model.tflite"
BOARD_NAME = "board.yaml"
MODEL_INFO_NAME = "src/model/model_info.h"
# Build directories lie inside the project and belong to the build.
BUILD_PREFIX = "build"
_NO_BUILD_ID = "0" * 32


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
        for name in (MODEL_NAME, BOARD_NAME):
            path = root / name
            if not path.is_file() or sha256_file(path) != manifest.files.get(name):
                raise ConfigError(
                    path,
                    "is not the file that the project was generated from",
                    hint="mcu-ser generate again",
                )
        path = root / BOARD_NAME
        return cls(root, parse_board(path.read_text(encoding="utf-8"), path), manifest)

    @property
    def engine(self) -> str:
        return self.manifest.engine

    @property
    def model_path(self) -> Path:
        return self.root / MODEL_NAME

    @property
    def model_sha256(self) -> str:
        """64 hex digits."""
        return self.manifest.model_sha256

    @property
    def build_id(self) -> str:
        """32 hex digits that name every generated file's content; HELLO reports it."""
        return self.manifest.build_id

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
        return self.root / BUILD_PREFIX

    @property
    def elf_path(self) -> Path:
        """Where the build leaves the firmware."""
        return self.build_dir / self.manifest.executable

    def changed_files(self) -> tuple[str, ...]:
        """Generated files that are gone or no longer what was generated, project-relative."""
        return tuple(
            name
            for name, digest in sorted(self.manifest.files.items())
            if not (self.root / name).is_file() or sha256_file(self.root / name) != digest
        )


def generate(model_path: Path, board: Board, engine: str, out: Path) -> Project:
    """Write the firmware project of a model, board and engine to `out`.

    Raises:
        ModelError: The model cannot be read, or the engine does not support it.
        BudgetError: The model does not fit the board.
        ConfigError: An unknown engine, a platform without template, or `out` holds files that are not the
            generator's.
    """
    require_engine(engine)
    template = load_template(firmware_templates_dir() / board.platform)
    require_replaceable(out)
    try:
        model = model_path.read_bytes()
    except OSError as error:
        raise ModelError(model_path, f"cannot be read ({error.strerror})") from error
    compiled = compile_model(model, str(model_path))
    check_fit(compiled, board)
    files = _project_files(model, compiled, board, engine, template)
    build_id = _build_id(files)
    files[MODEL_INFO_NAME] = _model_info_file(model, compiled, board, engine, build_id)
    manifest = _manifest(compiled, board, engine, template, build_id, files)
    _write(out, {**files, MANIFEST_NAME: manifest.to_json().encode()})
    return Project(out, board, manifest)


def _write(out: Path, files: Mapping[str, bytes]) -> None:
    try:
        # Resolved, because a directory cannot be replaced under the name ".".
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
        ConfigError: `out` is a file, or a directory with files that are not a generated project's.
    """
    if not out.exists():
        return
    if not out.is_dir():
        raise ConfigError(out, "is a file, not a directory", hint="another --out")
    if not any(out.iterdir()):
        return
    known = read_manifest_files(out)
    for path in _user_visible_files(out):
        name = path.relative_to(out).as_posix()
        if name != MANIFEST_NAME and (name not in known or sha256_file(path) != known[name]):
            state = "was changed since it was generated" if name in known else "was not generated"
            raise ConfigError(
                out, f"is not overwritten: {name} {state}", hint="another --out, or remove it yourself"
            )


def read_manifest_files(out: Path) -> Mapping[str, str]:
    """Path -> SHA-256 of the project in `out`.

    Raises:
        ConfigError: `out` is not a firmware project.
    """
    try:
        return read_manifest(out).files
    except ConfigError as error:
        raise ConfigError(
            out, "is not empty and not a firmware project of this version", hint="another --out"
        ) from error


def _user_visible_files(root: Path) -> Iterator[Path]:
    """Every file of a project in order of its path, without what the build made."""
    for path in sorted(root.rglob("*")):
        top = path.relative_to(root).parts[0]
        built = top.startswith(BUILD_PREFIX) and (root / top).is_dir()
        if not built and not path.is_dir():
            yield path


def require_engine(engine: str) -> None:
    """Check that this version can build an engine.

    Raises:
        ConfigError: It cannot, or there is no such engine.
    """
    if engine not in ENGINES:
        raise ConfigError(f"engine {engine!r}", "is unknown", hint="--engine aot")
    if engine == "tflm":
        raise ConfigError(
            "engine 'tflm'",
            "cannot be built by this version; its C++ files are in src/tflm/ of every project",
            hint="--engine aot",
        )


def _project_files(
    model: bytes, compiled: CompiledModel, board: Board, engine: str, template: Template
) -> dict[str, bytes]:
    """Every file but the manifest; model_info.h has no build id yet."""
    model_sha256 = sha256_hex(model)
    files = dict(_runtime_files(engine, compiled.kernels))
    files.update({f"src/model/{name}": text.encode() for name, text in compiled.sources.items()})
    files[MODEL_INFO_NAME] = _model_info_file(model, compiled, board, engine, _NO_BUILD_ID)
    build = board.build
    context = Context(
        tool_version=__version__,
        board=board,
        engine=engine,
        model_sha256=model_sha256,
        sources=(),
        include_dirs=(),
        stm32=stm32_values(board, build) if isinstance(build, Stm32Build) else None,
    )
    targets = {*files, *(file.target for file in template.resolve(context))}
    context = replace(
        context,
        sources=tuple(sorted(name for name in targets if name.endswith(".c"))),
        include_dirs=tuple(
            sorted({str(PurePosixPath(name).parent) for name in targets if name.endswith(".h")})
        ),
    )
    files.update({file.target: file.content(context) for file in template.resolve(context)})
    files.update(_shared_files(model, compiled, context, template))
    return files


def _runtime_files(engine: str, kernels: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    runtime = firmware_templates_dir() / "runtime"
    for path in sorted(runtime.glob("*.[ch]")):
        if not path.name.startswith("engine_") or path.stem == f"engine_{engine}":
            yield f"src/runtime/{path.name}", path.read_bytes()
    for name in kernels:
        yield f"src/runtime/kernels/{name}", (runtime / "kernels" / name).read_bytes()


def _shared_files(
    model: bytes, compiled: CompiledModel, context: Context, template: Template
) -> dict[str, bytes]:
    """The files that every platform gets alike."""
    names = {
        **context.names(),
        "executable": template.executable,
        "tflm": tflm_values(model, read_model(model)),
        "info": model_info(context.model_sha256, _NO_BUILD_ID, compiled.input, compiled.output),
    }
    return {
        "src/tflm/model_data.h": _render_shared("model_data.h.j2", names),
        "src/tflm/model_data.cc": _render_shared("model_data.cc.j2", names),
        "src/tflm/op_resolver.h": _render_shared("op_resolver.h.j2", names),
        "README.md": _render_shared("README.md.j2", names),
        ".gitignore": (firmware_templates_dir() / "project" / "gitignore").read_bytes(),
        BOARD_NAME: context.board.yaml_text.encode(),
        MODEL_NAME: model,
    }


def _model_info_file(
    model: bytes, compiled: CompiledModel, board: Board, engine: str, build_id: str
) -> bytes:
    info = model_info(sha256_hex(model), build_id, compiled.input, compiled.output)
    names = {"tool_version": __version__, "board": board, "engine": engine, "info": info}
    return _render_shared("model_info.h.j2", names)


def _render_shared(name: str, names: Mapping[str, object]) -> bytes:
    text = (firmware_templates_dir() / "project" / name).read_text(encoding="utf-8")
    return render(text, names, name).encode()


def _build_id(files: Mapping[str, bytes]) -> str:
    """First 16 bytes of the SHA-256 over tool version, names and contents, as hex digits.

    Each part is preceded by its length, so that no two different projects give the same stream.
    """
    digest = hashlib.sha256()
    for part in (__version__.encode(), *(p for name in sorted(files) for p in (name.encode(), files[name]))):
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()[:32]


def _manifest(
    compiled: CompiledModel,
    board: Board,
    engine: str,
    template: Template,
    build_id: str,
    files: Mapping[str, bytes],
) -> Manifest:
    return Manifest(
        format=FORMAT,
        mcu_ser=__version__,
        board=board.id,
        engine=engine,
        executable=template.executable,
        model_sha256=sha256_hex(files[MODEL_NAME]),
        build_id=build_id,
        arena_bytes=compiled.arena_bytes,
        weight_bytes=compiled.weight_bytes,
        macs=compiled.macs,
        input=_tensor_entry(compiled.input),
        output=_tensor_entry(compiled.output),
        files={name: sha256_hex(content) for name, content in files.items()},
    )


def _tensor_entry(spec: TensorSpec) -> TensorEntry:
    return TensorEntry(
        name=spec.name, shape=spec.shape, scale=spec.scale, zero_point=spec.zero_point, bytes=spec.bytes
    )
