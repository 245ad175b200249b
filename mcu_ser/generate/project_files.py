# SPDX-License-Identifier: Apache-2.0
"""A model and a board, turned into the content of every file of a firmware project, in memory.

Pure but for reading the templates: the same input and version of mcu-ser give the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from mcu_ser import __version__
from mcu_ser.aot.optimization import Optimization
from mcu_ser.aot.tflite_reader import read_model
from mcu_ser.artifacts import canonical_json, sha256_hex
from mcu_ser.board.stm32 import Stm32Build
from mcu_ser.generate.byte_arrays import tflm_values
from mcu_ser.generate.cortex_m import cortex_m_values
from mcu_ser.generate.engine_model import Arena
from mcu_ser.generate.front_end import front_end_sources
from mcu_ser.generate.jinja_env import render
from mcu_ser.generate.model_info import model_info
from mcu_ser.generate.mps import mps_values
from mcu_ser.generate.stm32 import stm32_values
from mcu_ser.generate.template import Context, Template
from mcu_ser.resources import firmware_templates_dir
from mcu_ser.tflm.library import target_arch

if TYPE_CHECKING:
    from mcu_ser.board import Board
    from mcu_ser.features.front_end import FrontEnd
    from mcu_ser.generate.engine_model import EngineModel

MODEL_NAME = "model.tflite"
BOARD_NAME = "board.yaml"
README_NAME = "README.md"
FRONT_END_NAME = "front_end.json"
_NO_BUILD_ID = "0" * 32
_SOURCE_SUFFIXES = (".c", ".cpp")
# What only a firmware that traces layers has (the build costs no byte without).
_LAYER_FILES = frozenset({"layer_trace.h", "server_layers.c", "server_layers.h", "engine_tflm_layers.h"})
# What only a firmware with a front end has, beside the directory of its own.
FRONT_END_FILES = frozenset(
    f"{name}.{kind}" for name in ("audio_ring", "server_audio", "server_listen") for kind in "ch"
)
# What only a firmware with a front end has on a board with a microphone.
_MICROPHONE_FILES = frozenset({"port_microphone.h"})
_TFLM_FILES = ("model_data.cpp", "model_data.h", "op_resolver.h", "tensor_arena.h")


@dataclass(frozen=True, eq=False)
class Firmware:
    """What a project is made of. `model` is the .tflite, `compiled` the same as its engine takes it.

    `layers`: the firmware traces layers. `front_end`: the firmware computes its input of audio with it.
    """

    model: bytes
    compiled: EngineModel
    board: Board
    engine: str
    baud: int
    template: Template
    layers: bool = False
    front_end: FrontEnd | None = None

    @property
    def microphone(self) -> bool:
        """Whether the firmware hears with a microphone of the board."""
        return self.front_end is not None and self.board.microphone is not None

    @property
    def model_info_name(self) -> str:
        """Project-relative path of model_info.h."""
        return f"{self.template.layout.model}/model_info.h"


def project_files(firmware: Firmware) -> tuple[dict[str, bytes], str]:
    """Every file but the manifest, by project-relative path, and the build id (32 hex digits) of them all."""
    files = {**dict(_runtime_files(firmware)), **_model_files(firmware)}
    files[firmware.model_info_name] = _model_info_file(firmware, _NO_BUILD_ID)
    platform = _platform_files(firmware, files)
    files.update(platform)
    files.update(_shared_files(firmware, brought=platform))
    build_id = _build_id(files)
    files[firmware.model_info_name] = _model_info_file(firmware, build_id)
    return files, build_id


def _runtime_files(firmware: Firmware) -> Iterator[tuple[str, bytes]]:
    runtime, layout = firmware_templates_dir() / "runtime", firmware.template.layout
    absent = _absent_files(firmware)
    for path in sorted(runtime.iterdir()):
        if path.suffix not in {*_SOURCE_SUFFIXES, ".h"} or path.name in absent:
            continue
        if not path.name.startswith("engine_") or path.stem.startswith(f"engine_{firmware.engine}"):
            yield f"{layout.runtime}/{path.name}", path.read_bytes()
    for name in firmware.compiled.kernels:
        yield f"{layout.kernels}/{name}", (runtime / "kernels" / name).read_bytes()
    if firmware.front_end is not None:
        for path in sorted((runtime / "front_end").iterdir()):
            yield f"{layout.front_end}/{path.name}", path.read_bytes()
        for name, text in front_end_sources(firmware.front_end).items():
            yield f"{layout.model}/{name}", text.encode()


def _absent_files(firmware: Firmware) -> frozenset[str]:
    """Files of the runtime that this firmware does without."""
    optional = (
        (_LAYER_FILES, firmware.layers),
        (FRONT_END_FILES, firmware.front_end is not None),
        (_MICROPHONE_FILES, firmware.microphone),
    )
    return firmware.template.omit.union(*(names for names, wanted in optional if not wanted))


def _model_files(firmware: Firmware) -> dict[str, bytes]:
    """The engine's form of the model, and what its build needs besides."""
    model_dir, texts = firmware.template.layout.model, firmware.compiled.sources
    if firmware.engine != "tflm":
        return {f"{model_dir}/{name}": text.encode() for name, text in texts.items()}
    files = _tflm_files(firmware, model_dir, firmware.compiled.arena)
    if firmware.template.build == "cmake":
        files["cmake/FindTFLM.cmake"] = (firmware_templates_dir() / "tflm" / "FindTFLM.cmake").read_bytes()
    else:
        library = _render_shared("tflm_library.h.j2", _context(firmware).names())
        files[f"{model_dir}/tflm_library.h"] = library
    return files


