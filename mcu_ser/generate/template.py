# SPDX-License-Identifier: Apache-2.0
"""Platform templates: `firmware_templates/<platform>/template.yaml` says which files make a project.

    executable: firmware.elf                # what the build leaves in PROJECT/build/
    build: cmake                            # cmake, or arduino (toolchain/build.py)
    layout: {runtime: src/runtime, kernels: src/runtime/kernels, model: src/model}
    omit: [main.c]                          # files of the runtime that the platform does without
    base: cortex_m                          # another template whose files come first
    files:
      - {from: uart_v1.c, to: src/port/uart_v1.c}
      - {from: CMakeLists.txt.j2, to: CMakeLists.txt, render: true}
      - {from: "{{ stm32.clock_driver }}.c", to: src/port/clock.c}

`from` is relative to the platform's directory, `to` to the project. Both may name values of the context.
A file is copied byte for byte unless `render` is true; then it is a Jinja template (`jinja_env`). With
`if: NAME` it is there only if that value of the context is true.

`layout` says where the rest of the firmware goes; the directories shown are the defaults:

    src/runtime/         firmware_templates/runtime/*.[ch], of the engines only engine_<engine>.*
    src/runtime/kernels/ the kernels that the model needs (engine aot)
    src/runtime/front_end/ firmware_templates/runtime/front_end/*.[ch], if the firmware has a front end
    src/model/           model_info.h, the engine's form of the model, and the tables of the front end

Every project also gets model.tflite, board.yaml, project.json, .gitignore and, unless `files` brings one,
README.md.

Values for templates (`Context`): `tool_version`, `board` (the Board), `engine`, `baud`, `model_sha256`,
`sources` (every C file to compile, project-relative, sorted), `include_dirs` (likewise), `info` (the
model's tensors as text), `layers` (how many of them the firmware traces; None without --layers), `front_end`
(whether the firmware has one), `microphone` (whether it hears with one of the board), `for_size` (whether it
is built for size, not for speed), `cortex_m`
(compiler flags, linker regions and placement; None where CMake builds for no Cortex-M), `stm32` and `mps`
(finished register values; None on other platforms).

With `build: cmake`, `cmake --preset firmware` and `cmake --build --preset firmware` build the project, so a
template brings a CMakePresets.json whose presets of that name build into PROJECT/build. With `build: arduino`
it is a sketch in PROJECT/firmware, with the sketch.yaml and platformio.ini of arduino-cli and PlatformIO.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from mcu_ser.errors import ConfigError
from mcu_ser.generate.jinja_env import render

if TYPE_CHECKING:
    from mcu_ser.board import Board
    from mcu_ser.generate.cortex_m import CortexMValues
    from mcu_ser.generate.model_info import ModelInfo
    from mcu_ser.generate.mps import MpsValues
    from mcu_ser.generate.stm32 import Stm32Values


# How the project is built: toolchain/build.py.
BuildSystem: TypeAlias = Literal["cmake", "arduino"]


@dataclass(frozen=True)
class Context:
    """The values that templates print."""

    tool_version: str
    board: Board
    engine: str
    baud: int
    model_sha256: str
    sources: tuple[str, ...]
    include_dirs: tuple[str, ...]
    stm32: Stm32Values | None
    cortex_m: CortexMValues | None = None
    mps: MpsValues | None = None
    info: ModelInfo | None = None
    tflm_target_arch: str | None = None
    layers: int | None = None
    front_end: bool = False
    microphone: bool = False
    for_size: bool = False

    def names(self) -> Mapping[str, Any]:
        """Name -> value, as Jinja takes them."""
        return dict(vars(self))


@dataclass(frozen=True)
class TemplateFile:
    """One file of a template: where it comes from, where it goes (project-relative), rendered or copied."""

    source: Path
    target: str
    render: bool

    def content(self, context: Context) -> bytes:
        """What the project gets.

        Raises:
            ConfigError: The file is absent, or its template is wrong.
        """
        try:
            data = self.source.read_bytes()
        except OSError as error:
            raise ConfigError(f"template {self.source.name}", f"cannot be read ({error.strerror})") from error
        return render(data.decode(), context.names(), self.source.name).encode() if self.render else data


@dataclass(frozen=True)
class Layout:
    """Where the files go that every platform has, relative to the project."""

    runtime: str = "src/runtime"
    kernels: str = "src/runtime/kernels"
    front_end: str = "src/runtime/front_end"
    model: str = "src/model"


@dataclass(frozen=True)
class Template:
    """A platform's template.yaml; `files` is what stands there, with `from` and `to` not yet rendered."""

    directory: Path
    executable: str
    files: tuple[Mapping[str, Any], ...]
    build: BuildSystem = "cmake"
    layout: Layout = field(default_factory=Layout)
    omit: frozenset[str] = frozenset()

    def resolve(self, context: Context) -> tuple[TemplateFile, ...]:
        """The files for one project, with every name in `from` and `to` filled in."""
        names = context.names()
        return tuple(
            TemplateFile(
                source=self.directory / render(entry["from"], names, "template.yaml"),
                target=_project_path(render(entry["to"], names, "template.yaml"), self.directory),
                render=entry.get("render", False),
            )
            for entry in self.files
            if "if" not in entry or names[entry["if"]]
        )


