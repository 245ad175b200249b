# SPDX-License-Identifier: Apache-2.0
"""A compiled model and a board, turned into the content of every file of a firmware project, in memory.

Pure but for reading the templates: the same input and version of mcu-ser give the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from mcu_ser import __version__
from mcu_ser.aot.tflite_reader import read_model
from mcu_ser.artifacts import sha256_hex
from mcu_ser.board.stm32 import Stm32Build
from mcu_ser.generate.byte_arrays import tflm_values
from mcu_ser.generate.cortex_m import cortex_m_values
from mcu_ser.generate.jinja_env import render
from mcu_ser.generate.model_info import model_info
from mcu_ser.generate.stm32 import stm32_values
from mcu_ser.generate.template import Context, Template
from mcu_ser.resources import firmware_templates_dir

if TYPE_CHECKING:
    from mcu_ser.aot.compile import CompiledModel
    from mcu_ser.board import Board

MODEL_NAME = "model.tflite"
BOARD_NAME = "board.yaml"
README_NAME = "README.md"
_NO_BUILD_ID = "0" * 32


@dataclass(frozen=True, eq=False)
class Firmware:
    """What a project is made of. `model` is the .tflite, `compiled` the same model as C."""

    model: bytes
    compiled: CompiledModel
    board: Board
    engine: str
    baud: int
    template: Template

    @property
    def model_info_name(self) -> str:
        """Project-relative path of model_info.h."""
        return f"{self.template.layout.model}/model_info.h"


def project_files(firmware: Firmware) -> tuple[dict[str, bytes], str]:
    """Every file but the manifest, by project-relative path, and the build id (32 hex digits) of them all."""
    files = dict(_runtime_files(firmware))
    model_dir = firmware.template.layout.model
    files.update({f"{model_dir}/{name}": text.encode() for name, text in firmware.compiled.sources.items()})
    files[firmware.model_info_name] = _model_info_file(firmware, _NO_BUILD_ID)
    platform = _platform_files(firmware, files)
    files.update(platform)
    files.update(_shared_files(firmware, brought=platform))
    build_id = _build_id(files)
    files[firmware.model_info_name] = _model_info_file(firmware, build_id)
    return files, build_id


def _runtime_files(firmware: Firmware) -> Iterator[tuple[str, bytes]]:
    runtime, layout = firmware_templates_dir() / "runtime", firmware.template.layout
    for path in sorted(runtime.glob("*.[ch]")):
        if path.name in firmware.template.omit:
            continue
        if not path.name.startswith("engine_") or path.stem == f"engine_{firmware.engine}":
            yield f"{layout.runtime}/{path.name}", path.read_bytes()
    for name in firmware.compiled.kernels:
        yield f"{layout.kernels}/{name}", (runtime / "kernels" / name).read_bytes()


def _platform_files(firmware: Firmware, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files of the platform's template; `files` are those that the build compiles beside them."""
    context = _context(firmware)
    targets = {*files, *(file.target for file in firmware.template.resolve(context))}
    headers = (PurePosixPath(name) for name in targets if name.endswith(".h"))
    context = replace(
        context,
        sources=tuple(sorted(name for name in targets if name.endswith(".c"))),
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
        cortex_m=cortex_m_values(board, compiled.arena_bytes),
        info=model_info(model_sha256, _NO_BUILD_ID, compiled.input, compiled.output),
    )


def _shared_files(firmware: Firmware, brought: Container[str]) -> dict[str, bytes]:
    """The files that every platform gets alike, but those that the platform has `brought` itself."""
    names = {
        **_context(firmware).names(),
        "executable": firmware.template.executable,
        # TFLite-Micro runs the file as it is, so nothing that the compiler may have rewritten counts here.
        "tflm": tflm_values(firmware.model, read_model(firmware.model)),
    }
    templates = {
        "src/tflm/model_data.h": "model_data.h.j2",
        "src/tflm/model_data.cc": "model_data.cc.j2",
        "src/tflm/op_resolver.h": "op_resolver.h.j2",
        README_NAME: "README.md.j2",
    }
    rendered = {
        name: _render_shared(template, names) for name, template in templates.items() if name not in brought
    }
    return {
        **rendered,
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