def _tflm_files(firmware: Firmware, directory: str, arena: Arena | None = None) -> dict[str, bytes]:
    """The model for TFLite-Micro, with the arena that it is estimated to need or with another."""
    values = tflm_values(firmware.model, read_model(firmware.model))
    arena = arena or Arena(values.arena_bytes, "estimated")
    names = {
        **_context(firmware).names(),
        "tflm": values,
        "arena_bytes": arena.bytes,
        "arena_basis": arena.basis,
    }
    return {f"{directory}/{name}": _render_shared(f"{name}.j2", names) for name in _TFLM_FILES}


def _platform_files(firmware: Firmware, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files of the platform's template; `files` are those that the build compiles beside them."""
    context = _context(firmware)
    targets = {*files, *(file.target for file in firmware.template.resolve(context))}
    headers = (PurePosixPath(name) for name in targets if name.endswith(".h"))
    context = replace(
        context,
        sources=tuple(sorted(name for name in targets if PurePosixPath(name).suffix in _SOURCE_SUFFIXES)),
        include_dirs=tuple(sorted({str(header.parent) for header in headers})),
    )
    return {file.target: file.content(context) for file in firmware.template.resolve(context)}


def _context(firmware: Firmware) -> Context:
    board, compiled = firmware.board, firmware.compiled
    model_sha256 = sha256_hex(firmware.model)
    return Context(
        tool_version=__version__,
        board=board,
        engine=firmware.engine,
        baud=firmware.baud,
        model_sha256=model_sha256,
        sources=(),
        include_dirs=(),
        stm32=stm32_values(board, board.build, firmware.baud)
        if isinstance(board.build, Stm32Build)
        else None,
        cortex_m=cortex_m_values(board, compiled.arena_bytes, compiled.needs.front_end_ram_bytes),
        mps=mps_values(board, firmware.baud),
        tflm_target_arch=target_arch(board) if firmware.engine == "tflm" else None,
        info=model_info(model_sha256, _NO_BUILD_ID, compiled.input, compiled.output),
        layers=compiled.layers if firmware.layers else None,
        front_end=firmware.front_end is not None,
        microphone=firmware.microphone,
        for_size=compiled.optimization is Optimization.SIZE,
    )


def _shared_files(firmware: Firmware, brought: Container[str]) -> dict[str, bytes]:
    """The files that every platform gets alike, but those that the platform has `brought` itself."""
    names = {
        **_context(firmware).names(),
        "executable": firmware.template.executable,
    }
    files = {} if README_NAME in brought else {README_NAME: _render_shared("README.md.j2", names)}
    if firmware.engine == "aot" and firmware.template.build == "cmake":
        # Beside the build, which compiles none of it. Arduino's would compile it.
        files.update(_tflm_files(firmware, "src/tflm"))
    if firmware.front_end is not None:
        files[FRONT_END_NAME] = canonical_json(firmware.front_end.as_document()).encode()
    return {
        **files,
        ".gitignore": (firmware_templates_dir() / "project" / "gitignore").read_bytes(),
        BOARD_NAME: firmware.board.yaml_text.encode(),
        MODEL_NAME: firmware.model,
    }


def _model_info_file(firmware: Firmware, build_id: str) -> bytes:
    compiled, context = firmware.compiled, _context(firmware)
    info = model_info(context.model_sha256, build_id, compiled.input, compiled.output)
    return _render_shared("model_info.h.j2", {**context.names(), "info": info})


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