def load_template(directory: Path) -> Template:
    """The template of a platform.

    Raises:
        ConfigError: The platform has no template, or template.yaml is wrong.
    """
    import yaml

    path = directory / "template.yaml"
    if not path.is_file():
        raise ConfigError(f"platform {directory.name!r}", "has no firmware template in this version")
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ConfigError(path, f"is not YAML: {' '.join(str(error).split())}") from error
    required, optional = {"executable", "files"}, {"base", "build", "layout", "omit"}
    if not isinstance(document, dict) or not required <= set(document) <= required | optional:
        raise ConfigError(
            path, "must have the keys executable and files, may have base, build, layout and omit"
        )
    if not isinstance(document["executable"], str) or not isinstance(document["files"], list):
        raise ConfigError(path, "executable must be a name and files a list")
    if document.get("build", "cmake") not in get_args(BuildSystem):
        known = ", ".join(get_args(BuildSystem))
        raise ConfigError(path, f"build: {document['build']!r} is not one of {known}")
    _require_entries(document["files"], path)
    return Template(
        directory,
        document["executable"],
        (*_base_files(document.get("base"), path), *document["files"]),
        document.get("build", "cmake"),
        _layout(document.get("layout", {}), path),
        _omitted(document.get("omit", []), path),
    )


def _base_files(base: Any, path: Path) -> tuple[Mapping[str, Any], ...]:
    """The files of the template that this one builds on, `from` relative to this one."""
    if base is None:
        return ()
    if not isinstance(base, str) or "/" in base:
        raise ConfigError(path, f"base: {base!r} is not a directory beside this one")
    files = load_template(path.parent.parent / base).files
    return tuple({**entry, "from": f"../{base}/{entry['from']}"} for entry in files)


def _omitted(names: Any, path: Path) -> frozenset[str]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ConfigError(path, "omit must be a list of files of the runtime")
    return frozenset(names)


def _layout(entries: Any, path: Path) -> Layout:
    known = set(vars(Layout()))
    if not isinstance(entries, dict) or not set(entries) <= known:
        raise ConfigError(path, f"layout: may have the keys {', '.join(sorted(known))}, and no others")
    return Layout(**{key: _project_path(str(value), path.parent) for key, value in entries.items()})


def _require_entries(entries: Sequence[Any], path: Path) -> None:
    kinds = {"from": str, "to": str, "render": bool, "if": str}
    conditions = {field.name for field in fields(Context)}
    for entry in entries:
        known = isinstance(entry, dict) and {"from", "to"} <= set(entry) <= set(kinds)
        if not known or not all(isinstance(value, kinds[key]) for key, value in entry.items()):
            raise ConfigError(path, f"files: {entry!r} is not {{from, to, render, if}}")
        if entry.get("if", "board") not in conditions:
            raise ConfigError(path, f"files: {entry['if']!r} is no value of the context")


def _project_path(target: str, directory: Path) -> str:
    path = PurePosixPath(target)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise ConfigError(directory / "template.yaml", f"to: {target!r} leaves the project")
    return path.as_posix()
